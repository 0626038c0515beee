"""Samples the splits: disjoint, no sentence twice, lengths as the settings ask."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from nmt.data.phrases import (
    causes,
    clauses,
    english,
    german,
    long,
    questions,
    relatives,
    settings,
    subordinates,
)
from nmt.data.phrases.chance import Chance
from nmt.data.phrases.tree import Sentence

Pair = tuple[str, str]

LANGUAGES = ("de", "en")
SPLITS = ("train", "validation", "test", "long")

# The functions that `settings.STRUCTURES` and `settings.LONG_STRUCTURES` weigh.
STRUCTURES: dict[str, Callable[[Chance], Sentence | None]] = {
    "statement": clauses.statement,
    "property": clauses.property_statement,
    "yes_no_question": questions.yes_no_question,
    "adverb_question": questions.adverb_question,
    "nominal_question": questions.nominal_question,
    "number_question": questions.number_question,
    "relative_subject": relatives.relative_subject,
    "relative_object": relatives.relative_object,
    "because": causes.because,
    "although": causes.although,
    "that": subordinates.that,
    "whether": subordinates.whether,
    "condition": subordinates.condition,
    "two_statements": long.two_statements,
    "relative_and_statement": long.relative_and_statement,
    "reason_and_statement": long.reason_and_statement,
    "condition_and_statement": long.condition_and_statement,
    "reported_reason": long.reported_reason,
    "relative_and_reason": long.relative_and_reason,
}


def read_split(name: str, seed: int = 1) -> list[Pair]:
    """Return the (German, English) pairs of a split.

    Args:
        name: one of `SPLITS`.
        seed: which sample of the grammar's sentences; the same seed gives the same pairs on every
            platform and Python version.

    Raises:
        ValueError: there is no split of this name.
    """
    if name not in SPLITS:
        raise ValueError(f"no split {name!r} in phrases: it has {', '.join(SPLITS)}")
    return list(_corpus(seed)[name])


@lru_cache(maxsize=4)
def _corpus(seed: int) -> dict[str, tuple[Pair, ...]]:
    """Return all splits: train, validation and test are cut from one sample."""
    chance = Chance(f"phrases {seed}")
    seen: set[str] = set()
    names = [name for name in SPLITS if name != "long"]
    lengths = (settings.MIN_WORDS, settings.MAX_WORDS)
    size = sum(settings.SIZES[name] for name in names)
    sample = _sample(chance, settings.STRUCTURES, size, lengths, seen)
    splits = {}
    for name in names:
        count = settings.SIZES[name]
        splits[name], sample = tuple(sample[:count]), sample[count:]
    lengths = (settings.MAX_WORDS + 1, settings.MAX_LONG_WORDS)
    count = settings.SIZES["long"]
    splits["long"] = tuple(_sample(chance, settings.LONG_STRUCTURES, count, lengths, seen))
    return splits


def _sample(
    chance: Chance,
    structures: Mapping[str, float],
    size: int,
    lengths: tuple[int, int],
    seen: set[str],
) -> list[Pair]:
    """Return new pairs whose sentences have from `lengths[0]` to `lengths[1]` words.

    Args:
        chance: where the choices come from.
        structures: weights of the `STRUCTURES`.
        size: number of pairs.
        lengths: least and greatest number of words between blanks, for either language.
        seen: sentences not to give again, in either language; the new ones are added.
    """
    pairs: list[Pair] = []
    while len(pairs) < size:
        tree = STRUCTURES[chance.weigh(structures)](chance)
        if tree is None:
            continue
        pair = render(tree)
        words = [len(text.split()) for text in pair]
        if lengths[0] <= min(words) and max(words) <= lengths[1] and seen.isdisjoint(pair):
            seen.update(pair)
            pairs.append(pair)
    return pairs


def render(tree: Sentence) -> Pair:
    """Return a sentence in German and in English."""
    return german.sentence(tree), english.sentence(tree)
