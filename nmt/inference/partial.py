"""An output file that a stopped translation can continue."""

import contextlib
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from nmt.errors import UsageError
from nmt.inference.files import Format, Item, LineWriter, write_problems
from nmt.storage import file_mode, side_files, sync_folder, sync_stream, try_lock
from nmt.text.lines import writing_to

_log = logging.getLogger("nmt")


class PartialWriter(LineWriter):
    """A writer whose chunks survive the process.

    Args:
        stream: of `OUT.part`, to read and write.
        layout: see `LineWriter`.
        journal: of `OUT.part.json`, to read and write: a line with the key, and one for each chunk
            in `OUT.part`.
    """

    def __init__(self, stream: IO[bytes], layout: Format, journal: IO[bytes]):
        super().__init__(stream, layout)
        self._journal = journal
        self._kept = 0, 0, 0

    def resume(self, items: Iterator[Item]) -> Iterator[Item]:
        """Skip the chunks of an earlier call, up to the first that is damaged or has changed."""
        self._journal.seek(0)
        self.stream.seek(0)
        place, size = len(self._journal.readline()), 0
        for line in self._journal:
            row = _parsed(line)
            chunk = list(itertools.islice(items, row.get("lines", 0)))
            if _digest(chunk, self.stream.read(row.get("size", 0))) != row.get("digest"):
                items = itertools.chain(chunk, items)
                break
            self.lines += len(chunk)
            self.failed += row["failed"]
            self.problems += [(number, problem) for number, problem in row["problems"]]
            self._kept = self.lines, self.failed, len(self.problems)
            place, size = place + len(line), size + row["size"]
        if self.lines:
            _log.info("continuing after %s lines of an earlier call", f"{self.lines:,}")
        for file, end in ((self._journal, place), (self.stream, size)):
            file.seek(end)
            file.truncate()
        return items

    def keep(self, chunk: Sequence[Item], written: bytes) -> None:
        """Write the last chunk to the disk, then its line of the journal."""
        _, failed, problems = self._kept
        sync_stream(self.stream)
        row = {
            "lines": len(chunk),
            "size": len(written),
            "failed": self.failed - failed,
            "problems": self.problems[problems:],
            "digest": _digest(chunk, written),
        }
        self._journal.write(json.dumps(row).encode() + b"\n")
        sync_stream(self._journal)
        self._kept = self.lines, self.failed, len(self.problems)


def is_unfinished(output: Path, key: str) -> bool:
    """Return whether a translation with the same model and settings was stopped."""
    _, part, journal = side_files(output)
    return part.exists() and _key(journal) == key


@contextlib.contextmanager
def partial_writer(output: Path, layout: Format, key: str) -> Iterator[PartialWriter]:
    """Keep unfinished work in `OUT.part` until it is whole and becomes `OUT`.

    Args:
        output: the file to write in the end; until then it holds what it held before.
        layout: see `LineWriter`.
        key: stands for model and settings; unfinished work of another key is dropped.

    Raises:
        UsageError: another process writes the same output, or the part is no part.
        DataError, NmtError: it cannot be written; the chunks so far are kept.
    """
    problems, part, journal = side_files(output)
    with writing_to(output), _locked(part, journal) as stream:
        earlier = _key(journal)
        if earlier != key:
            if earlier is not None:
                _log.warning("%s is of another model or other settings; starting anew", part)
            with open(journal, "wb") as new:
                new.write(json.dumps({"key": key}).encode() + b"\n")
                sync_stream(new)
        with open(journal, "r+b") as rows:
            writer = PartialWriter(stream, layout, rows)
            try:
                yield writer
                sync_stream(stream)
            except BaseException:
                _leave(part, journal)
                raise
        write_problems(writer, problems)
        real = Path(os.path.realpath(output))
        os.chmod(part, file_mode(real))
        os.replace(part, real)
        journal.unlink()
        sync_folder(real.parent)


@contextlib.contextmanager
def _locked(part: Path, journal: Path) -> Iterator[IO[bytes]]:
    """Open a part and keep other processes out."""
    if any(path.exists() and _key(journal) is None for path in (part, journal)):
        raise UsageError(f"{part} and {journal.name} are no unfinished translation; move them away")
    while True:
        handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        with open(handle, "r+b") as stream:
            if not try_lock(handle):
                raise UsageError(f"{part}: another process writes it; wait, or choose another OUT")
            # Until the lock was free the part may have become the other process's output.
            if part.exists() and os.path.samestat(os.fstat(handle), part.stat()):
                yield stream
                return


def _leave(part: Path, journal: Path) -> None:
    """Tell how to continue a stopped translation; one without a whole chunk is cleared away."""
    with open(journal, "rb") as rows:
        kept = sum(_parsed(line).get("lines", 0) for line in rows)
    if kept:
        told = "the first %s lines are kept in %s; the same call continues after them"
        _log.warning(told, f"{kept:,}", part)
    else:
        part.unlink()
        journal.unlink()


def _key(journal: Path) -> str | None:
    """Return what a journal's chunks were made with; None where it is no journal."""
    try:
        with open(journal, "rb") as stream:
            return _parsed(stream.readline(10_000)).get("key")
    except FileNotFoundError:
        return None


def _parsed(line: bytes) -> dict[str, Any]:
    """Return a line of the journal; an empty one where it was cut or damaged."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _digest(chunk: Sequence[Item], written: bytes) -> str:
    return hashlib.sha256(json.dumps(chunk).encode() + written).hexdigest()
