"""Verifies for the user's own config that a killed run resumes to the same weights."""

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from nmt.config import Config, dump_config
from nmt.data.corpus import corpus_places
from nmt.errors import NmtError
from nmt.log import log
from nmt.processes import COMMAND, ChildProcess, last_error
from nmt.training.checkpoints import checkpoint_files, read_checkpoint

_UPDATES, _VALIDATE, _CHECKPOINT = 30, 10, 7


def verify_resume(config: Config) -> None:
    """Train a short run, repeat it with `kill -9` and `--resume` in between, and compare the two.

    Compares everything in a checkpoint: weights, optimizer, schedule, random states, position in
    the data, patience and best score. The run is short and has no test splits; all other settings
    are as configured.

    Raises:
        NmtError: a run failed, or the two results differ.
    """
    with tempfile.TemporaryDirectory(prefix="nmt-verify-") as folder:
        whole, killed, path = (Path(folder, name) for name in ("whole", "killed", "short.yaml"))
        path.write_text(dump_config(_short(config)), encoding="utf-8")
        log.info("1 of 3: %d updates without a stop", _UPDATES)
        _run(path, whole)
        log.info("2 of 3: the same, killed after update %d", 2 * _CHECKPOINT)
        _run(path, killed, kill_after=2 * _CHECKPOINT)
        log.info("3 of 3: the killed run resumes")
        _run(path, killed)
        ends = [_last_checkpoint(run) for run in (whole, killed)]
    differences = list(_differences(ends[0], ends[1]))
    if differences:
        raise NmtError(
            f"the resumed run differs from the one without a stop in {len(differences)} values, "
            f"first in {differences[0]}; on a GPU some kernels are not deterministic"
        )
    log.info(
        "resume verified: after %d updates weights, optimizer, schedule, random states, position "
        "in the data, patience and best score are equal bit for bit",
        _UPDATES,
    )


def _short(config: Config) -> Config:
    splits = {
        name: place if name in ("train", "validation") else None
        for name, place in corpus_places(config.data).items()
    }
    training = dataclasses.replace(
        config.training.shortened(_UPDATES),
        validate_every=_VALIDATE,
        checkpoint_every=_CHECKPOINT,
        loggers=["csv"],
    )
    data = dataclasses.replace(config.data, splits=splits)
    return dataclasses.replace(config, data=data, training=training)


def _run(config: Path, run: Path, kill_after: int | None = None) -> None:
    """Start or resume a run, and wait for its end, or kill it after the checkpoint of an update.

    Raises:
        NmtError: the run failed; with its own message.
    """
    output = run.with_suffix(".log")
    with open(output, "wb") as stream:
        words = ("train", str(config), "--run", str(run), "--resume")
        process = ChildProcess(COMMAND, *words, stderr=stream)
        try:
            while process.poll() is None:
                time.sleep(0.01)
                last = checkpoint_files(run / "checkpoints")[-1:]
                if kill_after is not None and last and last[0].stem >= f"update-{kill_after:09d}":
                    return
        finally:
            process.end()
    if process.returncode or kill_after is not None:
        raise NmtError(last_error(output) or "no reason given")


def _last_checkpoint(run: Path) -> dict[str, Any]:
    path = checkpoint_files(run / "checkpoints")[-1]
    checkpoint = read_checkpoint(path)
    # After a resume at the end of an epoch, Lightning counts epochs anew. We use the data module's.
    # A resumed run's settings have no `init_from`: the checkpoint has the weights.
    del checkpoint["loops"], checkpoint["hyper_parameters"]
    return checkpoint


def _differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the values that differ between two checkpoints."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        if not torch.equal(first, second):
            yield path
    elif type(first) is not type(second):
        yield path
    elif isinstance(first, dict) and first.keys() == second.keys():
        for key in first:
            yield from _differences(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, list | tuple) and len(first) == len(second):
        for number, pair in enumerate(zip(first, second, strict=True)):
            yield from _differences(*pair, f"{path}/{number}")
    elif first != second:
        yield path
