"""Samples the splits: disjoint, no sentence twice, `long` longer than all others."""

import contextlib
from functools import cache

from nmt.data.phrases import grammar, sentences
from nmt.data.phrases.sentences import Chance, NonsenseError

Pair = tuple[str, str]

LANGUAGES = ("de", "en")
SIZES = {"train": 24_000, "validation": 500, "test": 1_000, "long": 500}
SPLITS = tuple(SIZES)
# Fewest and most words, in either language.
LENGTHS = {"short": (3, 13), "long": (14, 28)}
_SORTS = {"short": "statement " * 4 + "reason reason question question relative relative reported"}


def read_split(name: str, seed: int = 1) -> list[Pair]:
    """Return the (German, English) pairs of a split, the same for a seed wherever Python runs.

    Raises:
        ValueError: there is no split of this name.
    """
    if name not in SPLITS:
        raise ValueError(f"no split {name!r} in phrases: it has {', '.join(SPLITS)}")
    first = {"validation": SIZES["test"], "train": SIZES["test"] + SIZES["validation"]}.get(name, 0)
    sort = "long" if name == "long" else "short"
    return list(_sample(sort, first + SIZES[name], seed)[first:])


@cache
def _sample(sort: str, size: int, seed: int) -> list[Pair]:
    chance, seen, pairs = Chance(f"{sort} {seed}"), set[str](), list[Pair]()
    fewest, most = LENGTHS[sort]
    while len(pairs) < size:
        pair = random_pair(chance, sort)
        words = [text.count(" ") + 1 for text in pair]
        if fewest <= min(words) and max(words) <= most and seen.isdisjoint(pair):
            seen.update(pair)
            pairs.append(pair)
    return pairs


def random_pair(chance: Chance, sort: str = "short") -> Pair:
    """Return a sentence in German and in English."""
    while True:
        with contextlib.suppress(NonsenseError):
            make = getattr(sentences, chance.word(_SORTS.get(sort, sort)))
            return grammar.sentence(make(chance))
