"""Early stopping whose patience may change on resume (`training.patience` is a limit).

Lightning's `EarlyStopping` restores the patience of the checkpoint; see
`test_patience_may_change_on_resume`.
"""

import sys
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping

from nmt.log import log


class Patience(EarlyStopping):
    """Stops after a number of validations in a row without a better score.

    Args:
        score: bleu, chrf or loss; of the loss the least is best.
        patience: the number of validations; None never stops, but counts for a resumed run.
    """

    def __init__(self, score: str, patience: int | None):
        mode = "min" if score == "loss" else "max"
        most = sys.maxsize if patience is None else patience
        super().__init__(f"validation/{score}", patience=most, mode=mode, min_delta=0.0)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint, with the patience of the config."""
        super().load_state_dict(state_dict | {"patience": self.patience})

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Train no further where patience had run out, unless it is longer now."""
        trainer.should_stop = self.wait_count >= self.patience

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Count the validation, and stop when patience runs out."""
        super().on_validation_end(trainer, pl_module)
        if self.wait_count >= self.patience:
            log.info("%s did not improve in %d validations", self.monitor, self.wait_count)
