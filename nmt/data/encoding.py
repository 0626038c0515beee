"""Writing a corpus as token ids, in Arrow, with what the filters need to know of each pair.

The main process reads and writes; worker processes tokenize. What is written does not depend on
how many there are.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.chunks import CHUNK, chunked, show_progress
from nmt.data.columns import Pair
from nmt.data.duplicates import repeated_rows
from nmt.data.filters import NOT_STORED, Notes
from nmt.data.marks import DUPLICATE, Marker, text_hashes
from nmt.errors import DataError, NmtError
from nmt.text.tokenizer import Tokenizer, Vocabulary

if TYPE_CHECKING:
    import pyarrow

PAIRS = "pairs.arrow"
LENGTHS, MARKS, SHARES = "lengths.npy", "marks.npy", "shares.npy"
_HASHES = "hashes.npy"
_FEW = 16  # chunks that are encoded sooner than other processes start
_AHEAD = 3  # chunks under way for each worker
_CHANGED = "the training split changed while it was read; start again"


@dataclass(frozen=True)
class EncodedChunk:
    """Some pairs as they are written: token ids, notes and hashes of the text."""

    ids: pyarrow.RecordBatch
    notes: Notes
    hashes: NDArray[np.uint64]


class ChunkEncoder:
    """Turns texts into what is written; sent to every worker.

    Args:
        tokenizer: turns text into ids.
        held_out: see `Marker`.
    """

    def __init__(self, tokenizer: Tokenizer, held_out: Mapping[str, Sequence[Pair]]):
        self._tokenizer = tokenizer
        self._marker = Marker(held_out)

    @property
    def schema(self) -> pyarrow.Schema:
        """Two columns of ids, in two bytes each where the vocabulary allows."""
        import pyarrow as arrow

        sides = {"source": self._tokenizer.source, "target": self._tokenizer.target}
        return arrow.schema(
            {side: arrow.list_(arrow.from_numpy_dtype(_id_type(v))) for side, v in sides.items()}
        )

    def __call__(self, chunk: list[Pair]) -> EncodedChunk:
        """Encode a chunk of pairs."""
        import pyarrow as arrow

        vocabularies = (self._tokenizer.source, self._tokenizer.target)
        sides = [_encode(vocabularies[side], [pair[side] for pair in chunk]) for side in (0, 1)]
        return EncodedChunk(
            arrow.record_batch([ids for ids, _ in sides], schema=self.schema),
            Notes(
                np.stack([lengths for _, lengths in sides]),
                self._marker.marks(chunk),
                self._marker.shares(chunk),
            ),
            text_hashes(chunk),
        )


def write_encoded(
    folder: Path, pairs: Iterable[Pair], total: int, encoder: ChunkEncoder, workers: int
) -> None:
    """Encode pairs into an empty folder.

    Args:
        folder: gets the files named above.
        pairs: raw pairs.
        total: how many there are.
        encoder: turns them into ids.
        workers: processes that do so; has no effect on the files.

    Raises:
        DataError: what is wrong with the pairs; or they are not `total` any more.
        NmtError: a worker died.
    """
    import pyarrow as arrow

    lengths = _new(folder / LENGTHS, np.uint16, (2, total))
    marks, shares = (_new(folder / name, np.uint8, (total,)) for name in (MARKS, SHARES))
    hashes = _new(folder / _HASHES, np.uint64, (total,))
    chunks = show_progress(chunked(pairs), "encoding", total)
    done = 0
    with arrow.ipc.new_stream(str(folder / PAIRS), encoder.schema) as stream:
        for encoded in _encode_all(chunks, encoder, workers if total > _FEW * CHUNK else 1):
            end = done + len(encoded.hashes)
            if end > total:
                raise DataError(_CHANGED)
            stream.write_batch(encoded.ids)
            lengths[:, done:end] = encoded.notes.lengths
            marks[done:end], shares[done:end] = encoded.notes.marks, encoded.notes.shares
            hashes[done:end] = encoded.hashes
            done = end
    if done < total:
        raise DataError(_CHANGED)
    marks[repeated_rows(hashes)] |= DUPLICATE
    (folder / _HASHES).unlink()


def _encode(
    vocabulary: Vocabulary, texts: Sequence[str]
) -> tuple[pyarrow.ListArray, NDArray[np.uint16]]:
    """Return the ids of each text, none where they are absurdly many, and the lengths."""
    import pyarrow as arrow

    rows = vocabulary.encode(texts)
    lengths = np.array([min(len(ids) + 1, NOT_STORED) for ids in rows], np.uint16)
    rows = [ids if len(ids) + 1 < NOT_STORED else [] for ids in rows]
    ids = np.fromiter(itertools.chain.from_iterable(rows), _id_type(vocabulary))
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return arrow.ListArray.from_arrays(ends, ids), lengths


def _id_type(vocabulary: Vocabulary) -> np.dtype[np.integer]:
    return np.dtype(np.uint16 if len(vocabulary) <= 2**16 else np.int32)


def _new(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
    """Make an array in a file, which the system can put out of memory."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _encode_all(
    chunks: Iterable[list[Pair]], encoder: ChunkEncoder, workers: int
) -> Iterator[EncodedChunk]:
    """Encode chunks in their order, in this process or in several others."""
    if workers == 1:
        yield from map(encoder, chunks)
        return
    pool = ProcessPoolExecutor(
        workers,
        # A fork would copy this process's threads and whatever they hold locked.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(encoder,),
    )
    waiting: deque[Future[EncodedChunk]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_work, chunk))
            if len(waiting) == _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise NmtError(
            "a process that encodes the corpus died, perhaps for want of memory; "
            f"use fewer than {workers} with --data.workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_encoder: ChunkEncoder  # of a worker process


def _start_worker(encoder: ChunkEncoder) -> None:
    global _encoder
    _encoder = encoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to answer
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave when the main process is gone, which a kill leaves it no time to say."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _work(chunk: list[Pair]) -> EncodedChunk:
    return _encoder(chunk)
