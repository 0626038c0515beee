"""Trains several runs side by side, each in a process with one thread.

Two such processes are faster than one with two threads: small matrix products scale badly.
"""

import os
import subprocess
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from nmt.errors import NmtError
from nmt.processes import COMMAND, ChildProcess, last_error


def train_all(config: Path, runs: Mapping[Path, list[str]]) -> Generator[Path, None, None]:
    """Train or resume runs, one for each usable processor at a time, and yield each at its end.

    Closing the generator stops the training runs; each writes a checkpoint first. If this process
    is killed, they are, too.

    Args:
        config: of all runs.
        runs: further keys and values of each run, by its folder.

    Raises:
        NmtError: a training run failed; the message holds the last line of its log.
    """
    waiting, running = list(runs), dict[ChildProcess, Path]()
    try:
        while waiting or running:
            while waiting and len(running) < len(os.sched_getaffinity(0)):
                run = waiting.pop(0)
                words = ["train", str(config), "--run", str(run), "--resume", *runs[run]]
                with run.with_name(f"{run.name}.log").open("wb") as log:
                    child = ChildProcess(
                        *(COMMAND, *words),
                        env=os.environ | {"OMP_NUM_THREADS": "1"},
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                    )
                running[child] = run
            for child in [child for child in running if child.poll() is not None]:
                run = running.pop(child)
                child.end()
                if child.returncode != 0:
                    fault = last_error(run.with_name(f"{run.name}.log")) or child.returncode
                    raise NmtError(f"training of {run} failed: {fault}")
                yield run
            time.sleep(0.1)
    finally:
        for child in running:
            child.terminate()  # it finishes its update and writes a checkpoint
        for child in running:
            child.wait()
            child.end()
