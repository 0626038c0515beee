"""Training pairs as token ids: encoded once, memory-mapped, filtered as a run asks for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data import encoding
from nmt.data.chunks import CHUNK
from nmt.data.filters import Lengths, Mask, Notes, Rules, choose
from nmt.data.plan import Weights
from nmt.errors import DataError

Rows = list[list[int]]
Side = list[tuple[NDArray[np.int32], NDArray[Any]]]
"""One side of every pair, chunk by chunk: where each row ends, from 0 on, and all token ids."""


@dataclass(frozen=True)
class Facts:
    """What became of the raw pairs.

    Attributes:
        fingerprint: SHA-256 of the raw text, in hexadecimal; where places have weights, of its
            fingerprint and those.
        pairs: raw pairs.
        kept: pairs to train on.
        source_tokens: tokens kept, end tokens included.
        target_tokens: the same of the target.
        found: pairs that match each filter, whether it is on or off; script and length_ratio, where
            they are off, at 0.5 and 4.
        left_out: pairs that each filter that is on leaves out; the first that matches counts.
    """

    fingerprint: str
    pairs: int
    kept: int
    source_tokens: int
    target_tokens: int
    found: dict[str, int]
    left_out: dict[str, int]


class EncodedPairs:
    """Pairs of token ids on disk, without start and end tokens.

    It is pickled as what it is opened with.

    Args:
        folder: what `write_encoded` wrote.
        rules: which pairs to keep.
        weights: runs of raw pairs and how often an epoch goes through them; None for once each.

    Attributes:
        facts: what was encoded and kept.
        source_lengths: tokens of each source with its end token, `(pairs,)`.
        target_lengths: the same of each target.
        weights: the same as given, of the pairs that are kept.

    Raises:
        DataError: no pair is left to train on.
    """

    def __init__(self, folder: Path, rules: Rules, weights: Weights | None = None):
        self._opened_with = folder, rules, weights
        self._rules = rules
        about = json.loads((folder / encoding.ABOUT).read_text())
        notes = Notes(
            *(
                np.load(folder / name, mmap_mode="r")
                for name in (encoding.LENGTHS, encoding.MARKS, encoding.SHARES)
            )
        )
        self._sides = _read_arrow(folder / encoding.PAIRS, about["pairs"])
        kept, found, left_out = choose(notes, rules)
        # Row numbers in the files, where they are other than those of the kept pairs.
        self._rows = None if kept.all() else np.flatnonzero(kept).astype(np.uint32)
        lengths = notes.lengths if self._rows is None else notes.lengths[:, self._rows]
        self.source_lengths: Lengths = lengths[0]
        self.target_lengths: Lengths = lengths[1]
        self.weights = None if weights is None else _kept_weights(weights, kept)
        self.facts = Facts(
            fingerprint=_weighted(about["fingerprint"], weights),
            pairs=len(kept),
            kept=len(self.source_lengths),
            source_tokens=int(self.source_lengths.sum(dtype=np.int64)),
            target_tokens=int(self.target_lengths.sum(dtype=np.int64)),
            found=found,
            left_out=left_out,
        )
        if not len(self):
            counts = ", ".join(f"{name} {count:,}" for name, count in left_out.items() if count)
            raise DataError(
                f"no pair of the training split is left of {len(kept):,}; left out: {counts}; "
                f"data.max_length is {rules.max_length} tokens, the rest is under data.filters"
            )

    def __reduce__(self) -> tuple[type[EncodedPairs], tuple[Path, Rules, Weights | None]]:
        return type(self), self._opened_with

    def __len__(self) -> int:
        return self.facts.kept

    def __getitem__(self, indices: NDArray[np.integer]) -> tuple[Rows, Rows]:
        """Return the sources and the targets of the given pairs."""
        rows = indices if self._rows is None else self._rows[indices]
        places = [divmod(row, CHUNK) for row in rows.tolist()]
        source, target = self._sides
        return _ids(source, places), _ids(target, places)

    def target_counts(self, vocabulary: int) -> NDArray[np.integer]:
        """Count each token id in the targets, filtered pairs among them, `(vocabulary,)`."""
        counts = np.zeros(vocabulary, dtype=np.int64)
        for _, ids in self._sides[1]:
            counts += np.bincount(ids, minlength=vocabulary)
        return counts

    def table(self) -> str:
        """Return what the filters found and left out, for the log."""
        facts = self.facts
        kept = (
            f"train: {facts.pairs:,} pairs, {facts.kept:,} kept; "
            f"{facts.source_tokens:,} source and {facts.target_tokens:,} target tokens"
        )
        return "\n".join([kept, *self._rules.table(facts.found, facts.left_out)])


def _read_arrow(path: Path, pairs: int) -> list[Side]:
    """Map source and target into memory, and nothing of them into objects."""
    import pyarrow as arrow

    table = arrow.ipc.open_stream(arrow.memory_map(str(path))).read_all()
    if len(table) != pairs:
        raise ValueError(f"{path} holds {len(table)} pairs, not {pairs}")
    return [
        [(chunk.offsets.to_numpy(), chunk.values.to_numpy()) for chunk in column.chunks]
        for column in table.columns
    ]


def _ids(side: Side, places: list[tuple[int, int]]) -> Rows:
    """Return the token ids of rows, given as a chunk's number and the row in it."""
    rows = []
    for chunk, row in places:
        ends, ids = side[chunk]
        rows.append(ids[ends[row] : ends[row + 1]].tolist())
    return rows


def _weighted(fingerprint: str, weights: Weights | None) -> str:
    """Tell corpora apart that have the same text and other weights."""
    if weights is None:
        return fingerprint
    return hashlib.sha256(f"{fingerprint} {weights}".encode()).hexdigest()


def _kept_weights(weights: Weights, kept: Mask) -> Weights:
    """Count, in runs of raw pairs, those that are kept."""
    ends = np.cumsum([size for size, _ in weights])
    runs = np.split(kept, ends[:-1])
    return tuple((int(run.sum()), weight) for run, (_, weight) in zip(runs, weights, strict=True))
