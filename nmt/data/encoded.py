"""Training pairs as token ids: encoded once, memory-mapped, filtered by the settings of a run."""

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
from numpy.typing import NDArray

from nmt.data.chunks import CHUNK
from nmt.data.encoding import FEATURES, PAIRS
from nmt.data.filters import FilterSettings, Mask, apply_filters
from nmt.data.pair_features import Lengths, PairFeatures
from nmt.data.plan import SamplingWeights
from nmt.errors import DataError

Rows = list[list[int]]
Side = list[tuple[NDArray[np.int32], NDArray[Any]]]
"""One side of all pairs, by chunk: the end of each row, after a leading 0, and all token ids."""


@dataclass(frozen=True)
class Facts:
    """The size of a training split before and after its filters.

    Attributes:
        fingerprint: SHA-256 of the raw text, in hexadecimal; if places have weights, SHA-256 of
            that fingerprint and the weights.
        pairs: raw pairs.
        kept: pairs to train on.
        source_tokens: tokens kept, end tokens included.
        target_tokens: the same of the target.
        found: pairs that match each filter, on or off; script and length_ratio count at 0.5 and 4
            while they are off.
        left_out: pairs that each active filter leaves out; a pair counts for its first match.
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

    Pickling stores the arguments alone; unpickling opens the folder again.

    Args:
        folder: written by `write_encoded`.
        fingerprint: SHA-256 of the raw text, in hexadecimal.
        settings: of the filters.
        weights: runs of raw pairs and how often an epoch goes through them; None for once each.

    Attributes:
        facts: counts of raw and kept pairs.
        source_lengths: tokens of each source with its end token, `(pairs,)`.
        target_lengths: the same of each target.
        weights: the weights given, with runs of kept pairs.

    Raises:
        DataError: no pair is left to train on.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        settings: FilterSettings,
        weights: SamplingWeights | None,
    ):
        self._opened_with = folder, fingerprint, settings, weights
        self._settings = settings
        features = PairFeatures(*(np.load(folder / name, mmap_mode="r") for name in FEATURES))
        self._sides = _read_arrow(folder / PAIRS)
        kept, matches, left_out = apply_filters(features, settings)
        # Row numbers in the files; None if all pairs are kept.
        self._rows = None if kept.all() else np.flatnonzero(kept).astype(np.uint32)
        lengths = features.lengths if self._rows is None else features.lengths[:, self._rows]
        self.source_lengths: Lengths = lengths[0]
        self.target_lengths: Lengths = lengths[1]
        self.weights = None if weights is None else _kept_weights(weights, kept)
        self.facts = Facts(
            fingerprint=_weighted(fingerprint, weights),
            pairs=len(kept),
            kept=len(self.source_lengths),
            source_tokens=int(self.source_lengths.sum(dtype=np.int64)),
            target_tokens=int(self.target_lengths.sum(dtype=np.int64)),
            found=matches,
            left_out=left_out,
        )
        if not len(self):
            counts = ", ".join(f"{name} {count:,}" for name, count in left_out.items() if count)
            raise DataError(
                f"no pair of the training split is left of {len(kept):,}; left out: {counts}; "
                f"data.max_length is {settings.max_length} tokens, the rest is under data.filters"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._opened_with

    def __len__(self) -> int:
        return self.facts.kept

    def __getitem__(self, indices: NDArray[np.integer]) -> tuple[Rows, Rows]:
        """Return the sources and the targets of the given pairs."""
        rows = indices if self._rows is None else self._rows[indices]
        positions = [divmod(row, CHUNK) for row in rows.tolist()]
        source, target = self._sides
        return _ids(source, positions), _ids(target, positions)

    def target_counts(self, vocabulary: int) -> NDArray[np.integer]:
        """Count each token id in the targets, `(vocabulary,)`."""
        counts = np.zeros(vocabulary, dtype=np.int64)
        kept = np.zeros(self.facts.pairs, dtype=bool)
        kept[slice(None) if self._rows is None else self._rows] = True
        for start, (ends, ids) in zip(itertools.count(0, CHUNK), self._sides[1]):
            own = np.repeat(kept[start : start + CHUNK], np.diff(ends))
            counts += np.bincount(ids[own], minlength=vocabulary)
        return counts

    def table(self) -> str:
        """Return the counts of pairs, tokens and filter matches as a table for the log."""
        facts = self.facts
        title = (
            f"train: {facts.pairs:,} pairs, {facts.kept:,} kept; "
            f"{facts.source_tokens:,} source and {facts.target_tokens:,} target tokens"
        )
        return "\n".join([title, *self._settings.table(facts.found, facts.left_out)])


def _read_arrow(path: Path) -> list[Side]:
    """Map source and target into memory, without Python objects for the tokens."""
    table = arrow.ipc.open_stream(arrow.memory_map(str(path))).read_all()
    return [
        [(chunk.offsets.to_numpy(), chunk.values.to_numpy()) for chunk in column.chunks]
        for column in table.columns
    ]


def _ids(side: Side, positions: list[tuple[int, int]]) -> Rows:
    """Return the token ids of rows; a position is a chunk's number and the row in it."""
    rows = []
    for chunk, row in positions:
        ends, ids = side[chunk]
        rows.append(ids[ends[row] : ends[row + 1]].tolist())
    return rows


def _weighted(fingerprint: str, weights: SamplingWeights | None) -> str:
    """Return the fingerprint of a corpus and its weights."""
    if weights is None:
        return fingerprint
    return hashlib.sha256(f"{fingerprint} {weights}".encode()).hexdigest()


def _kept_weights(weights: SamplingWeights, kept: Mask) -> SamplingWeights:
    """Shorten each run of raw pairs to its kept ones."""
    ends = np.cumsum([size for size, _ in weights])
    runs = np.split(kept, ends[:-1])
    return tuple((int(run.sum()), weight) for run, (_, weight) in zip(runs, weights, strict=True))
