"""Checkpoints of a run, for contract 3 (resume): atomic, synced, and written after validation.

Lightning's `ModelCheckpoint` writes before the validation of the same update, which a resumed run
then skips. It does not sync files to disk; under manual optimization it warns and reads stale
metrics. With it `tests/training/test_resume.py` fails if checkpoint and validation coincide.
"""

import dataclasses
import io
import os
import pickle
import signal
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.trainer.states import TrainerFn

from nmt.config import TrainingConfig
from nmt.errors import DataError, StoppedError, UsageError
from nmt.log import log
from nmt.reading import MOST_BYTES, regular_file, sha256
from nmt.storage import atomic_write
from nmt.text.lines import writing_to
from nmt.training.distributed import gather, rank

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # terminals, clusters, SLURM's warning
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, struct.error, EOFError, OSError),
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError),
)


@dataclasses.dataclass(frozen=True)
class CheckpointFile:
    """A checkpoint to resume from.

    Attributes:
        path: of the file.
        update: updates done.
        finished: whether training had ended.
        micro_batches: micro-batches of one update, over all ranks.
        epochs: epochs begun, the first counted as 1.
        limits: see `limits`.
    """

    path: Path
    update: int
    finished: bool
    micro_batches: int
    epochs: int
    limits: list[int | None]


LIMITS = ("max_updates", "max_epochs", "patience")
"""Keys of `training` that end it."""


def limits(config: TrainingConfig) -> list[int | None]:
    """Return the values of `LIMITS`; a run that finished under others may continue."""
    return [getattr(config, name) for name in LIMITS]


class Checkpoints(CheckpointCallback):
    """Writes a checkpoint every so many updates, keeps the newest, and stops on a signal.

    It acts after each update, or after its validation if there is one, as the last of all
    callbacks. At Ctrl-C, SIGTERM or SIGUSR1 in any rank it writes a checkpoint and stops; a second
    signal stops at once. `finish` writes the last checkpoint. A run killed before that resumes from
    an earlier one and ends in the same way.

    Args:
        folder: for the checkpoints.
        config: the `training` section.
    """

    def __init__(self, folder: Path, config: TrainingConfig):
        self.folder = folder
        self.config = config
        self._every = config.checkpoint_every or config.validate_every
        self._epochs = 0
        self._finished = self._asked = False

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Handle signals instead of Lightning, whose ranks may wait for each other.

        Lightning restores the handlers from before the training, however that ends.
        """
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if rank() == 0:  # os.write: the log's stream may be locked in the middle of a line
            os.write(2, b"\nnmt: stopping after this update; once more stops at once\n")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Act, unless this update is validated first."""
        self._epochs = batch.epoch + 1
        if trainer.global_step % self.config.validate_every:
            self._act(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Act after the validation of an update."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._act(trainer)

    def _act(self, trainer: Trainer) -> None:
        """Write a checkpoint if one is due, and stop if a signal asked for it.

        Raises:
            StoppedError: a signal asked for a stop; the checkpoint is written.
        """
        if trainer.should_stop or trainer.global_step == trainer.max_steps:
            return
        asked = any(gather(self._asked))
        if asked or trainer.global_step % self._every == 0:
            self._save(trainer)
        if asked:
            raise StoppedError(
                f"interrupted; stopped after update {trainer.global_step}, which is saved; "
                "continue with --resume"
            )

    def finish(self, trainer: Trainer) -> None:
        """Write the last checkpoint, marked as finished unless a callback asked for a stop."""
        stopped = any(one.wait_count >= one.patience for one in trainer.early_stopping_callbacks)
        self._finished = stopped or trainer.global_step == trainer.max_steps
        if not self._finished:
            log.warning("a callback stopped the training, which --resume continues")
        self._save(trainer)
        if any(gather(self._asked)):
            raise StoppedError("interrupted; training has ended, score the tests with --resume")

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add the values that `newest_checkpoint` reads before training resumes."""
        if rank() == 0:  # identifies the run
            checkpoint["environment"] = sha256(self.folder.parent / "environment.json")
        checkpoint["run"] = {
            "finished": self._finished,
            "epochs": self._epochs,
            "limits": limits(self.config),
            "micro_batches": trainer.world_size * self.config.accumulate,
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Continue from a checkpoint."""
        self._epochs = checkpoint["run"]["epochs"]

    def _save(self, trainer: Trainer) -> None:
        """Write a checkpoint with the state of every rank, and delete the oldest."""
        trainer.save_checkpoint(self.folder / f"update-{trainer.global_step:09d}.ckpt")
        if rank() == 0:
            for old in checkpoint_files(self.folder)[: -self.config.keep_checkpoints]:
                old.unlink()


class CheckpointWriter(TorchCheckpointIO):
    """Writes checkpoints atomically, synced to disk.

    Lightning's own writer uses the system's folder for temporary files, which may be too small.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            UsageError: a callback's state could not be read again.
            DataError: the folder cannot be written to.
            NmtError: the disk is full or broken.
        """
        for name, state in checkpoint.get("callbacks", {}).items():
            _refuse_unreadable(name, state)
        with writing_to(path):
            Path(path).parent.mkdir(exist_ok=True)
            with atomic_write(Path(path)) as stream:
                torch.save(checkpoint, stream)


def _refuse_unreadable(name: str, state: object) -> None:
    """Refuse a callback's state that holds more than plain values and tensors."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    if kinds := torch.serialization.get_unsafe_globals_in_checkpoint(buffer):
        raise UsageError(
            f"callbacks: the state_dict of {name} holds a {kinds[0]}, which cannot be resumed "
            "from; return plain numbers, strings, lists, dicts and tensors"
        )


def checkpoint_files(folder: Path) -> list[Path]:
    """Return a run's checkpoints, the oldest first."""
    return sorted(folder.glob("update-*.ckpt"))


def newest_checkpoint(folder: Path) -> CheckpointFile | None:
    """Return the newest undamaged checkpoint; rename damaged ones, with a warning.

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
                f"every checkpoint in {folder} is damaged; start again in another folder with "
                f"--run ({next(iter(damaged.values()))})"
            )
        return None
    for other, fault in damaged.items():
        aside = other.with_suffix(".damaged")
        other.rename(aside)
        log.warning("%s; renamed to %s", fault, aside.name)
    return CheckpointFile(path=path, update=values["global_step"], **values["run"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Verify a checkpoint's checksums and read it; its tensors stay in the file.

    Raises:
        DataError: it is damaged, or belongs to another run.
    """
    try:
        with open(path, "rb", opener=regular_file) as stream, zipfile.ZipFile(stream) as file:
            if sum(entry.file_size for entry in file.infolist()) > path.stat().st_size:
                raise zipfile.BadZipFile("its entries are larger than the file")
            if wrong := file.testzip():  # torch ignores the checksums
                raise zipfile.BadZipFile(f"the checksum of {wrong} is wrong")
        values: dict[str, Any] = torch.load(path, "cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"the checkpoint {path} is damaged ({reason})") from None
    environment = path.parent.parent / "environment.json"
    if not isinstance(values, dict) or values.get("environment") != sha256(environment, MOST_BYTES):
        raise DataError(f"the checkpoint {path} is another run's, or {environment.name} is damaged")
    return values
