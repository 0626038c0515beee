"""Ways to damage a file, and files that were made to do harm; shared by tests and the soak."""

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from nmt.reading import sha256

Damage = Callable[[Path, random.Random], None]


def flip(path: Path, draw: random.Random) -> None:
    """Turn one bit over."""
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


def cut(path: Path, draw: random.Random) -> None:
    """Keep the beginning."""
    os.truncate(path, draw.randrange(path.stat().st_size))


def lose_middle(path: Path, draw: random.Random) -> None:
    """Leave out some bytes."""
    data = path.read_bytes()
    start, end = sorted(draw.sample(range(len(data) + 1), 2))
    path.write_bytes(data[:start] + data[end:])


def zero(path: Path, draw: random.Random) -> None:
    """Overwrite the end with zeros, as a loss of power may."""
    size = path.stat().st_size
    start = draw.randrange(size)
    with open(path, "r+b") as stream:
        stream.seek(start)
        stream.write(b"\1" + b"\0" * (size - start))


def scramble(path: Path, draw: random.Random) -> None:
    """Put random bytes in its place."""
    path.write_bytes(draw.randbytes(draw.choice([1, 100, path.stat().st_size])))


def empty(path: Path, draw: random.Random) -> None:
    """Leave nothing in it."""
    path.write_bytes(b"")


def delete(path: Path, draw: random.Random) -> None:
    """Remove it."""
    path.unlink()


def make_folder(path: Path, draw: random.Random) -> None:
    """Put a folder in its place."""
    path.unlink()
    path.mkdir()


def make_pipe(path: Path, draw: random.Random) -> None:
    """Put a pipe in its place into which nobody writes."""
    path.unlink()
    os.mkfifo(path)


def make_device(path: Path, draw: random.Random) -> None:
    """Link to a device without end."""
    path.unlink()
    path.symlink_to(draw.choice(["/dev/zero", "/dev/urandom"]))


def make_loop(path: Path, draw: random.Random) -> None:
    """Link to itself."""
    path.unlink()
    path.symlink_to(path)


def make_huge(path: Path, draw: random.Random) -> None:
    """Grow to a terabyte, of which the disk holds nothing."""
    os.truncate(path, 2**40)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.marker),)


def make_pickle(path: Path, draw: random.Random) -> None:
    """Put a pickle in its place that makes the folder `ran` beside it."""
    path.write_bytes(pickle.dumps(Payload(path.parent / "ran")))


def nest(path: Path, draw: random.Random) -> None:
    """Put JSON or YAML in its place that is nested without end."""
    path.write_text(draw.choice(['{"a":', "[", "a: ["]) * 100_000)


def bomb(path: Path, draw: random.Random) -> None:
    """Put YAML in its place whose aliases stand for 10**12 words."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for one, other in zip("abcdefghijkl", "bcdefghijklm", strict=True):
        lines.append(f"{other}: &{other} [{', '.join([f'*{one}'] * 10)}]")
    path.write_text("\n".join(lines))


def long_name(path: Path, draw: random.Random) -> None:
    """Put a key of 100 kB into what is JSON or YAML."""
    path.write_text(json.dumps({"x" * 100_000: 1, "files": {"y" * 100_000: "z"}}))


def wrong_types(path: Path, draw: random.Random) -> None:
    """Put values of other types into what is JSON."""
    values = json.loads(path.read_bytes()) if path.suffix == ".json" else {"a": 1}
    key = draw.choice(list(values) or ["a"])
    values[key] = draw.choice([None, 10**30, "x" * 100_000, [], [{}], {"a": {"b": []}}, -1.5, True])
    path.write_text(json.dumps(values))


ANY: tuple[Damage, ...] = (
    *(flip, cut, lose_middle, zero, scramble, empty, delete, make_folder, make_pipe),
    *(make_device, make_loop, make_huge, make_pickle),
)
"""What can happen to any file."""
TEXT: tuple[Damage, ...] = (nest, bomb, long_name, wrong_types)
"""What can happen to JSON and YAML."""


def damages(path: Path) -> tuple[Damage, ...]:
    """Return what can happen to a file."""
    return ANY + (TEXT if path.suffix in (".json", ".yaml") else ())


def link_out(path: Path, outside: Path) -> None:
    """Leave a link in a file's place that leads to the same file elsewhere."""
    shutil.move(path, outside)
    path.symlink_to(outside)


def reseal(bundle: Path) -> None:
    """Let a bundle's manifest have the sums of its files as they are now."""
    manifest = json.loads((bundle / "bundle.json").read_text())
    for name in manifest["files"]:
        if (bundle / name).is_file() and (bundle / name).stat().st_size < 2**30:
            manifest["files"][name] = sha256((bundle / name).resolve())
    (bundle / "bundle.json").write_text(json.dumps(manifest))
