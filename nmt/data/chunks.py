"""Long passes over sentence pairs: chunks of some thousands, and their progress."""

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator

from nmt.data.columns import Pair
from nmt.log import ProgressBar

CHUNK = 4096
"""Pairs that are read, sent to another process and written together."""
Chunk = list[Pair]
"""`CHUNK` pairs."""
_EVERY = 10.0  # seconds between two reports; shorter work reports nothing


def chunked(pairs: Iterable[Pair]) -> Iterator[Chunk]:
    """Yield chunks; the last one may hold fewer pairs."""
    iterator = iter(pairs)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk


def show_progress(chunks: Iterable[Chunk], work: str, total: int | None = None) -> Iterator[Chunk]:
    """Yield chunks unchanged, and report the progress of long work.

    Args:
        chunks: from `chunked`.
        work: the name of the work in the log, such as "encoding".
        total: number of pairs; None if unknown.
    """
    bar: ProgressBar | None = None
    done, due = 0, time.monotonic() + _EVERY
    with contextlib.ExitStack() as stack:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            if bar is not None:
                bar.advance(len(chunk))
            if time.monotonic() > due:
                due += _EVERY
                if bar is None:
                    bar = stack.enter_context(ProgressBar("pair", total, done))
                else:
                    bar.log_pace(f"{work}: ")
