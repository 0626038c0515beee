"""`nmt translate --workers`: the texts of one process, whatever happens to the others."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from nmt.data.phrases import read_split
from nmt.inference.workers import ModelCopy
from tests.conftest import Command, save_member, take_signals
from tests.test_processes import wait_for_end


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    lines = ["", "  ", *(source for source, _ in read_split("train")[:300]), "wort " * 2000]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_workers_have_one_model_though_training_replaces_it(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, newer = tmp_path / "model", save_member(tiny_run, tmp_path / "newer")
    shutil.copytree(tiny_run / "model", model)
    read = Path.read_bytes

    def read_and_replace(path: Path) -> bytes:
        data = read(path)
        if path.name == "config.yaml" and newer.exists():
            shutil.rmtree(model)
            newer.rename(model)
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_replace)
    (files,) = ModelCopy.of([str(model)], "cpu", "fp32", 1).bundles
    assert not newer.exists()
    assert files == {path.name: read(path) for path in model.iterdir()}


@pytest.mark.parametrize(
    "words",
    [
        "--format jsonl --n-best 2",
        "--format tsv --greedy --batch-size 4",
        "--precision int8 --prune 1 --shortlist 40",
        "--sample --temperature 0.5 --seed 4",
        "--prefix-file {prefixes}",
        "--ensemble {run} --format jsonl",
    ],
)
def test_two_workers_write_what_one_process_writes(
    nmt: Command, tiny_run: Path, source: Path, words: str
) -> None:
    prefixes = source.with_name("prefixes")
    prefixes.write_text("".join(f"{word}\n" for word in ("", "The", "A dog") for _ in range(101)))
    given = words.format(prefixes=prefixes, run=tiny_run).split()
    alone, several = source.with_name("alone"), source.with_name("several")
    whole = nmt("translate", tiny_run, source, "-o", alone, "--threads", "1", *given)
    done = nmt("translate", tiny_run, source, "-o", several, "--workers", "2", *given)
    assert done.code == whole.code == 0, done.err
    assert several.read_bytes() == alone.read_bytes()
    named = [path.with_name(f"{path.name}.problems.tsv").read_bytes() for path in (alone, several)]
    assert b"was cut to" in named[0] and named[0] == named[1]


def test_a_worker_that_fails_to_load_is_one_line(
    nmt: Command, tiny_run: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.inference.workers.FILES", ("config.yaml", "bundle.json"))
    done = nmt("translate", tiny_run, source, "-o", source.with_name("out"), "--workers", "2")
    assert done.code == 2 and len(done.err.splitlines()) == 1, done.err
    assert list(source.parent.iterdir()) == [source]


def test_more_workers_than_the_machine_can_hold_are_refused(
    nmt: Command, tiny_run: Path, source: Path
) -> None:
    many = 1 + max(4, os.cpu_count() or 1)
    (other := source.with_name("other.de")).write_bytes(b"Gut.\n")
    out = source.with_name("out")
    for files in ([source], [source, other]):  # into a file, and into a folder
        done = nmt("translate", tiny_run, *files, "-o", out, "--workers", many)
        assert done.code == 2 and f"--workers: {many}" in done.err.splitlines()[-1]
        assert set(source.parent.iterdir()) == {source, other}


@pytest.mark.parametrize("attack", ["kill a worker", "kill", "interrupt"])
def test_an_attacked_translation_continues_with_the_same_call(
    nmt: Command, tiny_run: Path, tmp_path: Path, attack: str
) -> None:
    lines = [source for source, _ in read_split("train")[:2000]] * 3
    source, out, alone = (tmp_path / name for name in ("in.de", "out", "alone"))
    source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    words = ["translate", tiny_run, source, "--greedy"]
    call = [*words, "-o", out, "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "nmt", *map(str, call)],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_signals,
    )
    deadline = time.monotonic() + 120
    journal = tmp_path / "out.part.json"
    while not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    family = psutil.Process(process.pid).children(recursive=True)
    workers = [one for one in family if "spawn_main" in " ".join(one.cmdline())]
    assert len(workers) == 2
    if attack == "kill a worker":
        workers[0].kill()
    else:
        os.kill(process.pid, signal.SIGKILL if attack == "kill" else signal.SIGINT)
    told = process.communicate(timeout=120)[1]
    wait_for_end(family)
    if attack == "kill a worker":
        assert process.returncode == 1
        assert "one of 2 worker processes died" in told.splitlines()[-1]
    else:
        assert process.returncode == (-9 if attack == "kill" else 130)
    again = nmt(*call)
    assert again.code == 0 and "continuing after" in again.err
    assert nmt(*words, "-o", alone).code == 0
    assert out.read_bytes() == alone.read_bytes()
