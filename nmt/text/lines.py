r"""The line contract: one output line for each input line, in order.

A line ends at `\n` (one `\r` before it is dropped) and nowhere else. Python's own text files and
`str.splitlines` break lines at a dozen other characters, so everything here reads bytes. A byte
order mark before the first line is dropped.
"""

import codecs
import contextlib
import errno
import gzip
import os
import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal

from nmt.errors import DataError, NmtError
from nmt.storage import atomic_write

InvalidUtf8 = Literal["error", "replace"]
Replaced = Callable[[int], None]


def read_lines(
    path: str | Path, invalid_utf8: InvalidUtf8 = "error", replaced: Replaced | None = None
) -> Iterator[str]:
    """Yield the lines of a text file, or of a gzip file whose name ends in `.gz`.

    Args:
        path: the file.
        invalid_utf8: raise on bytes that are not UTF-8, or replace them with U+FFFD.
        replaced: called with the number of each line with replaced bytes, from 1 on.

    Raises:
        DataError: the file is missing, unreadable or not UTF-8 (with line and byte); UTF-16 and
            UTF-32 are never replaced.
    """
    with reading(path) as stream:
        yield from decode_lines(stream, str(path), invalid_utf8, replaced)


def decode_lines(
    stream: IO[bytes],
    name: str,
    invalid_utf8: InvalidUtf8 = "error",
    replaced: Replaced | None = None,
) -> Iterator[str]:
    """Yield the lines of an open byte stream; `name` is its name in errors. See `read_lines`."""
    for number, line in enumerate(stream, start=1):
        if number == 1:
            if encoding := wide_encoding(line):
                remedy = f"convert it, as with iconv -f {encoding} -t UTF-8"
                raise DataError(f"{name} is {encoding}, not UTF-8; {remedy}")
            line = line.removeprefix(codecs.BOM_UTF8)
        line = line.removesuffix(b"\n").removesuffix(b"\r") if line.endswith(b"\n") else line
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            if invalid_utf8 == "error":
                raise DataError(
                    f"{name}: line {number}, byte {error.start + 1} (0x{line[error.start]:02x}) is "
                    "not UTF-8; convert the file (nmt translate can also replace such bytes: "
                    "--invalid-utf8 replace)"
                ) from None
            if replaced is not None:
                replaced(number)
            yield line.decode("utf-8", errors="replace")


def wide_encoding(start: bytes) -> str | None:
    """Return the name of UTF-16 or UTF-32, in which PowerShell and spreadsheets save text.

    Args:
        start: first bytes of a file, at least up to its first line feed.

    Returns:
        None for other text. UTF-16 without a byte order mark is detected by four Latin letters.
    """
    for mark, name in _WIDE.items():
        if start.startswith(mark):
            return name
    even, odd = start[:8:2], start[1:8:2]
    if len(start) >= 8 and not any(odd) and all(even):
        return "UTF-16LE"
    return "UTF-16BE" if len(start) >= 8 and not any(even) and all(odd) else None


_WIDE = {  # UTF-32's little-endian mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a file or URL for reading bytes; unpack it if its name ends in `.gz`.

    Raises:
        DataError: it cannot be read, or the URL's protocol is unknown or needs another package.
    """
    is_url = "://" in str(path)
    try:
        with _open_url(str(path)) if is_url else _open_file(path) as stream:
            yield stream
    except NmtError:
        raise
    except Exception as error:
        if not (is_url or isinstance(error, OSError | EOFError | zlib.error)):
            raise  # each protocol's library has errors of its own
        raise DataError(f"cannot read {path}: {reason(error)}") from None


def _open_file(path: str | Path) -> IO[bytes]:
    return gzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def _open_url(url: str) -> IO[bytes]:
    import fsspec

    return fsspec.open(url, "rb", compression="infer").open()  # type: ignore[no-any-return]


def is_blank(text: str) -> bool:
    """Return whether a line has only white space, control and zero-width characters."""
    return all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in text)


def one_line(text: str) -> str:
    """Replace runs of line breaks and tabs with one space."""
    return re.sub(r"[\r\n\t\v\f\x1c-\x1e\x85\u2028\u2029]+", " ", text)


@contextlib.contextmanager
def open_output(path: str | Path | None) -> Iterator[IO[bytes]]:
    """Open a file for atomic writing; None opens standard output.

    Raises:
        DataError, NmtError: the file cannot be written; its old content stays.
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
    """Turn errors of the system into ours, with the path.

    Raises:
        DataError: the path cannot be written to.
        NmtError: the disk is full or broken.
    """
    try:
        yield
    except BrokenPipeError:  # the reader closed the pipe; the output is not at fault
        raise
    except OSError as error:
        broken = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
        kind = NmtError if broken else DataError
        raise kind(f"cannot write {path}: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """Return a short reason for an error of the system."""
    if isinstance(error, OSError) and isinstance(error.errno, int):
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
