"""Long passes over sentence pairs: some thousands at a time, and how far they are."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterable, Iterator

from nmt.data.columns import Pair
from nmt.log import PROGRESS, ProgressBar

CHUNK = 4096
"""Pairs that are read, sent to another process and written together."""
_EVERY = 10.0  # seconds between two signs of life; what is done before the first has none
_log = logging.getLogger("nmt")


def chunked(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """Give `CHUNK` pairs at a time; the last chunk may hold fewer."""
    iterator = iter(pairs)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk


def show_progress(
    chunks: Iterable[list[Pair]], work: str, total: int | None = None
) -> Iterator[list[Pair]]:
    """Hand chunks on, and tell of long work how far it is.

    Args:
        chunks: as of `chunked`.
        work: what is done with them, in a word.
        total: pairs in all; None where it is not known.
    """
    bar: ProgressBar | None = None
    done, due = 0, time.monotonic() + _EVERY
    try:
        for chunk in chunks:
            yield chunk
            done += len(chunk)
            if bar is not None:
                bar.advance(len(chunk))
            if time.monotonic() > due:
                due += _EVERY
                if bar is None:
                    bar = ProgressBar("pair", total, done)
                else:
                    _log.log(PROGRESS, "%s: %s pairs, %s", work, f"{done:,}", bar.pace())
    finally:
        if bar is not None:
            bar.stop()
