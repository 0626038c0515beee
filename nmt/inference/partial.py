"""An output file that an interrupted translation can continue."""

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from nmt.errors import UsageError
from nmt.inference.file_translation import Format, Item, LineWriter, write_problems
from nmt.log import log
from nmt.storage import file_mode, lock_if_possible, side_files, sync_folder, sync_stream
from nmt.text.lines import writing_to


class PartialWriter(LineWriter):
    """A writer whose chunks survive the end of the process.

    Args:
        stream: `OUT.part`, open for reading and writing.
        layout: see `LineWriter`.
        journal: `OUT.part.json`, open for reading and writing: a line with the key, and one for
            each chunk in `OUT.part`.
    """

    def __init__(self, stream: IO[bytes], layout: Format, journal: IO[bytes]):
        super().__init__(stream, layout)
        self._journal = journal
        self._saved = 0, 0  # failures and problems

    def resume(self, items: Iterator[Item]) -> Iterator[Item]:
        """Skip the chunks of an earlier call, up to the first that is damaged or has changed."""
        self._journal.seek(0)
        self.stream.seek(0)
        journal_end, stream_end = len(self._journal.readline()), 0
        for line in self._journal:
            row = _parsed(line)
            chunk = list(itertools.islice(items, row.get("lines", 0)))
            if _digest(chunk, self.stream.read(row.get("size", 0))) != row.get("digest"):
                items = itertools.chain(chunk, items)
                break
            self.lines += len(chunk)
            self.failed += row["failed"]
            self.problems += [(number, problem) for number, problem in row["problems"]]
            self._saved = self.failed, len(self.problems)
            journal_end += len(line)
            stream_end += row["size"]
        if self.lines:
            log.info("continuing after %s lines of an earlier call", f"{self.lines:,}")
        for file, end in ((self._journal, journal_end), (self.stream, stream_end)):
            file.seek(end)
            file.truncate()
        return items

    def flush(self, chunk: Sequence[Item], output: bytes) -> None:
        """Sync the last chunk to disk, then its line of the journal."""
        failed, problems = self._saved
        sync_stream(self.stream)
        row = {
            "lines": len(chunk),
            "size": len(output),
            "failed": self.failed - failed,
            "problems": self.problems[problems:],
            "digest": _digest(chunk, output),
        }
        self._journal.write(json.dumps(row).encode() + b"\n")
        sync_stream(self._journal)
        self._saved = self.failed, len(self.problems)


def is_unfinished(output: Path, key: str) -> bool:
    """Return whether an interrupted translation with the same model and settings exists."""
    _, part, journal = side_files(output)
    return part.exists() and _key(journal) == key


@contextlib.contextmanager
def partial_writer(output: Path, layout: Format, key: str) -> Iterator[PartialWriter]:
    """Write to `OUT.part`, and rename it to `OUT` when it is complete.

    Args:
        output: the final file; its old content stays until the end.
        layout: see `LineWriter`.
        key: identifies model and settings; unfinished work of another key is deleted.

    Raises:
        UsageError: another process writes the same output, or `OUT.part` is not one of ours.
        DataError, NmtError: the output cannot be written; the chunks so far are kept.
    """
    problems, part, journal = side_files(output)
    with writing_to(output), _locked(part, journal) as stream:
        earlier = _key(journal)
        if earlier != key:
            if earlier is not None:
                log.warning("%s is of another model or other settings; starting anew", part)
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
    """Open a part, and lock it against other processes."""
    # A kill or a full disk may leave empty files before the key.
    kept = [path for path in (part, journal) if path.exists() and path.stat().st_size]
    if kept and _key(journal) is None:
        raise UsageError(
            f"{part} and {journal.name} are not an unfinished translation; move them away"
        )
    while True:
        handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        with open(handle, "r+b") as stream:
            if not lock_if_possible(handle, part):
                raise UsageError(f"{part}: another process writes it; wait, or choose another OUT")
            # Before the lock was free the other process may have renamed the part to its output.
            if part.exists() and os.path.samestat(os.fstat(handle), part.stat()):
                yield stream
                return


def _leave(part: Path, journal: Path) -> None:
    """Log how to continue an interrupted translation; delete one without a complete chunk."""
    with open(journal, "rb") as rows:
        kept = sum(_parsed(line).get("lines", 0) for line in rows)
    if kept:
        message = "the first %s lines are kept in %s; the same call continues after them"
        log.warning(message, f"{kept:,}", part)
    else:
        part.unlink()
        journal.unlink()


def _key(journal: Path) -> str | None:
    """Return the key of a journal; None if the file is missing or not a journal."""
    try:
        with open(journal, "rb") as stream:
            return _parsed(stream.readline(10_000)).get("key")
    except FileNotFoundError:
        return None


def _parsed(line: bytes) -> dict[str, Any]:
    """Parse a line of the journal; return an empty dict if it is damaged."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    if not isinstance(row, dict):
        return {}
    counts = (row.get("lines", 0), row.get("size", 0))
    return row if all(isinstance(count, int) and count >= 0 for count in counts) else {}


def _digest(chunk: Sequence[Item], output: bytes) -> str:
    return hashlib.sha256(json.dumps(chunk).encode() + output).hexdigest()
