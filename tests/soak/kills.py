"""Attacks by signals: a command that is killed at any moment, or whose reader leaves."""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch

from nmt.bundle import load_bundle
from nmt.cli.main import main
from nmt.processes import _empty_main
from nmt.reading import sha256
from tests.soak.files import LINE, fresh
from tests.soak.kinds import PATIENCE, Outcome, World, kind, nmt
from tests.training.made import last_weights

_PROCESSES = multiprocessing.get_context("forkserver")  # it has imported torch, so starts are quick
_PROCESSES.set_forkserver_preload(
    [
        "tests.soak.kills",
        "nmt.training.run",
        "nmt.cli.translate",
        "nmt.cli.evaluate",
        "nmt.cli.tuning",
    ]
)
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def _command(words: list[str], out: Connection | None, log: Path) -> None:
    """Be `nmt WORDS…`, in a process group of its own."""
    os.setsid()
    torch.set_num_threads(1)  # as in the process that compares the weights
    stderr = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stderr if out is None else out.fileno(), 1)
    os.dup2(stderr, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    if out is not None:
        out.close()
    main(words)


def begin(words: list[object], log: Path, out: Connection | None = None) -> ForkServerProcess:
    """Start `nmt WORDS…`; both streams go to a file, or standard output to a pipe."""
    with _empty_main():
        process = _PROCESSES.Process(target=_command, args=([*map(str, words)], out, log))
        process.start()
    return process


def send(how: signal.Signals, process: int) -> None:
    """Signal a command and its children."""
    try:
        os.killpg(process, how)
    except ProcessLookupError:  # it is too young to have a group of its own
        os.kill(process, how)


def kill(words: list[object], wait: float, how: signal.Signals | None, log: Path) -> Outcome | bool:
    """Run a command and kill it, or close its standard output where `how` is None.

    Returns:
        False where it had ended by then; else what was wrong with its end.
    """
    reader, writer = _PROCESSES.Pipe(duplex=False)
    process = begin(words, log, writer if how is None else None)
    writer.close()
    process.join(wait)
    if process.exitcode is not None:
        reader.close()
        return False
    try:
        reader.close()
        if how is not None:
            send(how, process.pid or 0)
        process.join(PATIENCE)
        if process.exitcode is None:
            return f"goes on after {how}"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            os.killpg(process.pid or 0, 0)
            time.sleep(0.02)
        return "left a process behind"
    except ProcessLookupError:
        told = log.read_text(encoding="utf-8", errors="replace")
        bad = "Traceback" in told or "unexpected" in told
        return told[-300:] if bad else None
    finally:
        if process.exitcode is None:
            send(signal.SIGKILL, process.pid or 0)


def kills(
    world: World,
    words: list[object],
    prepare: Callable[[], object],
    fault_of: Callable[[], Outcome],
    *,
    pipe: bool = False,
) -> Iterator[Outcome]:
    """Kill a command again and again.

    Args:
        world: where.
        words: of the command.
        prepare: called before each case.
        fault_of: says what a kill has broken; it may run the command again.
        pipe: close the standard output instead.
    """
    draw = random.Random(world.seed)
    log = world.folder / "log"
    for _ in range(2):  # the first one waits for the imports
        prepare()
        start = time.monotonic()
        kill(words, PATIENCE, signal.SIGKILL, log)
        usual = time.monotonic() - start
    while True:
        prepare()
        how = None if pipe else draw.choice(_SIGNALS)
        told = kill(words, draw.uniform(0, usual), how, log)
        if told is False:
            continue
        fault = told or fault_of()
        yield f"{words[0]} {how}: {fault}" if fault else None


def left_behind(folder: Path) -> Outcome:
    """Name the temporary files in a folder."""
    names = [path.name for path in folder.rglob("*") if path.suffix in (".tmp", ".part", ".old")]
    return f"{names} are left" if names else None


def again(*words: object) -> Outcome:
    """Run a command to its end."""
    code, _, err = nmt(*words)
    return None if code == 0 else f"again: exit {code}: {err[-200:]}"


@kind("kills of train", goal=70, share=0.4)
def train(world: World) -> Iterator[Outcome]:
    """Training goes on to the same weights."""
    run, expected = world.folder / "run", last_weights(world.run)
    words = ["train", world.config, "--run", run, "--resume"]

    def fault() -> Outcome:
        if told := again(*words) or left_behind(run):
            return told
        found = last_weights(run)
        same = all(torch.equal(weight, found[name]) for name, weight in expected.items())
        return None if same else "other weights"

    yield from kills(world, words, lambda: shutil.rmtree(run, ignore_errors=True), fault)


def _translation(world: World) -> tuple[Path, Path, bytes]:
    source = world.folder / "in"
    source.write_text(LINE * 4_000)
    out = world.folder / "texts" / "out"
    out.parent.mkdir()
    assert again("translate", world.run, source, "-o", out, "--greedy") is None
    return source, out, out.read_bytes()


@kind("kills of translate", goal=60, share=0.08)
def translate(world: World) -> Iterator[Outcome]:
    """The output is the old or the new one, and the next call clears up."""
    source, out, expected = _translation(world)
    words = ["translate", world.run, source, "-o", out, "--greedy"]

    def fault() -> Outcome:
        if out.read_bytes() not in (b"old\n", expected):
            return "half an output"
        if told := again(*words) or left_behind(out.parent):
            return told
        return None if out.read_bytes() == expected else "another output"

    yield from kills(world, words, lambda: out.write_bytes(b"old\n"), fault)


@kind("readers that leave translate", goal=20, share=0.03)
def pipes(world: World) -> Iterator[Outcome]:
    """Whoever reads standard output leaves."""
    source, _, _ = _translation(world)
    words = ["translate", world.run, source, "--greedy"]
    yield from kills(world, words, lambda: None, lambda: None, pipe=True)


@kind("kills of export", goal=30, share=0.03)
def export(world: World) -> Iterator[Outcome]:
    """The bundle is the old or the new one."""
    out = world.folder / "models" / "out"
    out.parent.mkdir()
    words = ["export", world.run, out, "--precision", "int8"]

    def fault() -> Outcome:
        load_bundle(out)
        return again(*words) or left_behind(out.parent)

    yield from kills(world, words, lambda: fresh(world.run / "model", out), fault)


@kind("kills of report", goal=20, share=0.04)
def report(world: World) -> Iterator[Outcome]:
    """The page is the old or the new one."""
    run = fresh(world.run, world.folder / "run")
    page = run / "report.html"

    def fault() -> Outcome:
        if page.read_text() != "old" and "</html>" not in page.read_text()[-50:]:
            return "half a page"
        return again("report", run) or left_behind(run)

    yield from kills(world, ["report", run], lambda: page.write_text("old"), fault)


@kind("kills of evaluate --tune", goal=20, share=0.15)
def tune(world: World) -> Iterator[Outcome]:
    """The bundle loads, with the same weights."""
    model = fresh(world.run / "model", world.folder / "models" / "model")
    weights = sha256(model / "weights.safetensors")
    folder = world.config.parent
    words = ["evaluate", model, "--tune", "--source", folder / "val.de"]
    words += ["--reference", folder / "val.en"]

    def fault() -> Outcome:
        load_bundle(model)
        if sha256(model / "weights.safetensors") != weights:
            return "other weights"
        return again(*words) or left_behind(model.parent)

    yield from kills(world, words, lambda: fresh(world.run / "model", model), fault)
