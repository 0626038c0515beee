"""Leakage: sentences that two splits share."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nmt.data.columns import Pair
from nmt.data.pair_features import normalize_whitespace

_Key = tuple[str | None, str | None]


@dataclass(frozen=True)
class Overlap:
    """Pairs and sentences that two splits share, differences in white space aside.

    Attributes:
        split: the held-out split whose pairs were looked up.
        other: the split that was searched.
        size: pairs of `split`.
        pairs: pairs of `split` that `other` contains.
        sources: pairs of `split` whose source `other` contains.
        targets: pairs of `split` whose target `other` contains.
    """

    split: str
    other: str
    size: int
    pairs: int
    sources: int
    targets: int


def find_overlaps(train: Iterable[Pair], held_out: Mapping[str, Sequence[Pair]]) -> list[Overlap]:
    """Look up every held-out split in train, and in the held-out splits before it.

    Args:
        train: raw pairs, read once and not kept.
        held_out: raw pairs of the other splits.
    """
    texts = {name: [_keys(pair) for pair in pairs] for name, pairs in held_out.items()}
    wanted = {key for rows in texts.values() for keys in rows for key in keys if "" not in key}
    shared = {key for pair in train for key in _keys(pair) if key in wanted}
    overlaps = [Overlap(name, "train", *_count(rows, shared)) for name, rows in texts.items()]
    for other, split in itertools.combinations(texts, 2):
        both = wanted & set(itertools.chain.from_iterable(texts[other]))
        overlaps.append(Overlap(split, other, *_count(texts[split], both)))
    return overlaps


def _keys(pair: Pair) -> tuple[_Key, _Key, _Key]:
    """Return what two splits may share: a pair, its source, its target; an empty text is none."""
    source, target = normalize_whitespace(pair[0]), normalize_whitespace(pair[1])
    return (source, target), (source, None), (None, target)


def _count(rows: Sequence[tuple[_Key, _Key, _Key]], shared: set[_Key]) -> tuple[int, int, int, int]:
    """Return the size of a split, and how many of its pairs, sources and targets are shared."""
    pairs, sources, targets = (sum(keys[kind] in shared for keys in rows) for kind in range(3))
    return len(rows), pairs, sources, targets
