"""`nmt translate --engine ray`, with a real Ray on this machine whose processes are killed."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow.dataset
import pytest

from nmt.data.phrases import read_split
from tests.conftest import Command, write_pairs

LINES = 1600  # far more than two workers finish before a kill
WORKER = "ray::MapWorker(MapBatches(BlockTranslator))"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with two inputs, of text and of JSON lines."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    pairs = read_split("train")[:LINES]
    write_pairs(folder / "one", pairs)
    (folder / "one.en").unlink()
    rows = [json.dumps({"de": source}) + "\n" for source, _ in pairs[:100]]
    (folder / "two.jsonl").write_text("".join(rows), encoding="utf-8")
    return folder


@contextlib.contextmanager
def started(*words: object) -> Iterator[psutil.Popen]:
    """Start the command; at the end of the block none of its processes is left."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-m", "nmt", "translate", *map(str, words)]
    process = psutil.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        for one in [*process.children(recursive=True), process] if process.is_running() else []:
            with contextlib.suppress(psutil.Error):
                one.kill()
        process.wait()


def wait(until: Callable[[], object], process: psutil.Popen) -> None:
    deadline = time.monotonic() + 400
    while not until():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(process: psutil.Popen) -> list[psutil.Process]:
    found = []
    for one in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "".join(one.cmdline()[:1]).startswith(WORKER):
                found.append(one)
    return found


def kill_worker(process: psutil.Popen) -> None:
    """Kill one that works; the other is idle or works, too."""
    both = workers(process)
    assert len(both) == 2
    os.kill(both[0].pid, signal.SIGKILL)


@pytest.mark.timeout(900)  # Ray starts in 10 s on two free cores, and in minutes on busy ones
def test_a_killed_driver_and_a_killed_worker_lose_no_line(
    nmt: Command, tiny_run: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [tiny_run, corpus, "-o", out, "--engine", "ray", "--block-lines", "5"]

    def parts() -> dict[Path, int]:
        """The finished blocks, with their time."""
        return {part: part.stat().st_mtime_ns for part in out.glob("*.parquet/*.parquet")}

    with started(*words, "--workers", "1") as process:
        wait(lambda: len(parts()) >= 10, process)
        working = workers(process)
        process.kill()
        process.wait()
        assert not psutil.wait_procs(working, timeout=60)[1]  # they do not outlive the driver
    before = parts()
    assert 10 <= len(before) < (LINES + 100) / 5
    assert not (out / "one.de").exists()  # appears when it is whole
    with started(*words, "--workers", "2", "--resume") as process:
        wait(lambda: len(parts()) >= len(before) + 2, process)
        kill_worker(process)
        told = process.communicate(timeout=800)[1]
        assert process.returncode == 0, told
    found = re.search(rf"{LINES + 100:,} lines, ([\d,]+) of an earlier call", told)
    # A worker that is killed between writing and reporting adds its block.
    assert found and int(found[1].replace(",", "")) - 5 * len(before) in (0, 5)
    after = parts()
    assert len(after) == (LINES + 100) / 5
    assert {part: after[part] for part in before} == before
    whole = nmt("translate", tiny_run, corpus / "one.de", "--format", "jsonl").out
    expected = [json.loads(row) for row in whole.splitlines()]
    for name, count in (("one.de", LINES), ("two", 100)):  # two holds the first lines of one
        rows = pyarrow.dataset.dataset(out / f"{name}.parquet").to_table().to_pylist()
        for key in ("line", "text", "score"):
            assert [row[key] for row in rows] == [row[key] for row in expected[:count]]
        text = (out / name).read_text(encoding="utf-8")
        assert text == "".join(f"{row['text']}\n" for row in expected[:count])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{tmp}/in.de", "--engine", "ray"], "--engine ray needs FILE and -o FOLDER"),
        (["--engine", "ray", "-o", "{tmp}/out"], "--engine ray needs FILE and -o FOLDER"),
        (["{tmp}/x.csv", "--engine", "ray", "-o", "{tmp}/out"], "x.csv: .csv is unsupported"),
        (
            ["{tmp}/in.de", "{tmp}/a/in.de", "--engine", "ray", "-o", "{tmp}/out"],
            "{tmp}/in.de and {tmp}/a/in.de have one output, in.de",
        ),
        (
            ["{tmp}/no", "--engine", "ray", "-o", "{tmp}/out"],
            "cannot read {tmp}/no: there is no such file",
        ),
        (
            ["{tmp}/in.de", "--engine", "ray", "-o", "{tmp}/out", "--prefix-file", "{tmp}/in.de"],
            "--prefix-file does not go with --engine ray",
        ),
        (
            ["{tmp}/in.de", "--engine", "ray", "-o", "{tmp}/out", "--format", "tsv"],
            "--format tsv does not go with --engine ray",
        ),
        (["{tmp}/in.de", "--engine", "ray", "-o", "{tmp}"], "-o {tmp} holds other files"),
        (["{tmp}/in.de", "--engine", "ray", "-o", "{tmp}/a"], "-o {tmp}/a holds other files"),
        (["{tmp}/in.de", "--engine", "ray", "-o", "{tmp}/in.de"], "in.de holds other files"),
        (
            ["{tmp}/in.de", "--engine", "ray", "-o", "{tmp}/out", "--workers", "0"],
            "--workers: 0 must be a whole number from 1",
        ),
        (["{tmp}/in.de", "--column", "x"], "--column does not go with --engine local"),
        (
            ["{tmp}/in.de", "--format", "parquet"],
            "--format parquet does not go with --engine local",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_calls_are_one_line_and_start_nothing(
    nmt: Command, tiny_run: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    (tmp_path / "a").mkdir()
    for name in ("in.de", "a/in.de", "x.csv"):
        (tmp_path / name).write_text("Gut.\n")
    before = sorted(tmp_path.rglob("*"))
    result = nmt("translate", tiny_run, *(word.format(tmp=tmp_path) for word in words))
    assert result.code == 2, result.err
    assert told.format(tmp=tmp_path) in result.err.splitlines()[-1]
    assert sorted(tmp_path.rglob("*")) == before


def test_ray_that_is_not_installed(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = nmt("translate", tiny_run, tmp_path / "in", "--engine", "ray", "-o", tmp_path / "out")
    assert result.code == 2 and result.err.endswith("pip install 'nmt[ray]'\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["{tmp}/latin"], 2, "latin: line 2, byte 1 (0xff) is not UTF-8"),
        (["{tmp}/x.jsonl"], 2, "x.jsonl: line 1: no columns 'de' or 'translation.de'"),
        (["{tmp}/in.de", "--workers", "3000"], 2, "--workers: 3000, and the cluster has room for"),
        (
            ["{tmp}/in.de", "--device", "cuda", "--workers", "99"],
            2,
            "--workers: 99, and the cluster has room for",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_on_the_cluster_is_one_line(
    tiny_run: Path, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    (tmp_path / "latin").write_bytes(b"gut\n\xff\n")
    (tmp_path / "x.jsonl").write_text('{"en": "x"}\n')
    (tmp_path / "in.de").write_text("Gut.\n")
    filled = [word.format(tmp=tmp_path) for word in words]
    with started(tiny_run, *filled, "--engine", "ray", "-o", tmp_path / "out") as process:
        err = process.communicate(timeout=400)[1]
    assert process.returncode == code
    assert told in err.splitlines()[-1] and "Traceback" not in err
