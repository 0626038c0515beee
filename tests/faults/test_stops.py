"""Kills, interrupts and full disks, each in a process of its own."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nmt.training.checkpoints import checkpoint_files
from tests.conftest import ROOT, take_signals, write_pairs


def start(*words: object, limit: int | None = None) -> subprocess.Popen[str]:
    def set_up() -> None:
        take_signals()
        if limit is not None:  # a file that grows past it fails as on a full disk
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        [sys.executable, "-m", "nmt", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=set_up,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def wait_for_checkpoints(folder: Path, number: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while len(checkpoint_files(folder)) < number:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(checkpoint_files(run / "checkpoints")[-1], weights_only=True)
    assert checkpoint["run"]["finished"]
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_weights() -> None:
    """Two kills at random moments; the script takes 20 where it is not told otherwise."""
    words = ["--kills", "2", "--training.max_updates", "60", "--training.validate_every", "20"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "kill_and_resume.py", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"after 2 kills all \d+ weight tensors are equal bit for bit", done.stdout)


@pytest.mark.parametrize(
    "stop",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
    ],
)
def test_interrupted_training_is_saved_and_says_so_in_one_line(
    tiny_config: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    run = tmp_path / "run"
    process = start("train", tiny_config, "--run", run, "--training.max_updates", "5000")
    wait_for_checkpoints(run / "checkpoints", 1, process)
    process.send_signal(stop)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    done = int(checkpoint_files(run / "checkpoints")[-1].stem.partition("-")[2])
    assert told.splitlines()[-1] == (
        f"nmt: interrupted; stopped after update {done}, which is saved; continue with --resume"
    )
    assert "once more stops at once" in told and "Traceback" not in told


@pytest.mark.slow
def test_a_full_disk_stops_training_in_one_line_and_keeps_what_was_there(
    tiny_config: Path, tmp_path: Path
) -> None:
    """The first checkpoint fits under no limit of 100 kB; the run can go on once there is room."""
    run = tmp_path / "run"
    process = start("train", tiny_config, "--run", run, limit=100_000)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.splitlines()[-1].startswith("nmt: error: ")
    assert "Traceback" not in told
    assert checkpoint_files(run / "checkpoints") == []
    _, told = (again := start("train", tiny_config, "--run", run, "--resume")).communicate()
    assert again.returncode == 0, told


def test_a_full_disk_keeps_the_old_translation(tiny_run: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("Der Hund schläft.\n" * 3000)
    out.write_text("old\n")
    process = start("translate", tiny_run, source, "-o", out, "--format", "jsonl", limit=20_000)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.splitlines()[-1].startswith(f"nmt: error: cannot write {out}: File too large")
    assert out.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_an_interrupted_translation_keeps_the_old_one(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = start("translate", tiny_run, pipe, "-o", out)
    with open(pipe, "w") as stream:  # opens once the process reads
        stream.write("Der Hund.\n" * 10)
        stream.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and told.endswith("nmt: interrupted\n")
    assert out.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pipe"]


def test_a_reader_that_leaves_is_no_error_to_speak_of(tiny_run: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.write_text("Der Hund schläft.\n" * 20_000)
    command = f"{sys.executable} -m nmt translate {tiny_run} {source} --greedy | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr and "rror" not in done.stderr


def test_half_a_checkpoint_is_never_picked_up(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", tiny_config, "--run", run]
    assert start(*words).wait() == 0
    before = weights(run)
    for path in checkpoint_files(run / "checkpoints")[-1:]:  # the last one, as if cut by a kill
        os.replace(path, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").write_bytes(b"half")
    _, told = (again := start(*words, "--resume")).communicate()
    assert again.returncode == 0, told
    assert "resuming from" in told and "update-000000020" in told
    assert all(torch.equal(value, before[name]) for name, value in weights(run).items())


@pytest.mark.parametrize("verb", ["train", "translate"])
def test_debug_shows_where_an_error_arose(verb: str, tmp_path: Path) -> None:
    _, told = (process := start(verb, tmp_path / "no", "--debug")).communicate()
    assert process.returncode != 0 and "Traceback" in told


@pytest.mark.slow
def test_training_on_data_that_changed_is_another_run(tiny_config: Path, tmp_path: Path) -> None:
    """Another corpus under the same path gives another fingerprint, so nothing stale is read."""
    write_pairs(tmp_path / "train", [("eins zwei drei vier", "one two three four")] * 50)
    words = [
        "train",
        tiny_config,
        "--data.splits.train",
        tmp_path / "train",
        "--tokenizer.model",
        "char",
        "--training.max_updates",
        "6",
    ]
    assert start(*words, "--run", tmp_path / "a").wait() == 0
    write_pairs(tmp_path / "train", [("eins zwei drei", "one two three")] * 60)
    assert start(*words, "--run", tmp_path / "b").wait() == 0
    facts = [
        json.loads((tmp_path / name / "environment.json").read_text())["data"] for name in "ab"
    ]
    assert facts[0]["fingerprint"] != facts[1]["fingerprint"]
    assert [fact["kept"] for fact in facts] == [50, 60]
