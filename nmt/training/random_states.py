"""Random states in checkpoints, for contract 3 (resume): Lightning's checkpoints lack them.

Without this callback dropout draws other units after a resume, and `tests/training/test_resume.py`
fails.
"""

import random
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer

from nmt.training.distributed import gather, rank


class RandomStates(Callback):
    """Stores every rank's random states, and restores them before the first update."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random states of all ranks."""
        checkpoint["random"] = gather(random_states())

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Keep this rank's state. With another number of ranks, each draws from its seed."""
        states = checkpoint["random"]
        if len(states) == trainer.world_size:
            self._loaded = states[rank()]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Restore the states, after any draws during set-up."""
        if self._loaded is not None:
            set_random_states(self._loaded)
            self._loaded = None


def random_states() -> dict[str, Any]:
    """Return the states of this process's random generators, in plain numbers and tensors."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restore the states from `random_states`."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
