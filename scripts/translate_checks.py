#!/usr/bin/env python
"""Translate a large file with one process and with several workers; compare, and kill.

    .venv/bin/python scripts/translate_checks.py MODEL FILE [--lines 200000] [--calls NAME …]
                                                 [--kill-lines 20000] [--OPTION VALUE …]

FILE is repeated up to so many lines. Every line's text and score are compared with those of one
process. The CPU seconds are those of a command's whole process tree, so other work on the machine
disturbs them less than the wall time. Memory is the resident set of the main process, and the sum
over all processes. With --kill-lines, workers of Ray are then killed with `kill -9` at three
moments, and a driver, whose job is resumed. Further options are those of `nmt translate`.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

WORKER = "ray::MapWorker(MapBatches(BlockTranslator))"
CALLS = {
    "one process": [],
    "2 workers": ["--workers", "2"],
    "ray, 1 worker": ["--engine", "ray", "--workers", "1"],
    "ray, 2 workers": ["--engine", "ray", "--workers", "2"],
}


class Measured:
    """A command and the CPU time of its process tree.

    Args:
        words: of `nmt translate`.
        log: file for its standard error.
    """

    def __init__(self, words: list[str], log: Path):
        command = [sys.executable, "-m", "nmt", "translate", *words]
        with open(log, "wb") as stream:
            self.process = psutil.Popen(command, stderr=stream, start_new_session=True)
        self.log, self.started, self.seconds = log, time.perf_counter(), 0.0
        self.memory: list[tuple[float, float]] = []
        """MiB of the main process and of all, at regular times."""
        self._cpu: dict[psutil.Process, float] = {}

    def workers(self) -> list[psutil.Process]:
        """Return the processes that translate."""
        return [one for one, name in self._sample() if name.startswith(WORKER[:15])]

    def wait(self, until: Callable[[], bool] = lambda: False) -> None:
        """Sample until the end, or until a condition holds."""
        while self.process.poll() is None and not until():
            self._sample()
            time.sleep(0.2)
        self.seconds = sum(self._cpu.values())

    def finish(self) -> None:
        """Wait for a good end."""
        self.wait()
        if self.process.wait() != 0:
            sys.exit(f"nmt translate failed:\n{self.log.read_text()}")
        self.wall = time.perf_counter() - self.started

    def _sample(self) -> list[tuple[psutil.Process, str]]:
        found = []
        with contextlib.suppress(psutil.Error):
            sizes = []
            for one in [self.process, *self.process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times = one.cpu_times()
                    self._cpu[one] = times.user + times.system
                    sizes.append(one.memory_info().rss / 2**20)
                    found.append((one, "".join(one.cmdline()[:1])))
            self.memory.append((sizes[0], sum(sizes)))
        return found


def rows(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, or of a folder's files in order."""
    for part in sorted(out.glob("*.jsonl")) if out.is_dir() else [out]:
        with open(part, encoding="utf-8") as stream:
            yield from map(json.loads, stream)


def compare(plain: Path, other: Path) -> str:
    """Count the lines that differ."""
    lines = texts = scores = 0
    for one, two in itertools.zip_longest(rows(plain), rows(other)):
        if one is None or two is None or one["line"] != two["line"]:
            sys.exit(f"{other}: after line {lines} the lines do not correspond")
        lines += 1
        texts += one["text"] != two["text"]
        scores += one["score"] != two["score"]
    return f"{lines:,} lines: {texts} texts and {scores} scores differ"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--lines", type=int, default=200_000)
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=list(CALLS), metavar="NAME")
    parser.add_argument("--kill-lines", type=int)
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = corpus(folder, arguments.file, arguments.lines)
        words = [arguments.model, str(source), "--format", "jsonl", "--threads", "1", *options]
        speed(folder, words, arguments.lines, arguments.calls)
        if arguments.kill_lines:
            kills(folder, arguments.model, arguments.file, arguments.kill_lines, options)


