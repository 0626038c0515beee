"""A server in a process of its own, and three small models."""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nmt.config import DataConfig
from tests.conftest import MEMBER, save_member


@pytest.fixture(scope="session")
def attentive(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model with attention, German to English, that prunes nothing."""
    decoding = replace(MEMBER.decoding, prune=math.inf)
    folder = tmp_path_factory.mktemp("models") / "attentive"
    return save_member(tiny_run, folder, config=replace(MEMBER, decoding=decoding))


@pytest.fixture(scope="session")
def backwards(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model, English to German."""
    data = DataConfig(source_language="en", target_language="de")
    folder = tmp_path_factory.mktemp("models") / "backwards"
    return save_member(tiny_run, folder, config=replace(MEMBER, data=data))


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    url: str
    port: int
    process: "subprocess.Popen[str]"
    log: Path

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextlib.contextmanager
def serving(log: Path, *words: object) -> Iterator[Served]:
    """Run `nmt serve WORDS…` on a free port, with its log in a file."""
    command = [sys.executable, "-m", "nmt", "serve", *map(str, words), "--port", "0"]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, stderr=stream, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    try:
        while not (found := re.search(r"listening on (http://\S+:(\d+))", log.read_text())):
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        yield Served(found[1], int(found[2]), process, log)
    finally:
        process.kill()
        process.wait()
