r"""The line contract: as many lines out as came in, in order.

A line ends at `\n` (one `\r` before it is dropped) and nowhere else. Python's own text files and
`str.splitlines` break lines at a dozen other characters, so everything here reads bytes.
"""

import contextlib
import errno
import gzip
import os
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from nmt.errors import DataError, NmtError
from nmt.storage import atomic_write

InvalidUtf8 = Literal["error", "replace"]


def read_lines(path: str | Path, invalid_utf8: InvalidUtf8 = "error") -> Iterator[str]:
    """Yield the lines of a text file, or of a gzip file whose name ends in `.gz`.

    Args:
        path: the file.
        invalid_utf8: raise at bytes that are not UTF-8, or put U+FFFD in their place.

    Raises:
        DataError: no such file, not readable, or not UTF-8 (naming file, line and byte).
    """
    try:
        with open_bytes(path) as stream:
            yield from decode_lines(stream, str(path), invalid_utf8)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {reason(error)}") from None


def decode_lines(
    stream: IO[bytes], name: str, invalid_utf8: InvalidUtf8 = "error"
) -> Iterator[str]:
    """Yield the lines of an open byte stream; `name` stands for it in errors. See `read_lines`."""
    for number, line in enumerate(stream, start=1):
        line = line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line
        try:
            yield line.decode("utf-8", errors="strict" if invalid_utf8 == "error" else "replace")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}: line {number}, byte {error.start + 1} "
                f"(0x{line[error.start]:02x}) is not UTF-8; "
                "convert the file (nmt translate can also replace such bytes: "
                "--invalid-utf8 replace)"
            ) from None


def open_bytes(path: str | Path) -> IO[bytes]:
    """Open a file for reading bytes, unpacking it where its name ends in `.gz`."""
    return gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def one_line(text: str) -> str:
    """Turn line breaks and tabs that a model generated into spaces."""
    return re.sub(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]+", " ", text)


@contextlib.contextmanager
def open_output(path: str | Path | None) -> Iterator[IO[bytes]]:
    """Open a file that appears whole or not at all; standard output where `path` is None.

    Raises:
        DataError, NmtError: it cannot be written; it then holds what it held before.
    """
    if path is None:
        with writing_to("standard output"):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    with writing_to(path), atomic_write(Path(path)) as stream:
        yield stream


@contextlib.contextmanager
def writing_to(path: str | Path) -> Iterator[None]:
    """Say which output it was that the system refused.

    Raises:
        DataError: the path cannot be written to.
        NmtError: the disk is full or broken.
    """
    try:
        yield
    except BrokenPipeError:  # nobody reads any more; that is not the output's fault
        raise
    except OSError as error:
        broken = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
        kind = NmtError if broken else DataError
        raise kind(f"cannot write {path}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """Say in a few words why the system refused."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
