"""Proof, for the user's own config, that a killed run goes on to the very same weights."""

import dataclasses
import logging
import multiprocessing
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nmt.config import Config
from nmt.errors import NmtError
from nmt.training.checkpoints import checkpoint_files
from nmt.training.run import Rehearsal, train

_log = logging.getLogger("nmt")
_UPDATES, _VALIDATE, _CHECKPOINT, _KILL = 30, 10, 7, 18


def verify_resume(config: Config) -> None:
    """Train a little, do the same with a `kill -9` and `--resume` in between, and compare.

    All that a checkpoint holds is compared: weights, optimizer, schedule, random states, place in
    the data, patience and best score. Test splits are left out, validation is cut to a few
    sentences, and the run is short; all else is as configured.

    Raises:
        NmtError: a run failed, or the two ends are not the same.
    """
    config = _short(config)
    with tempfile.TemporaryDirectory(prefix="nmt-verify-") as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        _log.info("1 of 3: %d updates without a stop", _UPDATES)
        _run(config, whole)
        _log.info("2 of 3: the same, killed after update %d", _KILL)
        _run(config, killed, kill_after=_KILL)
        _log.info("3 of 3: the killed run goes on")
        _run(config, killed)
        ends = [_last_checkpoint(run) for run in (whole, killed)]
    differences = list(_differences(ends[0], ends[1]))
    if differences:
        raise NmtError(
            f"the resumed run differs from the one without a stop in {len(differences)} values, "
            f"first in {differences[0]}; on a GPU some kernels are not deterministic"
        )
    _log.info(
        "resume verified: after %d updates weights, optimizer, schedule, random states, place in "
        "the data, patience and best score are equal bit for bit",
        _UPDATES,
    )


def _short(config: Config) -> Config:
    return dataclasses.replace(
        config,
        training=dataclasses.replace(
            config.training,
            max_updates=_UPDATES,
            max_epochs=None,
            warmup_updates=min(config.training.warmup_updates, _UPDATES // 3),
            validate_every=_VALIDATE,
            checkpoint_every=_CHECKPOINT,
        ),
    )


def _run(config: Config, run: Path, kill_after: int | None = None) -> None:
    """Train in a process of its own, which may kill itself."""
    context = multiprocessing.get_context("spawn")
    told = context.SimpleQueue()
    process = context.Process(target=_train, args=(config, run, kill_after, told))
    process.start()
    process.join()
    if not told.empty():
        raise NmtError(told.get())
    if process.exitcode != (0 if kill_after is None else -9):
        raise NmtError(f"the run to verify ended with exit code {process.exitcode}")


def _train(config: Config, run: Path, kill_after: int | None, told: Any) -> None:
    try:
        train(config, run, True, Rehearsal(kill_after))
    except NmtError as error:
        told.put(str(error))


def _last_checkpoint(run: Path) -> dict[str, Any]:
    path = checkpoint_files(run / "checkpoints")[-1]
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


def _differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Walk two checkpoints, and name the values that are not the same."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if not torch.equal(one, other):
            yield path
    elif type(one) is not type(other):
        yield path
    elif isinstance(one, dict) and one.keys() == other.keys():
        for key in one:
            yield from _differences(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _differences(*pair, f"{path}/{number}")
    elif one != other:
        yield path
