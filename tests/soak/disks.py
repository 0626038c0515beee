"""Attacks by disks: full ones and read-only ones."""

import contextlib
import itertools
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from nmt.bundle import load_bundle
from nmt.reading import sha256
from tests.soak.files import LINE, fresh
from tests.soak.kills import again, left_behind
from tests.soak.kinds import Outcome, World, kind, nmt, refusal_fault
from tests.training.made import last_weights

_ROOM = 2**26


def _mount(folder: Path, options: str) -> bool:
    """Mount a file system in memory, or change it; return whether that was done."""
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    with contextlib.suppress(OSError):
        return subprocess.run(words, capture_output=True).returncode == 0
    return False


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[Callable[[int | None], None]]:
    """Mount an empty disk in a folder, or imitate one for a user who may not mount.

    Yields:
        Call it with the bytes to leave free, or with None to make the disk read-only. Without a
        mount, the bytes bound each file, and the folder alone is read-only.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    mounted = _mount(folder, f"size={_ROOM}")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def leave(free: int | None) -> None:
        if mounted:
            state = os.statvfs(folder)
            size = (state.f_blocks - state.f_bfree) * state.f_frsize + (free or 0)
            assert _mount(folder, "remount,ro" if free is None else f"remount,rw,size={size}")
        else:
            folder.chmod(0o555 if free is None else 0o755)
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft if free is None else free, hard))

    try:
        yield leave
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


@dataclass(frozen=True)
class Work:
    """A command that writes to the disk.

    Attributes:
        words: the command.
        prepare: called before it, on an empty disk with room.
        fault: says what is wrong with what stands there, after a failure (False) or at the end.
    """

    words: list[object]
    prepare: Callable[[], object]
    fault: Callable[[bool], Outcome]


def _training(world: World, place: Path) -> Work:
    run, expected = place / "run", last_weights(world.run)
    words = ["train", world.config, "--run", run, "--resume", "--data.cache", place / "cache"]

    def fault(ended: bool) -> Outcome:
        found = last_weights(run) if ended else expected
        same = all(torch.equal(weight, found[name]) for name, weight in expected.items())
        return None if same else "other weights"

    return Work(words, lambda: None, fault)


def _file(place: Path, words: list[object]) -> Work:
    """Return a command that replaces a file."""
    out = place / "out"
    words = [out if word == "OUT" else word for word in words]
    assert again(*words) is None
    expected = out.read_bytes()

    def fault(ended: bool) -> Outcome:
        right = out.read_bytes() == (expected if ended else b"old\n")
        return None if right else f"holds {out.read_bytes()[:99]!r}"

    return Work(words, lambda: out.write_bytes(b"old\n"), fault)


def _model(world: World, place: Path, words: list[object], *, same: bool) -> Work:
    """Return a command that replaces a model, or writes into it and leaves it the same."""
    model, whole = place / "models" / "model", world.run / "model"
    before = sha256(whole / "weights.safetensors")

    def fault(ended: bool) -> Outcome:
        load_bundle(model)
        kept = sha256(model / "weights.safetensors") == before
        return None if kept or (ended and not same) else "other weights"

    words = [model if word == "OUT" else word for word in words]
    return Work(words, lambda: fresh(whole, model), fault)


@kind("full and read-only disks", goal=60, share=0.12)
def full(world: World) -> Iterator[Outcome]:
    """Write to a disk that has too little room: one line, and what was there still stands."""
    draw = random.Random(world.seed)
    place, source, data = world.folder / "disk", world.folder / "in", world.config.parent
    source.write_text(LINE * 3_000)
    pair = ["--source", data / "val.de", "--reference", data / "val.en"]
    place.mkdir()
    export: list[object] = ["export", world.run, "OUT", "--precision", "int8"]
    works: list[Callable[[], Work]] = [
        lambda: _training(world, place),
        lambda: _file(place, ["translate", world.run, source, "--greedy", "-o", "OUT"]),
        lambda: _model(world, place, export, same=False),
        lambda: _file(place, ["evaluate", world.run, *pair, "--json", "OUT"]),
        lambda: _file(place, ["report", world.run, "-o", "OUT"]),
        lambda: _model(world, place, ["evaluate", "OUT", "--tune", *pair], same=True),
    ]
    for work in itertools.cycle(make() for make in works):
        with disk(place) as leave:
            work.prepare()
            free = draw.choice([None, 4096, round(2 ** draw.uniform(12, 20))])
            leave(free)
            code, _, err = nmt(*work.words)
            leave(_ROOM)
            if code == 0 and "Traceback" not in err:  # it had room
                continue
            told = refusal_fault(code, err) or work.fault(False) or again(*work.words)
            fault = told or work.fault(True) or left_behind(place)
        yield fault and f"{work.words[0]} with {free} bytes: {fault}"
