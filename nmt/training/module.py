"""The translator's network as a LightningModule."""

import contextlib
import copy
import functools
import itertools
import math
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from nmt.bundle import Bundle, build_model, is_bundle, save_bundle
from nmt.config import Config, flat_config
from nmt.data.loader import Batch, Update
from nmt.errors import NmtError, UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import quick_scores
from nmt.inference.translator import Translator
from nmt.log import log
from nmt.models.seq2seq import Seq2Seq
from nmt.training.data_module import TranslationData, ValidationBatch
from nmt.training.distributed import gather
from nmt.training.environment import environment
from nmt.training.random_states import RandomStates
from nmt.training.schedule import learning_rate_factor

_SAMPLES = 3
_DIVERGED = 100.0  # nats: the loss of guessing among 10**43 tokens


class TranslationModule(lightning.LightningModule):
    """Encoder, bridge and decoder, in training. To Lightning, one batch is one update.

    What happens in an update, in order:

    1. `UpdateLoader` yields the update: this rank's micro-batches, and the number of target tokens
       over all micro-batches and ranks.
    2. `training_step` runs each micro-batch forward and backward. Its loss is the sum of its token
       losses ÷ the update's target tokens, so gradients add up to the mean over the update.
    3. DDP sums gradients over ranks, once, in the last micro-batch's backward pass.
    4. Gradients are clipped to `training.clip_norm`, AdamW takes a step, the learning rate moves.
    5. Every `log_every_n_steps` updates the mean loss since the last time is logged.
    6. Every `val_check_interval` updates, Lightning validates: `validation_step` scores and
       translates raw sentences, `on_validation_epoch_end` logs loss, perplexity, BLEU and chrF.
    7. Callbacks save the best model, count patience and write a checkpoint.

    Logs `train/loss` (nats per target token), `train/learning_rate`, `train/gradient_norm` (before
    clipping), `train/tokens_per_second` (target tokens), and `validation/loss` (nats per target
    token, without label smoothing), `validation/perplexity`, `validation/bleu` and
    `validation/chrf`, all over all ranks.

    Args:
        config: of the run; the Trainer's limits replace `max_updates` and `max_epochs`.

    Attributes:
        is_best: whether the last validation had the best `training.monitor` so far.
        validated_update: the last update that the Trainer's `fit` validated.

    Example:
        >>> config = nmt.load_config("my.yaml")
        >>> data, module = nmt.TranslationData(config), nmt.TranslationModule(config)
        >>> lightning.Trainer(max_steps=1000).fit(module, datamodule=data)
        >>> module.translator().translate(["Ein Hund schläft."])[0].text
        'A dog is sleeping.'
    """

    model: Seq2Seq

    def __init__(self, config: Config):
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.save_hyperparameters(flat_config(config))
        self.data: TranslationData | None = None
        self.is_best = False
        self.validated_update = 0
        self._best: float | None = None
        self._validated: list[tuple[int, float, str]] = []
        self._precision = "fp32"
        self._loss_sum: float | Tensor = 0.0
        self._updates_summed = self._tokens = 0
        self._since = 0.0

    def setup(self, stage: str) -> None:
        """Build the network for the data module's vocabularies."""
        trainer = self.trainer
        data = getattr(trainer, "datamodule", None)
        if not isinstance(data, TranslationData):
            raise UsageError("TranslationModule: pass a TranslationData to fit(…, datamodule=…)")
        refuse_settings(trainer)
        self._precision = "bf16" if trainer.precision == "bf16-mixed" else "fp32"
        self.build(data, with_base=trainer.ckpt_path is None)

    def build(self, data: TranslationData, *, with_base: bool = True) -> None:
        """Build the network, once, with fresh weights or those of `training.init_from`.

        Args:
            data: already set up.
            with_base: whether to load the weights of `training.init_from`.
        """
        if self.data is data:
            return
        if self.data is not None:
            raise UsageError("TranslationModule: built for another TranslationData; pass that one")
        self.data, self.config = data, data.config
        self.model = build_model(self.config, data.tokenizer)
        if with_base and data.base is not None:
            self.model.load_state_dict(data.base.model.state_dict())
        counts = torch.from_numpy(data.pairs.target_counts(len(data.tokenizer.target)))
        counts[data.tokenizer.target.eos_id] = len(data.pairs)
        self.model.decoder.token_counts.copy_(counts)
        size = sum(weight.numel() for weight in self.model.parameters())
        log.info("model: %s parameters", f"{size:,}")

    def configure_callbacks(self) -> list[lightning.Callback]:
        """Return the callback that exact resuming needs in any Trainer."""
        return [RandomStates()]

    def configure_optimizers(self) -> Any:
        """Make AdamW and the schedule of its learning rate."""
        training = self.config.training
        weights, rate = self.model.parameters(), training.learning_rate
        optimizer = torch.optim.AdamW(weights, rate, weight_decay=training.weight_decay, fused=True)
        factor = functools.partial(
            learning_rate_factor,
            schedule=training.schedule,
            warmup_updates=training.warmup_updates,
            total_updates=self._total_updates(),
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def _total_updates(self) -> int:
        """Return the update at which the Trainer stops.

        `trainer.estimated_stepping_batches` has this value, but loses the loader's state on resume.
        """
        trainer, data = self.trainer, self.data
        assert data is not None
        ends = [trainer.max_steps] if trainer.max_steps >= 0 else []
        if trainer.max_epochs is not None and trainer.max_epochs >= 0:
            epoch = len(data.updates(world_size=trainer.world_size).plan(0))
            limit = trainer.limit_train_batches
            epoch = min(epoch, limit) if isinstance(limit, int) else int(epoch * limit)
            ends.append(trainer.max_epochs * epoch)
        return min(ends) if ends else data.total_updates(trainer.world_size)

    def on_train_start(self) -> None:
        """Seed every rank differently, for its dropout."""
        if self.trainer.world_size > 1:
            torch.manual_seed(torch.initial_seed() + self.global_rank)
        self._since = time.perf_counter()

    def training_step(self, batch: Update, batch_idx: int) -> None:
        """Make one update; see the class.

        Raises:
            NmtError: training diverged.
        """
        # Lightning's own count, the step of its loggers, is one too high once a run that ended with
        # a validation is resumed; then they would also miss every new value.
        self.trainer.fit_loop.epoch_loop._batches_that_stepped = self.trainer.global_step
        optimizer: Any = self.optimizers()
        scheduler: Any = self.lr_schedulers()
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        strategy: Any = self.trainer.strategy
        for number, micro in enumerate(batch.batches, start=1):
            waits = isinstance(strategy, DDPStrategy) and number < len(batch.batches)
            with strategy.block_backward_sync() if waits else contextlib.nullcontext():
                loss = self.loss(micro) / batch.target_tokens
                self.manual_backward(loss * self.trainer.world_size)  # DDP averages over ranks
            loss_sum += loss.detach()
        clip_norm = self.config.training.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
        learning_rate = optimizer.param_groups[0]["lr"]  # before the schedule moves it
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        self._loss_sum = self._loss_sum + loss_sum
        self._updates_summed += 1
        self._tokens += batch.target_tokens
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and self.trainer.global_step % every == 0:
            self._log_training(learning_rate, norm)

    def loss(self, batch: Batch) -> Tensor:
        """Return the sum of the token losses in nats.

        An empty micro-batch, which evens out ranks, has loss 0 with gradients: DDP waits for them.
        """
        if len(batch.target.lengths) == 0:
            return sum((weight.sum() for weight in self.model.parameters()), torch.tensor(0)) * 0.0
        training = self.config.training
        return self.model.loss(
            batch.source, batch.target, training.label_smoothing, training.r_drop
        )

    def _log_training(self, learning_rate: float, gradient_norm: Tensor) -> None:
        """Log the updates since the last log line."""
        loss = self._total_loss() / self._updates_summed
        refuse_diverged(loss)
        now = time.perf_counter()
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/learning_rate", learning_rate)
        self.log("train/gradient_norm", gradient_norm)
        self.log("train/tokens_per_second", self._tokens / (now - self._since))
        self._loss_sum, self._updates_summed = 0.0, 0
        self._tokens, self._since = 0, now

    def _total_loss(self) -> float:
        """Return the sum of the updates' losses since they were last logged, over all ranks."""
        mine = torch.as_tensor(self._loss_sum, dtype=torch.float64, device=self.device)
        total = self.trainer.strategy.reduce(mine.clone(), reduce_op="sum")  # it adds in place
        return float(total)

    def on_validation_start(self) -> None:
        """Start a validation, and stop the clock of the training speed."""
        self._validation_start = time.perf_counter()
        self._validated = []

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        """Score and translate raw sentences, except in a sanity check."""
        if self.trainer.sanity_checking:
            return
        sources, references = ([pair[side] for _, pair in batch] for side in (0, 1))
        translator = self._translator(self.model, self._precision)
        scores = translator.score(sources, references)
        hypotheses = translator.translate_all(sources, greedy=True)
        rows = [row for row, _ in batch]
        self._validated += zip(rows, scores, hypotheses, strict=True)

    def on_validation_epoch_end(self) -> None:
        """Log the scores over all ranks, and update the plateau schedule.

        Raises:
            NmtError: training diverged.
        """
        if self.trainer.sanity_checking:
            return
        rows = itertools.chain.from_iterable(gather(self._validated))
        scores = self._validation_scores(sorted(rows))
        score = scores[self.config.training.monitor]
        self._compare(-score if self.config.training.monitor == "loss" else score)
        for name, value in scores.items():
            self.log(f"validation/{name}", value, prog_bar=name == "bleu", sync_dist=True)

    def _validation_scores(self, rows: list[tuple[int, float, str]]) -> dict[str, float]:
        """Return the scores of validated sentences: (row, log-probability, hypothesis) each."""
        assert self.data is not None
        pairs = [self.data.held_out["validation"][row] for row, _, _ in rows]
        references = [target for _, target in pairs]
        encoded = self.data.tokenizer.target.encode(references)
        loss = -sum(score for _, score, _ in rows) / sum(len(ids) + 1 for ids in encoded)
        refuse_diverged(loss)
        guessing = math.log(len(self.data.tokenizer.target))
        if loss > guessing:
            log.warning(
                "the validation loss %.3g is above %.3g nats, that of guessing any token: lower "
                "training.learning_rate, now %g",
                *(loss, guessing, self.config.training.learning_rate),
            )
        hypotheses = [hypothesis for _, _, hypothesis in rows]
        for (source, reference), hypothesis in list(zip(pairs, hypotheses, strict=True))[:_SAMPLES]:
            log.info("  source     %s", source)
            log.info("  reference  %s", reference)
            log.info("  hypothesis %s", hypothesis)
        perplexity = math.exp(min(loss, 100.0))
        scores = quick_scores(hypotheses, references, TargetLanguage.of(self.config.data))
        return {"loss": loss, "perplexity": perplexity} | scores

    def _compare(self, score: float) -> None:
        """Compare a score with the best; without a gain the plateau schedule halves its rate."""
        self.is_best = self._best is None or score > self._best
        if self.trainer.state.fn != TrainerFn.FITTING:  # the final one: no part of a longer run
            return
        self.validated_update = self.trainer.global_step
        if self.is_best:
            self._best = score
        elif self.config.training.schedule == "plateau":
            scheduler: Any = self.lr_schedulers()
            scheduler.base_lrs = [rate / 2 for rate in scheduler.base_lrs]
            for group in scheduler.optimizer.param_groups:  # the next update's rate is set already
                group["lr"] /= 2

    def on_validation_end(self) -> None:
        """Subtract the time of validation from the training speed."""
        self._since += time.perf_counter() - self._validation_start

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the state of the next log line and the next validation."""
        checkpoint["module"] = {
            "best": self._best,
            "validated_update": self.validated_update,
            "loss_sum": self._total_loss(),
            "updates_summed": self._updates_summed,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        state = checkpoint["module"]
        self._best, self.validated_update = state["best"], state["validated_update"]
        self._updates_summed = state["updates_summed"]
        # The stored sum is over all ranks.
        self._loss_sum = state["loss_sum"] if self.global_rank == 0 else 0.0

    def translator(self) -> Translator:
        """Return a translator in fp32 with a copy of the weights as they are now.

        Raises:
            UsageError: the network is not built yet.
        """
        self._require_network()
        return self._translator(copy.deepcopy(self.model).eval(), "fp32")

    def _translator(self, model: Seq2Seq, precision: str) -> Translator:
        tokenizer = self._require_network().tokenizer
        return Translator(model, tokenizer, self.config, device=self.device, precision=precision)

    def save_bundle(self, folder: str | Path, metrics: dict[str, Any] | None = None) -> None:
        """Write the model as a bundle, which `nmt.load` and every command read.

        Args:
            folder: path of the bundle; an existing bundle is replaced.
            metrics: stored beside the weights and the conditions of the training: numbers,
                strings, lists and dicts; `update` and `validation`, a dict of scores, are known to
                the model card.

        Raises:
            UsageError: the network is not built yet, or the folder holds something else.
            DataError: a known value is of a wrong type.
            OSError: the folder cannot be written.
        """
        data, path = self._require_network(), Path(folder)
        is_empty = path.is_dir() and not any(path.iterdir())
        if path.exists() and not (is_bundle(path) or is_empty):
            raise UsageError(
                f"{folder} holds more than a bundle; move that away, or choose another folder"
            )
        metrics = environment(data) | (metrics or {})
        save_bundle(path, Bundle(self.model, data.tokenizer, self.config, metrics))

    @classmethod
    def load_from_checkpoint(cls, *arguments: Any, **keywords: Any) -> Any:
        """Refuse: a checkpoint holds no tokenizer.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "a checkpoint holds no tokenizer: resume with Trainer.fit(…, ckpt_path=…), or write "
            "module.save_bundle(folder) after training and read it with nmt.load(folder)"
        )

    def _require_network(self) -> TranslationData:
        """Return the data module that the network was built for."""
        if self.data is None:
            raise UsageError("the network is built when training starts; call Trainer.fit first")
        return self.data