def corpus(folder: Path, file: Path, lines: int) -> Path:
    """Write the corpus."""
    text = file.read_bytes().removesuffix(b"\n")
    if not text:
        sys.exit(f"translate_checks: {file} is empty")
    path = folder / f"lines-{lines}"
    with open(path, "wb") as out:
        repeated = itertools.cycle(text.split(b"\n"))
        out.writelines(row + b"\n" for row in itertools.islice(repeated, lines))
    return path


def speed(folder: Path, words: list[str], lines: int, names: list[str]) -> None:
    """Time each call, and compare it with the first."""
    first: Measured | None = None
    for name in names:
        one = Measured([*words, *CALLS[name], "-o", str(folder / name)], folder / "log")
        one.finish()
        print(
            f"{name}: {one.seconds:.0f} CPU s, {lines / one.seconds:.0f} lines per CPU s; "
            f"wall {one.wall:.0f} s, {lines / one.wall:.0f} lines/s"
        )
        at = (len(one.memory) // 20, 9 * len(one.memory) // 10)
        early, late = (one.memory[number] for number in at)
        most = [max(sizes) for sizes in zip(*one.memory, strict=True)]
        for who, begin, end, peak in zip(("main", "all"), early, late, most, strict=True):
            print(
                f"  {who}: {begin:.0f} MiB after a twentieth, {end:.0f} after nine tenths, "
                f"at most {peak:.0f}"
            )
        if first is None:
            first = one
        else:
            out = folder / name
            made = out / f"lines-{lines}.jsonl" if out.is_dir() else out
            cpu, wall = first.seconds / one.seconds, first.wall / one.wall
            print(f"  {compare(folder / names[0], made)}")
            print(f"  of {names[0]}: {cpu:.2f} by CPU seconds, {wall:.2f} by wall time")
        sys.stdout.flush()


def kills(folder: Path, model: str, file: Path, lines: int, options: list[str]) -> None:
    """Kill workers, then a driver."""
    source = corpus(folder, file, lines)
    words = [model, str(source), "--format", "jsonl", "--threads", "1", *options]
    plain = Measured([*words, "-o", str(folder / "whole")], folder / "log")
    plain.finish()
    words += ["--engine", "ray", "--workers", "2", "--block-lines", "500"]
    for name, share in (("at the start", 0.0), ("halfway", 0.5), ("near the end", 0.9)):
        out = folder / f"killed {name}"
        one = started(words, out, folder / "log", share * lines / 500)
        os.kill(one.workers()[0].pid, signal.SIGKILL)
        one.finish()
        comparison = compare(folder / "whole", out / f"{source.name}.jsonl")
        print(f"worker killed {name}: {comparison}", flush=True)
    out = folder / "driver killed"
    one = started(words, out, folder / "log", lines / 1000)
    one.process.kill()
    one.process.wait()
    while any(name.startswith("ray::") for name in names(one)):
        time.sleep(0.2)
    before = {part: part.stat().st_mtime_ns for part in out.rglob("*.jsonl") if part.is_file()}
    Measured([*words, "-o", str(out), "--resume"], folder / "log").finish()
    again = sum(part.stat().st_mtime_ns != written for part, written in before.items())
    comparison = compare(folder / "whole", out / f"{source.name}.jsonl")
    print(f"driver killed: {comparison}; {again} of {len(before)} finished blocks translated again")


def started(words: list[str], out: Path, log: Path, blocks: float) -> Measured:
    """Start a job, and return once it has workers and so many blocks."""
    one = Measured([*words, "-o", str(out)], log)
    one.wait(lambda: one.workers() != [] and len(list(out.glob("*/*.jsonl"))) >= blocks)
    return one


def names(one: Measured) -> Iterator[str]:
    """Yield the names of a command's processes that are still there."""
    for process in one._cpu:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                yield "".join(process.cmdline()[:1])


if __name__ == "__main__":
    main()
