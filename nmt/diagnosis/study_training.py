"""Trains several runs side by side, each in a process with one thread.

Two such processes do more than one with two threads: small products do not share well.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import NmtError


@dataclass(frozen=True)
class _Child:
    """A training that is going on.

    Attributes:
        run: its folder.
        log: what it says goes here.
        began: when, on the monotonic clock; None where it goes on with a run that had begun.
        process: it.
    """

    run: Path
    log: Path
    began: float | None
    process: subprocess.Popen[bytes]


def train_all(
    config: Path, runs: Mapping[Path, list[str]]
) -> Generator[tuple[Path, float | None], None, None]:
    """Train runs, or go on with them, as many at a time as there are processors.

    Close the generator: trainings that are still going then keep what they have done, and end.

    Args:
        config: what they have in common.
        runs: keys and values of each, by its folder.

    Yields:
        Each run that is finished, with the minutes that it took; None where it had begun before.

    Raises:
        NmtError: one failed; it says what that one said last.
    """
    waiting, going = list(runs.items()), list[_Child]()
    finished: list[_Child] = []
    try:
        while waiting or going or finished:
            while waiting and len(going) < _processors():
                going.append(_start(config, *waiting.pop(0)))
            for child in [child for child in going if child.process.poll() is not None]:
                going.remove(child)
                finished.append(child)
            if finished:
                child = finished.pop(0)
                yield child.run, _minutes(child)
            else:
                time.sleep(0.1)
    finally:
        _stop(going)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _start(config: Path, run: Path, keys: list[str]) -> _Child:
    words = ["train", str(config), "--run", str(run), "--resume", *keys]
    began = None if run.exists() else time.monotonic()
    log = run.with_name(f"{run.name}.log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "nmt", *words],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C comes to us alone; a second signal would be harsh
        )
    return _Child(run, log, began, process)


def _minutes(child: _Child) -> float | None:
    """Return how long a child took that has ended, and well."""
    took = None if child.began is None else (time.monotonic() - child.began) / 60
    if child.process.returncode != 0:
        said = child.log.read_text(encoding="utf-8", errors="replace").strip()
        last = said.rpartition("\n")[2].removeprefix("nmt: error: ")
        raise NmtError(f"training of {child.run} failed: {last or child.process.returncode}")
    return took


def _stop(going: list[_Child]) -> None:
    """Let children end their update and write a checkpoint; at once where that is interrupted."""
    try:
        for child in going:
            child.process.terminate()
        for child in going:
            child.process.wait()
    finally:
        for child in going:
            child.process.kill()
