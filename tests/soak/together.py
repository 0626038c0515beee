"""Attacks by company: commands that work in one place at the same time."""

import random
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tests.soak.files import LINE
from tests.soak.kills import again, begin, left_behind
from tests.soak.kinds import PATIENCE, Outcome, World, kind, refusal_fault
from tests.training.made import last_weights


def together(calls: Sequence[Sequence[object]], pause: float, folder: Path) -> Outcome:
    """Run commands at once; say what is wrong, unless each ends well or in one line, and one well.

    Args:
        calls: the commands.
        pause: seconds between two starts.
        folder: gets their logs.
    """
    logs = [folder / f"log-{number}" for number in range(len(calls))]
    processes = []
    for words, log in zip(calls, logs, strict=True):
        processes.append(begin([*words], log))
        time.sleep(pause)
    for process in processes:
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            return "hangs"
    codes = [process.exitcode or 0 for process in processes]
    told = [log.read_text(encoding="utf-8") for log in logs]
    faults = [refusal_fault(code, err) for code, err in zip(codes, told, strict=True) if code != 0]
    nobody = [f"nobody is done: {told}"] if 0 not in codes else []
    return next(filter(None, [*faults, *nobody]), None)


def weights_fault(world: World, run: Path) -> Outcome:
    """Say whether a run's weights differ from those of the world's."""
    expected, found = last_weights(world.run), last_weights(run)
    same = all(torch.equal(weight, found[name]) for name, weight in expected.items())
    return None if same else "other weights"


@kind("two trainings in one run", goal=20, share=0.06)
def trainings(world: World) -> Iterator[Outcome]:
    """One trains, the other waits for it or is refused; the run is what one alone makes."""
    draw = random.Random(world.seed)
    run = world.folder / "run"
    words = ["train", world.config, "--run", run]
    while True:
        calls = [[*words, *draw.choice([[], ["--resume"]])] for _ in range(2)]
        fault = together(calls, draw.choice([0, draw.uniform(0, 1)]), world.folder)
        fault = fault or again(*words, "--resume") or weights_fault(world, run) or left_behind(run)
        shutil.rmtree(run, ignore_errors=True)
        yield fault and f"{calls[0][4:]} and {calls[1][4:]}: {fault}"


@kind("two translations into one file", goal=30, share=0.03)
def translations(world: World) -> Iterator[Outcome]:
    """The output is that of one of them, whole."""
    draw = random.Random(world.seed)
    source, out = world.folder / "in", world.folder / "texts" / "out"
    source.write_text("".join(f"{number} {LINE}" for number in range(3_000)))
    out.parent.mkdir()
    ways: dict[str, list[object]] = {"greedy": ["--greedy"], "tsv": ["--greedy", "--format", "tsv"]}
    words = ["translate", world.run, source, "-o", out]
    expected = {}
    for name, way in ways.items():
        assert again(*words, *way) is None
        expected[name] = out.read_bytes()
    while True:
        out.unlink()  # --resume keeps what is there
        chosen = [draw.choice(list(ways)) for _ in range(2)]
        calls = [[*words, *ways[name], *draw.choice([[], ["--resume"]])] for name in chosen]
        fault = together(calls, draw.choice([0, draw.uniform(0, 0.5)]), world.folder)
        if not fault and out.read_bytes() not in [expected[name] for name in chosen]:
            fault = "another output"
        yield (told := fault or left_behind(out.parent)) and f"{chosen}: {told}"


@kind("a cache built twice, or deleted", goal=20, share=0.06)
def caches(world: World) -> Iterator[Outcome]:
    """Two runs encode one corpus at once, or its cache goes away: the same weights."""
    draw = random.Random(world.seed)
    cache, runs = world.folder / "cache", [world.folder / name for name in ("first", "second")]
    calls = [
        ["train", world.config, "--run", run, "--resume", "--data.cache", cache] for run in runs
    ]
    while True:
        if twice := draw.random() < 0.5:
            fault = together(calls, draw.choice([0, draw.uniform(0, 1)]), world.folder)
        else:
            log = world.folder / "log"
            process = begin(calls[0], log)
            until = time.monotonic() + draw.uniform(0, 3)
            while time.monotonic() < until and process.exitcode is None:
                shutil.rmtree(cache, ignore_errors=True)
                time.sleep(draw.uniform(0, 0.2))
            process.join(PATIENCE)
            code, err = process.exitcode or 0, log.read_text(encoding="utf-8")
            fault = refusal_fault(code, err) if code else None
        for words, run in list(zip(calls, runs, strict=True))[: 1 + twice]:
            fault = fault or again(*words) or weights_fault(world, run)
        fault = fault or left_behind(cache)
        for folder in (cache, *runs):
            shutil.rmtree(folder, ignore_errors=True)
        yield fault and f"{'twice' if twice else 'deleted'}: {fault}"
