"""Leakage: sentences that two splits share."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nmt.data.columns import Pair
from nmt.data.pair_features import normalize_whitespace


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
        identical: whether both hold the same pairs in the same order; always False for train.
    """

    split: str
    other: str
    size: int
    pairs: int
    sources: int
    targets: int
    identical: bool = False


def find_overlaps(train: Iterable[Pair], held_out: Mapping[str, Sequence[Pair]]) -> list[Overlap]:
    """Look up every held-out split in train, and in the held-out splits before it.

    Args:
        train: raw pairs, read once and not kept.
        held_out: raw pairs of the other splits.
    """
    texts = {name: [_normalize(pair) for pair in pairs] for name, pairs in held_out.items()}
    wanted = list(itertools.chain.from_iterable(texts.values()))
    shared = _search(map(_normalize, train), wanted)
    overlaps = [Overlap(name, "train", *_count(pairs, shared)) for name, pairs in texts.items()]
    for other, split in itertools.combinations(texts, 2):
        counts = _count(texts[split], _search(texts[other], texts[split]))
        overlaps.append(Overlap(split, other, *counts, texts[other] == texts[split]))
    return overlaps


_Shared = tuple[set[Pair], set[str], set[str]]
"""Pairs, sources and targets that both splits contain."""


def _search(pairs: Iterable[Pair], wanted: Sequence[Pair]) -> _Shared:
    """Return the wanted pairs and texts that occur; only wanted ones are held in memory."""
    couples = {pair for pair in wanted if all(pair)}
    sources, targets = ({pair[side] for pair in wanted} - {""} for side in (0, 1))
    shared: _Shared = set(), set(), set()
    for pair in pairs:
        if pair[0] in sources:
            shared[1].add(pair[0])
            if pair in couples:
                shared[0].add(pair)
        if pair[1] in targets:
            shared[2].add(pair[1])
    return shared


def _count(pairs: Sequence[Pair], shared: _Shared) -> tuple[int, int, int, int]:
    """Return the size of a split, and how many of its pairs, sources and targets are shared."""
    rows = [(pair in shared[0], pair[0] in shared[1], pair[1] in shared[2]) for pair in pairs]
    return (len(rows), *(sum(column) for column in zip(*rows, strict=True)))


def _normalize(pair: Pair) -> Pair:
    return normalize_whitespace(pair[0]), normalize_whitespace(pair[1])
