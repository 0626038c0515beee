"""Leakage: sentences of one split that another holds, too."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nmt.data.columns import Pair
from nmt.data.marks import folded


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
        identical: whether the two hold the same pairs in the same order; train is not asked.
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
    found = _search(train, list(itertools.chain.from_iterable(texts.values())))
    overlaps = [_count(name, "train", pairs, found) for name, pairs in texts.items()]
    for other, split in itertools.combinations(texts, 2):
        found = _search(texts[other], texts[split])
        same = texts[other] == texts[split]
        overlaps.append(_count(split, other, texts[split], found, identical=same))
    return overlaps


@dataclass(frozen=True)
class _Found:
    sources: set[str]
    targets: set[str]
    pairs: set[Pair]


def _search(pairs: Iterable[Pair], wanted: Sequence[Pair]) -> _Found:
    """Return what of the wanted texts there is; only the wanted ones are held in memory."""
    sources = {source for source, _ in wanted if source}
    targets = {target for _, target in wanted if target}
    couples = {pair for pair in wanted if all(pair)}
    found = _Found(set(), set(), set())
    for source, target in map(_fold, pairs):
        if source in sources:
            found.sources.add(source)
            if (source, target) in couples:
                found.pairs.add((source, target))
        if target in targets:
            found.targets.add(target)
    return found


def _count(
    split: str, other: str, pairs: Sequence[Pair], found: _Found, *, identical: bool = False
) -> Overlap:
    return Overlap(
        split=split,
        other=other,
        size=len(pairs),
        pairs=sum(pair in found.pairs for pair in pairs),
        sources=sum(source in found.sources for source, _ in pairs),
        targets=sum(target in found.targets for _, target in pairs),
        identical=identical,
    )


def _fold(pair: Pair) -> Pair:
    return folded(pair[0]), folded(pair[1])
