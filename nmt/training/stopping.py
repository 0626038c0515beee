"""Ctrl-C, SIGTERM and SIGUSR1: finish the update, write a checkpoint, leave."""

import os
import signal
import threading
from typing import Any

import lightning

from nmt.errors import StoppedError
from nmt.training.checkpoints import Checkpoints
from nmt.training.ranks import Ranks

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # terminals, clusters, warnings of SLURM


class Stopping(lightning.Callback):
    """Stops training after the update in which a signal came to any rank.

    A second signal stops at once; what came after the last checkpoint is then done again.

    Args:
        checkpoints: writes the last one.
        ranks: the processes that stop together.
    """

    def __init__(self, checkpoints: Checkpoints, ranks: Ranks):
        self.checkpoints = checkpoints
        self.ranks = ranks
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Take over the signals, from Lightning too, whose ranks may wait for each other."""
        if threading.current_thread() is threading.main_thread():
            self._before = {name: signal.signal(name, self._ask) for name in _SIGNALS}

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop where that was asked for, unless this is the end anyway.

        Raises:
            StoppedError: the checkpoint is written.
        """
        ending = trainer.should_stop or trainer.global_step == trainer.max_steps
        if self.ranks.any(self.asked) and not ending:
            self.checkpoints.save(trainer)
            raise StoppedError(
                f"interrupted; stopped after update {trainer.global_step}, which is saved; "
                "go on with --resume"
            )

    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        """Give the signals back."""
        for name, handler in self._before.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.ranks.first:  # a log's stream may be in the middle of a line, a file number is not
            os.write(2, b"\nnmt: stopping after this update; once more stops at once\n")