def refuse_settings(trainer: Any) -> None:
    """Refuse settings of the Trainer that would not have their documented effect here.

    Raises:
        UsageError: the Trainer has such a setting.
    """
    name, launcher = type(trainer.strategy).__name__, trainer.strategy.launcher
    spawns = isinstance(launcher, _MultiProcessingLauncher)  # the weights stay in its processes
    if spawns or not isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
        name = f"ddp_{launcher._start_method}" if spawns else name
        raise UsageError(f"Trainer(strategy=…): {name} is not supported; use auto or ddp")
    if trainer.precision not in ("32-true", "bf16-mixed"):
        raise UsageError(
            f"Trainer(precision=…): {trainer.precision} is not supported; use 32-true or bf16-mixed"
        )
    for callback in trainer.callbacks:  # it copies the weights before there are any
        if isinstance(callback, WeightAveraging | StochasticWeightAveraging):
            fault = f"Trainer(callbacks=…): {type(callback).__name__} is not supported"
            raise UsageError(f"{fault}; average checkpoints with nmt export --average")
    for name in ("overfit_batches", "reload_dataloaders_every_n_epochs"):
        if value := getattr(trainer, name):  # the loader continues at its position
            raise UsageError(f"Trainer({name}={value}) is not supported; leave it out")


def refuse_diverged(loss: float) -> None:
    """Raise NmtError if a loss, in nats per token, is not finite or above 100."""
    if not loss < _DIVERGED:
        raise NmtError(
            f"training diverged: the loss is {loss:g}; lower training.learning_rate or "
            "training.clip_norm"
        )
