"""The bundle of the best model so far: `ModelCheckpoint` keeps checkpoints, which hold pickles."""

from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.trainer.states import TrainerFn

from nmt.training.distributed import rank


class BestModel(lightning.Callback):
    """Saves the model whenever a validation score is the best so far.

    Args:
        monitor: name of the score, such as `validation/bleu`; of a loss the least is best.
        save: called in the first process with the number of updates and all validation scores.

    Attributes:
        is_best: whether the last validated model was the best so far.
        validated: the update that was last validated.
    """

    def __init__(self, monitor: str, save: Callable[[int, dict[str, float]], None]):
        self.monitor = monitor
        self.save = save
        self.is_best = False
        self.validated = 0
        self._best: float | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {"best": self._best, "validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._best, self.validated = state_dict["best"], state_dict["validated"]

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Save the model if it is the best."""
        score = float(trainer.callback_metrics[self.monitor])
        score = -score if self.monitor.endswith("loss") else score
        self.is_best = self._best is None or score > self._best
        if self.is_best and rank() == 0:
            self.save(trainer.global_step, validation_scores(trainer))
        if trainer.state.fn == TrainerFn.FITTING:  # else a run that is extended never was here
            self.validated = trainer.global_step
            self._best = score if self.is_best else self._best


def validation_scores(trainer: lightning.Trainer) -> dict[str, float]:
    """Return the scores of the last validation, by name without its prefix."""
    return {
        name.removeprefix("validation/"): float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith("validation/")
    }
