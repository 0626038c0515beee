"""The training itself: Lightning's trainer, and what watches it."""

import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy

from nmt.bundle import save_bundle
from nmt.data.loader import Updates
from nmt.errors import StoppedError
from nmt.inference.device import find_device, find_precision
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.training.averaging import MovingAverage
from nmt.training.checkpoints import Checkpoints
from nmt.training.module import TranslationModule
from nmt.training.prepare import Prepared
from nmt.training.ranks import Ranks
from nmt.training.records import Recorder
from nmt.training.stopping import Stopping
from nmt.training.validation import Validation

_log = logging.getLogger("nmt")
_DEFAULT_EPOCHS = 20


class KillAfter(lightning.Callback):
    """Ends the process as `kill -9` does, after an update; for `nmt.training.verify`."""

    def __init__(self, update: int | None):
        self.update = update

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Strike where it is time."""
        if trainer.global_step == self.update:
            os.kill(os.getpid(), signal.SIGKILL)


def fit(
    prepared: Prepared,
    run: Path,
    ranks: Ranks,
    *,
    newest: Path | None,
    kill_after: int | None = None,
) -> None:
    """Train to the end.

    Args:
        prepared: what to train, and with what.
        run: the run folder.
        ranks: the processes that train together.
        newest: the checkpoint to go on from.
        kill_after: see `KillAfter`.

    Raises:
        StoppedError: a signal came.
        NmtError: training diverged, or the disk is full.
    """
    config = prepared.config.training
    _quieten_lightning()
    if ranks.size > 1:
        torch.manual_seed(prepared.config.seed + ranks.rank)  # other units drop out in each
    module = training_module(prepared, ranks)
    recorder = Recorder(run, config.log_every, module.total_updates, ranks)
    every = config.checkpoint_every or config.validate_every
    checkpoints = Checkpoints(run / "checkpoints", every, config.keep_checkpoints, ranks)
    stopping = Stopping(checkpoints, ranks)
    average = [] if config.ema is None else [MovingAverage(prepared.model, config.ema)]
    network = average[0].model if average else prepared.model
    validation = _validation(prepared, network, run, recorder, ranks)
    device = find_device(config.device)
    precision = find_precision(config.precision, device)
    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=ranks.local_size,
        num_nodes=ranks.size // ranks.local_size,
        strategy=_strategy(config.strategy, ranks),
        plugins=None if ranks.environment is None else [ranks.environment],
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_steps=config.max_updates or -1,
        max_epochs=1,
        # Each finds what those before it have done with the update.
        callbacks=[recorder, *average, validation, checkpoints, KillAfter(kill_after), stopping],
        # On a CPU all of torch's kernels used here are deterministic as they are.
        deterministic="warn" if device.type == "cuda" else None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=run,
    )
    if newest is not None:
        _log.info("going on from %s", newest)
    try:
        trainer.fit(module, ckpt_path=newest, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise StoppedError("interrupted; go on with --resume") from None
    if ranks.any(stopping.asked):
        raise StoppedError("interrupted; training is finished, score the tests with --resume")


def _validation(
    prepared: Prepared, network: Seq2Seq, run: Path, recorder: Recorder, ranks: Ranks
) -> Validation:
    """Let a network be scored as a translator, and the best be kept as a bundle."""
    config = prepared.config
    device = find_device(config.training.device)
    if ranks.size > 1 and device.type == "cuda":
        device = torch.device("cuda", ranks.local_rank)
    precision = find_precision(config.training.precision, device)
    network.to(device)  # a translator may ask it at once whether it has attention
    translator = Translator(network, prepared.tokenizer, config, device=device, precision=precision)

    def export(update: int, scores: dict[str, float]) -> None:
        save_bundle(
            run / "model",
            model=network,
            tokenizer=prepared.tokenizer,
            config=config,
            metrics=prepared.environment | {"update": update, "validation": scores},
        )

    pairs = prepared.validation
    return Validation(config, network, translator, pairs, recorder, export, ranks)


def _strategy(wanted: str, ranks: Ranks) -> str | DDPStrategy:
    """Return Lightning's strategy: one process, or copies of the model that agree on gradients."""
    if ranks.size == 1 and wanted == "auto":
        return "auto"
    return DDPStrategy(
        broadcast_buffers=False,  # they never change
        process_group_backend=None if torch.cuda.is_available() else "gloo",
        # Else the first update's buckets are others than the next ones', and so are their sums:
        # a resumed run of three processes would differ.
        find_unused_parameters=True,
    )


def training_module(prepared: Prepared, ranks: Ranks) -> TranslationModule:
    """Join the network with its updates, and work out where training ends by itself."""
    config = prepared.config.training
    updates = Updates(
        prepared.pairs,
        prepared.tokenizer,
        batch_tokens=config.batch_tokens,
        accumulate=config.accumulate,
        seed=prepared.config.seed,
        rank=ranks.rank,
        world_size=ranks.size,
        subword_sampling=config.subword_sampling,
    )
    max_epochs = config.max_epochs
    if max_epochs is None and config.max_updates is None:
        max_epochs = _DEFAULT_EPOCHS
    ends = [] if config.max_updates is None else [config.max_updates]
    if max_epochs is not None:  # every epoch has about as many updates as the first
        ends.append(max_epochs * len(updates.plan(0)))
    return TranslationModule(
        prepared.model, config, updates, ranks, max_epochs=max_epochs, total_updates=min(ends)
    )


def _quieten_lightning() -> None:
    """Leave the talking to our own log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="lightning")
