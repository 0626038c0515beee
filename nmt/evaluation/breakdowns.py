"""Scores of translations by source length, and the rates of known faults."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from nmt.errors import DataError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import Score, bleu_metric, check_lengths, with_interval
from nmt.evaluation.translations import Translations

T = TypeVar("T")
Unit = Literal["words", "characters"]
_LONGEST_REPEAT = 10
_SPACED = 15
"""A language with spaces has one for fewer other characters than this."""
_IDEOGRAPHS = re.compile("[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True)
class LengthGroup:
    """Scores of the sentences whose sources are about equally long.

    Attributes:
        first: length of the shortest source of the group.
        last: length of the longest.
        sentences: number of sentences.
        bleu: their corpus BLEU.
        chrf: their corpus chrF2.
        length_ratio: length of the hypotheses ÷ length of the references, in BLEU's tokens.
    """

    first: int
    last: int
    sentences: int
    bleu: Score
    chrf: Score
    length_ratio: float


@dataclass(frozen=True)
class Breakdown:
    """Scores of a translation by source length, and the rates of known faults.

    Attributes:
        unit: what source lengths count.
        groups: by source length, the shortest first.
        length_ratio: of all sentences; see `LengthGroup`.
        repetition: share of hypotheses with an immediate repetition; see `repeats`. What the
            reference also repeats does not count.
        empty: share of hypotheses without text whose references have some.
        unknown: share of hypotheses with SentencePiece's sign of an unknown token, ⁇, whose
            references have none.
    """

    unit: Unit
    groups: list[LengthGroup]
    length_ratio: float
    repetition: float
    empty: float
    unknown: float


def breakdown(
    texts: Translations, target: TargetLanguage, *, groups: int | Sequence[int] = 5
) -> Breakdown:
    """Score translations by source length, and count known faults.

    The groups depend on the sources alone: those of several systems on one split are the same, and
    can stand side by side.

    Args:
        texts: raw sources, human translations and hypotheses.
        target: the language of the translations.
        groups: how many, or the greatest length of each; see `length_groups`.

    Raises:
        DataError: unequal numbers, nothing to score, or a tokenizer that is not installed.
    """
    from sacrebleu.metrics import CHRF

    sources, references, hypotheses = texts.sources, texts.references, texts.hypotheses
    check_lengths(hypotheses, references)
    if len(sources) != len(references):
        raise DataError(f"{len(sources)} sources do not match {len(references)} references")
    metric = bleu_metric(target)
    written = [metric.tokenizer(text).split() for text in hypotheses]
    wanted = [metric.tokenizer(text).split() for text in references]

    def ratio(rows: Sequence[int]) -> float:
        total = sum(len(wanted[row]) for row in rows)
        return sum(len(written[row]) for row in rows) / max(total, 1)

    def group(rows: list[int]) -> LengthGroup:
        own, own_references = ([side[row] for row in rows] for side in (hypotheses, references))
        return LengthGroup(
            first=lengths[rows[0]],
            last=lengths[rows[-1]],
            sentences=len(rows),
            bleu=with_interval(bleu_metric(target), own, [own_references]),
            chrf=with_interval(CHRF(), own, [own_references]),
            length_ratio=ratio(rows),
        )

    def share(fault: Callable[[int], bool]) -> float:
        return sum(map(fault, range(len(references)))) / len(references)

    unit, lengths = text_lengths(sources)
    return Breakdown(
        unit=unit,
        groups=[group(rows) for rows in length_groups(lengths, groups)],
        length_ratio=ratio(range(len(references))),
        repetition=share(lambda row: bool(repeats(written[row]) - repeats(wanted[row]))),
        empty=share(lambda row: not hypotheses[row].strip() and bool(references[row].strip())),
        unknown=share(lambda row: "⁇" in hypotheses[row] and "⁇" not in references[row]),
    )


def text_lengths(texts: Sequence[str]) -> tuple[Unit, list[int]]:
    """Return the length of each text, in words between white space.

    Where all texts together have less than one space for 15 other characters, as in Chinese or
    Thai, words cannot be separated this way: lengths are then in characters, without white space.
    """
    words = [text.split() for text in texts]
    characters = [sum(map(len, one)) for one in words]
    spaces = sum(max(len(one) - 1, 0) for one in words)
    if sum(characters) > _SPACED * max(1, spaces):
        return "characters", characters
    return "words", [len(one) for one in words]


def length_groups(lengths: Sequence[int], groups: int | Sequence[int]) -> list[list[int]]:
    """Divide sentences into groups by length.

    Args:
        lengths: of each sentence.
        groups: the greatest length of each group, in ascending order; or how many groups of about
            equal numbers. Sentences of one length stay together, so that there may be fewer.

    Returns:
        The rows of each group that has any, the shortest sentences first.
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    if isinstance(groups, int):
        edges = [
            place
            for place, (before, row) in enumerate(itertools.pairwise(order), start=1)
            if lengths[before] != lengths[row]
        ]
        shares = [number * len(order) / groups for number in range(1, groups)]
        ends = {min(edges, key=lambda edge: abs(edge - share)) for share in shares if edges}
        ends.add(len(order))
    else:
        ends = {sum(length <= last for length in lengths) for last in groups}
    return [order[first:end] for first, end in itertools.pairwise(sorted({0, *ends}))]


def repeats(tokens: Sequence[str]) -> set[tuple[str, ...]]:
    """Return immediate repetitions: runs of 1 to 10 tokens that directly recur.

    Case is ignored. Runs without any letter or digit do not count, nor do single ideographs, whose
    doubling makes ordinary words.
    """
    folded = [token.casefold() for token in tokens]
    found: set[tuple[str, ...]] = set()
    for size in range(1, min(_LONGEST_REPEAT, len(folded) // 2) + 1):
        equal = 0  # tokens in a row that come again `size` later
        for place in range(len(folded) - size):
            equal = equal + 1 if folded[place] == folded[place + size] else 0
            if equal >= size:
                found.add(tuple(folded[place - size + 1 : place + 1]))
    return {run for run in found if _says_something("".join(run))}


def _says_something(run: str) -> bool:
    return any(map(str.isalnum, run)) and _IDEOGRAPHS.fullmatch(run) is None


def spread(items: Sequence[T], count: int) -> list[T]:
    """Return at most `count` items, evenly spread."""
    count = min(count, len(items))
    return [items[number * len(items) // count] for number in range(count)]


def sentence_scores(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return sacreBLEU's chrF2 of each sentence, 0 to 100, to find the best and the worst.

    BLEU of a single sentence depends on its smoothing: few sentences share four words in a row with
    their reference. chrF needs no tokenizer, either.

    Raises:
        DataError: unequal numbers, or none.
    """
    from sacrebleu.metrics import CHRF

    check_lengths(hypotheses, references)
    metric = CHRF()
    return [
        float(metric.sentence_score(hypothesis, [reference]).score)
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]
