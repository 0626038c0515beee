"""Where the machine or the training gives in: one line with a remedy, and nothing is left."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nmt.config import load_config
from nmt.inference.file_translation import LineWriter, translate_lines
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.storage import atomic_write
from nmt.training.run import train
from tests.conftest import Command

KILLED = """
import os, signal, sys
from pathlib import Path
from nmt.storage import atomic_folder, atomic_write
out, folder = Path(sys.argv[1], "out"), Path(sys.argv[1], "set")
with atomic_write(out) as stream, atomic_folder(folder) as new:
    (new / "file").write_text("half")
    stream.write(b"half")
    stream.flush()
    print("written", flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()
"""


def writing(folder: Path, how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "written\n"
    return process


def test_what_a_killed_command_left_is_cleared_and_what_lives_is_not(tmp_path: Path) -> None:
    writing(tmp_path, "die").wait()
    assert len(list(tmp_path.iterdir())) == 2
    living = writing(tmp_path, "live")
    (tmp_path / ".mine.tmp").write_text("of another program")
    assert len(list(tmp_path.iterdir())) == 3  # it has cleared away what the killed one left
    with atomic_write(tmp_path / "other") as stream:
        stream.write(b"whole")
    assert len(list(tmp_path.iterdir())) == 4
    living.communicate()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.tmp", "other", "out", "set"]


def test_names_as_long_as_the_system_allows_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    with atomic_write(path) as stream:
        stream.write(b"whole")
    assert path.read_bytes() == b"whole"


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(*arguments: object, **settings: object) -> torch.Tensor:
        raise error

    monkeypatch.setattr(Seq2Seq, "loss", loss)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_training_without_memory_names_the_remedy(
    error: Exception,
    tiny_config: Path,
    tmp_path: Path,
    nmt: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_with(error, monkeypatch)
    done = nmt("train", tiny_config, "--run", tmp_path / "run")
    assert done.code == 1 and "training.batch_tokens (256)" in done.err.splitlines()[-1]
    assert "unexpected" not in done.err


def test_another_error_of_training_is_not_taken_for_it(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(RuntimeError("shapes differ"), monkeypatch)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(load_config(tiny_config), tmp_path / "run")


def test_a_killed_loader_worker_ends_training_in_one_line(
    tiny_config: Path, tmp_path: Path
) -> None:
    words = ["train", tiny_config, "--run", tmp_path / "run", "--training.workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nmt", *map(str, [*words, "--training.max_updates", "100000"])],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    checkpoints, deadline = tmp_path / "run" / "checkpoints", time.monotonic() + 120
    while not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert err.splitlines()[-1].startswith("nmt: error: training.workers: 1: ")


def test_a_loss_that_explodes_is_no_success(
    tiny_config: Path, tmp_path: Path, nmt: Command
) -> None:
    words = ["train", tiny_config, "--run", tmp_path / "run", "--training.warmup_updates", "0"]
    done = nmt(
        *words,
        "--training.learning_rate",
        "10",
        "--training.clip_norm",
        "0",
        "--training.max_updates",
        "25",
    )
    assert done.code == 1 and "training.learning_rate" in done.err.splitlines()[-1]


def test_a_loss_above_guessing_is_warned_of(
    tiny_config: Path, tmp_path: Path, nmt: Command
) -> None:
    words = ["train", tiny_config, "--run", tmp_path / "run", "--training.warmup_updates", "0"]
    done = nmt(*words, "--training.learning_rate", "0.7", "--training.max_updates", "10")
    lines = [line for line in done.err.splitlines() if "of guessing" in line]
    assert done.code == 0 and "5.7" in lines[0] and "0.7" in lines[0]  # ln 300 = 5.70
    done = nmt("train", tiny_config, "--run", tmp_path / "good")
    assert done.code == 0 and "of guessing" not in done.err


def test_a_chunk_is_bounded_by_its_characters(tiny_run: Path) -> None:
    translator, seen = Translator.load(tiny_run), []
    translate = Translator.translate

    def counted(self: Translator, sentences: list[str], *rest: object, **more: object) -> object:
        seen.append(sum(map(len, sentences)))
        return translate(self, ["a"] * len(sentences), *rest, **more)

    translator.translate = counted.__get__(translator)  # type: ignore[method-assign]
    line = "wort " * 200_000
    lines = ["kurz", *(line for _ in range(9)), *("kurz" for _ in range(5000))]
    writer = LineWriter(io.BytesIO(), "text")
    translate_lines(translator, lines, writer, translator.options(greedy=True))
    assert writer.lines == len(lines) and sum(seen) == sum(map(len, lines))
    assert max(seen) < 2**21 + 10**6
