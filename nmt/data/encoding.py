"""Writes a corpus as token ids, in Arrow, with the features that the filters read.

The main process reads and writes; worker processes tokenize. The files do not depend on the number
of workers.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as arrow
from numpy.typing import NDArray

from nmt.data.chunks import CHUNK, Chunk, chunked, show_progress
from nmt.data.columns import Pair
from nmt.data.duplicates import repeated_rows
from nmt.data.filters import NOT_STORED
from nmt.data.pair_features import DUPLICATE, Lengths, PairFeatures, PairTests, text_hashes
from nmt.errors import DataError
from nmt.processes import WorkerPool
from nmt.text.lines import is_blank
from nmt.text.tokenizer import Tokenizer, Vocabulary

PAIRS = "pairs.arrow"
FEATURES = LENGTHS, MARKS, SHARES = "lengths.npy", "marks.npy", "shares.npy"
"""Files of the fields of `PairFeatures`."""
_HASHES = "hashes.npy"
_FEW = 16  # chunks that one process encodes before others would have started


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk of pairs as written to disk: token ids, features and hashes of the text."""

    ids: arrow.RecordBatch
    features: PairFeatures
    hashes: NDArray[np.uint64]


class ChunkEncoder:
    """Encodes chunks of pairs; sent to every worker.

    Args:
        tokenizer: turns text into ids.
        held_out: see `PairTests`.
    """

    def __init__(self, tokenizer: Tokenizer, held_out: Mapping[str, Sequence[Pair]]):
        self._vocabularies = tokenizer.source, tokenizer.target
        self._tests = PairTests(held_out)

    @property
    def schema(self) -> arrow.Schema:
        """Two columns of ids, of two bytes each if the vocabulary is small enough."""
        kinds = [arrow.list_(arrow.from_numpy_dtype(_id_type(v))) for v in self._vocabularies]
        return arrow.schema(zip(("source", "target"), kinds, strict=True))

    def __call__(self, chunk: Chunk) -> EncodedChunk:
        """Encode a chunk of pairs."""
        texts = ([pair[side] for pair in chunk] for side in (0, 1))
        sides = list(map(_encode, self._vocabularies, texts))
        ids = arrow.record_batch([ids for ids, _ in sides], schema=self.schema)
        lengths = np.stack([lengths for _, lengths in sides])
        features = PairFeatures(lengths, self._tests.flags(chunk), self._tests.script_shares(chunk))
        return EncodedChunk(ids, features, text_hashes(chunk))


def write_encoded(
    folder: Path, pairs: Iterable[Pair], total: int, encoder: ChunkEncoder, workers: int
) -> None:
    """Encode pairs into an empty folder.

    Args:
        folder: receives the files named above.
        pairs: raw pairs.
        total: their number.
        encoder: turns them into ids.
        workers: number of processes; has no effect on the files.

    Raises:
        DataError: a pair cannot be read, or their number is another.
        NmtError: a worker died.
        OSError: the files cannot be written.
    """
    chunks = show_progress(chunked(pairs), "encoding", total)
    done = 0
    with (
        WorkerPool(encoder, workers if total > _FEW * CHUNK else 1) as pool,
        arrow.ipc.new_stream(str(folder / PAIRS), encoder.schema) as ids,
        _new(folder / LENGTHS, np.uint16, (2, total)) as lengths,
        _new(folder / MARKS, np.uint8, (total,)) as marks,
        _new(folder / SHARES, np.uint8, (total,)) as shares,
        _new(folder / _HASHES, np.uint64, (total,)) as hashes,
    ):
        for encoded in pool.map(chunks):
            ids.write_batch(encoded.ids)
            lengths.write(encoded.features.lengths.tobytes(order="F"))
            marks.write(encoded.features.flags.tobytes())
            shares.write(encoded.features.script_shares.tobytes())
            hashes.write(encoded.hashes.tobytes())
            done += len(encoded.hashes)
    if done != total:
        raise DataError("data.splits.train: the split changed while it was read; start again")
    repeated = repeated_rows(np.load(folder / _HASHES, mmap_mode="r"))
    np.load(folder / MARKS, mmap_mode="r+")[repeated] |= DUPLICATE
    (folder / _HASHES).unlink()


def _encode(vocabulary: Vocabulary, texts: Sequence[str]) -> tuple[arrow.ListArray, Lengths]:
    """Return the ids of each text, empty from `NOT_STORED` tokens on, and the lengths."""
    pairs = zip(vocabulary.encode(texts), texts, strict=True)
    rows = [[] if is_blank(text) else ids for ids, text in pairs]
    lengths = np.array([min(len(ids) + 1, NOT_STORED) for ids in rows], np.uint16)
    rows = [ids if len(ids) + 1 < NOT_STORED else [] for ids in rows]
    ids = np.fromiter(itertools.chain.from_iterable(rows), _id_type(vocabulary))
    ends = np.cumsum([0, *map(len, rows)], dtype=np.int32)
    return arrow.ListArray.from_arrays(ends, ids), lengths


def _id_type(vocabulary: Vocabulary) -> np.dtype[np.integer]:
    return np.dtype(np.uint16 if len(vocabulary) <= 2**16 else np.int32)


def _new(path: Path, kind: type[np.generic], shape: tuple[int, ...]) -> IO[bytes]:
    """Open a new NumPy file for appending; of two axes, the first varies fastest."""
    stream = open(path, "wb")  # noqa: SIM115
    header = {"descr": np.dtype(kind).str, "fortran_order": True, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream
