"""Leakage: sentences of one split that another holds, too."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nmt.data.columns import Pair
from nmt.data.pair_features import normalize_whitespace


@dataclass(frozen=True)
class Overlap:
    """What two splits have in common. Texts are the same if they differ in white space only.

    Attributes:
        split: the held-out split whose pairs were looked up.
        other: the split in which they were looked for.
        size: pairs of `split`.
        pairs: those whose source and target stand beside each other in `other`.
        sources: those whose source stands in `other`.
        targets: those whose target stands in `other`.
        identical: whether the two hold the same pairs in the same order; never so for train.
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
    texts = {name: [_fold(pair) for pair in pairs] for name, pairs in held_out.items()}
    found = _search(map(_fold, train), list(itertools.chain.from_iterable(texts.values())))
    overlaps = [Overlap(name, "train", *_count(pairs, found)) for name, pairs in texts.items()]
    for other, split in itertools.combinations(texts, 2):
        counts = _count(texts[split], _search(texts[other], texts[split]))
        overlaps.append(Overlap(split, other, *counts, texts[other] == texts[split]))
    return overlaps


_Found = tuple[set[Pair], set[str], set[str]]
"""Pairs, sources and targets that are in both splits."""


def _search(pairs: Iterable[Pair], wanted: Sequence[Pair]) -> _Found:
    """Return what of the wanted texts is there; only the wanted ones are held in memory."""
    couples = {pair for pair in wanted if all(pair)}
    sources, targets = ({pair[side] for pair in wanted} - {""} for side in (0, 1))
    found: _Found = set(), set(), set()
    for pair in pairs:
        if pair[0] in sources:
            found[1].add(pair[0])
            if pair in couples:
                found[0].add(pair)
        if pair[1] in targets:
            found[2].add(pair[1])
    return found


def _count(pairs: Sequence[Pair], found: _Found) -> tuple[int, int, int, int]:
    """Return the size of a split and how many of its pairs, sources and targets were found."""
    rows = [(pair in found[0], pair[0] in found[1], pair[1] in found[2]) for pair in pairs]
    return (len(rows), *(sum(column) for column in zip(*rows, strict=True)))


def _fold(pair: Pair) -> Pair:
    return normalize_whitespace(pair[0]), normalize_whitespace(pair[1])
