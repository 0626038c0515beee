"""Translate a large file on a local Ray with one and two workers; compare, and kill.

    .venv/bin/python scripts/ray_checks.py MODEL FILE [--lines 200000] [--kill-lines 20000]
                                           [--OPTION VALUE … of nmt translate]

FILE is repeated up to so many lines. Every line's text and score are compared with those of one
process without Ray. Seconds are CPU seconds of a command's whole process tree, so other work on the
machine does not disturb them; the memory is the driver's. Then workers are killed with `kill -9`
at three moments, and a driver, whose job is resumed.
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
        self.memory: list[float] = []
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

    def _sample(self) -> Iterator[tuple[psutil.Process, str]]:
        found = []
        with contextlib.suppress(psutil.Error):
            self.memory.append(self.process.memory_info().rss / 2**20)
            for one in [self.process, *self.process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    times = one.cpu_times()
                    self._cpu[one] = times.user + times.system
                    found.append((one, one.cmdline()[0] if one.cmdline() else ""))
        return iter(found)


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
    parser.add_argument("--kill-lines", type=int, default=20_000)
    arguments, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speed(folder, arguments.model, arguments.file, arguments.lines, options)
        kills(folder, arguments.model, arguments.file, arguments.kill_lines, options)


def corpus(folder: Path, file: Path, lines: int) -> Path:
    """Write the corpus."""
    path = folder / f"lines-{lines}"
    with open(file, "rb") as stream, open(path, "wb") as out:
        out.writelines(itertools.islice(itertools.cycle(stream.readlines()), lines))
    return path


def speed(folder: Path, model: str, file: Path, lines: int, options: list[str]) -> None:
    """Compare one process, one worker and two."""
    source = corpus(folder, file, lines)
    words = [model, str(source), "--format", "jsonl", "--threads", "1", *options]
    done: dict[str, Measured] = {}
    calls = {"plain": [], "2 workers": ["--workers", "2"], "1 worker": ["--workers", "1"]}
    for name, more in calls.items():
        engine = ["--engine", "ray", *more] if more else []
        out = folder / name
        done[name] = Measured([*words, *engine, "-o", str(out)], folder / "log")
        done[name].finish()
        one = done[name]
        rate = lines / one.seconds
        print(
            f"{name}: {one.seconds:.0f} CPU s, {rate:.0f} lines per CPU s, wall {one.wall:.0f} s",
            flush=True,
        )
        if more:
            comparison = compare(folder / "plain", out / f"{source.name}.jsonl")
            share = done["plain"].seconds / one.seconds
            tenth = len(one.memory) // 10
            first, last = (one.memory[n] for n in (2 * tenth, 9 * tenth))
            print(
                f"  {comparison}; {share:.2f} of the speed of plain; driver {first:.0f} MiB after "
                f"a fifth, {last:.0f} after nine tenths, at most {max(one.memory):.0f}",
                flush=True,
            )
    wall = done["1 worker"].wall / done["2 workers"].wall
    cost = 2 * done["1 worker"].seconds / done["2 workers"].seconds
    print(f"two workers ÷ one: {cost:.2f} by CPU seconds, {wall:.2f} by wall time")


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
                yield process.cmdline()[0] if process.cmdline() else ""


if __name__ == "__main__":
    main()
