"""Validation: scores on raw text, the best model so far, and when to give up."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import lightning

from nmt.config import Config
from nmt.errors import NmtError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import quick_scores
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.training.module import TranslationModule
from nmt.training.ranks import Ranks
from nmt.training.records import Recorder, diverged

_log = logging.getLogger("nmt")
_SAMPLES = 3

Export = Callable[[int, dict[str, float]], None]
"""Called with the update and its scores whenever the model is the best so far."""


class Validation(lightning.Callback):
    """Scores the model every so many updates, keeps the best, and stops where patience ends.

    Every rank scores a share of the sentences; then all know all scores, and decide alike.

    Args:
        config: the run's config.
        network: what is scored: the one that trains, or its moving average.
        translator: translates with it.
        pairs: the validation split, raw.
        recorder: takes the scores.
        export: keeps the best model.
        ranks: the processes that train together.
    """

    def __init__(
        self,
        config: Config,
        network: Seq2Seq,
        translator: Translator,
        pairs: Sequence[tuple[str, str]],
        recorder: Recorder,
        export: Export,
        ranks: Ranks,
    ):
        self.config = config
        self.network = network
        self.translator = translator
        self.sources = [source for source, _ in pairs]
        self.references = [target for _, target in pairs]
        encoded = translator.tokenizer.target.encode(self.references)
        self.num_tokens = sum(len(ids) + 1 for ids in encoded)
        self.recorder = recorder
        self.export = export
        self.ranks = ranks
        self.best: float | None = None
        self.since_best = 0
        self.last_update = 0
        self._state: dict[str, Any] = self._now()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return dict(self._state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best = state_dict["best"]
        self.since_best = state_dict["since_best"]
        self.last_update = state_dict["last_update"]
        self._state = dict(state_dict)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Validate where it is due."""
        if trainer.global_step % self.config.training.validate_every == 0:
            self.validate(trainer, pl_module)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Validate the last updates, too; a run that is extended knows nothing of it."""
        if trainer.global_step != self.last_update:
            self.validate(trainer, pl_module, over=True)

    def validate(
        self, trainer: lightning.Trainer, module: TranslationModule, *, over: bool = False
    ) -> None:
        """Score the model as it is now and act on the result; only keep the best if it is over.

        What a checkpoint keeps is of the validations that were due.
        """
        training = self.config.training
        update = self.last_update = trainer.global_step
        self.network.eval()
        with self.recorder.pause():
            scores = self.scores()
        self.network.train()
        value = scores[training.monitor] * (-1 if training.monitor == "loss" else 1)
        better = self.best is None or value > self.best
        self.recorder.validation(update, scores, best=better)
        if better:
            self.best, self.since_best = value, 0
            if self.ranks.first:
                self.export(update, scores)
        if over:
            return
        if not better:
            self._be_patient(trainer, module)
        self._state = self._now()

    def _be_patient(self, trainer: lightning.Trainer, module: TranslationModule) -> None:
        """Count a validation without gain; lower the learning rate, or give up."""
        training = self.config.training
        self.since_best += 1
        if training.schedule == "plateau":
            scheduler: Any = module.lr_schedulers()
            scheduler.base_lrs = [rate / 2 for rate in scheduler.base_lrs]
        if training.patience is not None and self.since_best >= training.patience:
            _log.info("no better %s in %d validations", training.monitor, self.since_best)
            trainer.should_stop = True

    def _now(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "since_best": self.since_best,
            "last_update": self.last_update,
        }

    def scores(self) -> dict[str, float]:
        """Return loss (nats a target token, without label smoothing), perplexity, BLEU, chrF."""
        mine = slice(self.ranks.rank, None, self.ranks.size)
        score = sum(self.translator.score(self.sources[mine], self.references[mine]))
        loss = -sum(self.ranks.gather(score)) / self.num_tokens
        if not math.isfinite(loss):
            raise NmtError(diverged(loss))
        hypotheses = [""] * len(self.sources)
        translated = self.translator.translate_all(self.sources[mine], greedy=True)
        for rank, share in enumerate(self.ranks.gather(translated)):
            hypotheses[rank :: self.ranks.size] = share
        for row in range(min(_SAMPLES, len(self.sources))):
            _log.info("  source     %s", self.sources[row])
            _log.info("  reference  %s", self.references[row])
            _log.info("  hypothesis %s", hypotheses[row])
        return {
            "loss": loss,
            "perplexity": math.exp(min(loss, 100.0)),
            **quick_scores(hypotheses, self.references, TargetLanguage.of(self.config.data)),
        }
