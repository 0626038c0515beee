"""Checkpoints: all that training needs to go on as if it had never stopped."""

import dataclasses
import logging
import os
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch

from nmt.errors import DataError
from nmt.storage import sync_folder
from nmt.text.lines import writing_to
from nmt.training.ranks import Ranks

_log = logging.getLogger("nmt")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A file to go on from.

    Attributes:
        path: where it lies.
        update: updates done.
        finished: whether training had come to its end.
        micro_batches: of one update, over all ranks.
        epochs: begun, the first counted as 1.
        limits: where training was to end; see `nmt.training.module.limits`.
    """

    path: Path
    update: int
    finished: bool
    micro_batches: int
    epochs: int
    limits: list[int | None]


class Checkpoints(lightning.Callback):
    """Writes a checkpoint every so many updates and at the end, and keeps the newest.

    A file appears under its name only when it is whole and on the disk.

    Args:
        folder: where they go.
        every: updates between two of them.
        keep: how many stay.
        ranks: whose random states are kept; the first alone writes.
    """

    def __init__(self, folder: Path, every: int, keep: int, ranks: Ranks):
        self.folder = folder
        self.every = every
        self.keep = keep
        self.ranks = ranks
        self._random: dict[str, Any] | None = None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Put the random states back, after everything that set-up may have drawn."""
        if self._random is not None:
            set_random_states(self._random)
            self._random = None

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write one where it is due.

        At an end that is known only `on_train_end` writes: a run that is killed in between comes
        back before its end, and ends in the same way.
        """
        ending = trainer.should_stop or trainer.global_step == trainer.max_steps
        if trainer.global_step % self.every == 0 and not ending:
            self.save(trainer)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Write the last one, which says that training is over."""
        pl_module.finished = True
        self.save(trainer)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add the random states, which Lightning leaves out."""
        checkpoint["random"] = self.ranks.gather(random_states())

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the random states for the first update."""
        states = checkpoint["random"]
        if len(states) == self.ranks.size:  # else each draws from its own seed anew
            self._random = states[self.ranks.rank]

    def save(self, trainer: lightning.Trainer) -> None:
        """Write a checkpoint of this moment and forget the oldest ones."""
        path = self.folder / f"update-{trainer.global_step:09d}.ckpt"
        temporary = path.with_suffix(".tmp")
        if not self.ranks.first:
            trainer.save_checkpoint(temporary)  # adds this rank's state; the first one writes
            return
        with writing_to(path):
            self.folder.mkdir(exist_ok=True)
            try:
                trainer.save_checkpoint(temporary)
                with open(temporary, "rb") as stream:
                    os.fsync(stream.fileno())
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        sync_folder(self.folder)
        for old in checkpoint_files(self.folder)[: -self.keep]:
            old.unlink()


def checkpoint_files(folder: Path) -> list[Path]:
    """Return a run's whole checkpoints, the oldest first."""
    return sorted(folder.glob("update-*.ckpt"))


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """Find the newest checkpoint that is whole; a damaged one is said, and put aside.

    Raises:
        DataError: there are checkpoints, and all are damaged.
    """
    damaged: dict[Path, str] = {}
    for path in reversed(checkpoint_files(folder)):
        try:
            values = read_checkpoint(path)
            break
        except DataError as error:
            damaged[path] = str(error)
    else:
        if damaged:
            raise DataError(
                f"every checkpoint in {folder} is damaged; start again in another folder with --run"
            )
        return None
    for other, told in damaged.items():
        aside = other.with_suffix(".damaged")
        other.rename(aside)
        _log.warning("%s; it is now %s", told, aside.name)
    epoch, number = values["place"]
    return Checkpoint(
        path=path,
        update=values["global_step"],
        finished=values["finished"],
        micro_batches=values["micro_batches"],
        epochs=epoch + (number > 0),
        limits=values["limits"],
    )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, once its sums are known to be right; its tensors stay in the file.

    Raises:
        DataError: it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            if wrong := file.testzip():  # torch does not look at them
                raise zipfile.BadZipFile(f"its {wrong} is not what was written")
        values: dict[str, Any] = torch.load(path, "cpu", weights_only=True, mmap=True)
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"the checkpoint {path} is damaged ({reason})") from None
    return values


def random_states() -> dict[str, Any]:
    """Return the state of every global random generator, in plain numbers and tensors."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Put back what `random_states` returned."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
