"""Other segmentations of the same text, for each epoch anew.

Words are sampled one by one, from their token ids alone. SentencePiece's own sampling draws from a
generator of its own, which a resumed run could not put back to where it was.
"""

from __future__ import annotations

import bisect
import functools
import heapq
import itertools
import random
from array import array
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nmt.config import subword_sampling_fault
from nmt.errors import ConfigError
from nmt.text.tokenizer import Tokenizer, Vocabulary

Word = tuple[int, ...]
_NUM_SEGMENTATIONS = 64
_CACHED_WORDS = 2**16
"""Of a unigram vocabulary, with their segmentations: some 1.5 kB each."""
_CACHED_SEGMENTATIONS = 2**19
"""Of a bpe vocabulary: some 0.3 kB each."""


class SubwordSampler:
    """Draws other segmentations of a sentence, which spell the same text.

    A word begins at a piece that starts with `▁`. One that holds an unknown token, bytes or special
    tokens stays as it is. So does, with unigram, one that SentencePiece encodes otherwise when it
    stands alone; there is none unless a ready-made model has unusual rules for spaces.

    Args:
        vocabulary: a unigram or bpe model.
        strength: see `training.subword_sampling`.

    Raises:
        ConfigError: this vocabulary cannot be sampled from with the strength.

    Source: Kudo 2018, section 3 (unigram); Provilkov et al. 2020, section 3 (bpe).
    """

    def __init__(self, vocabulary: Vocabulary, strength: float):
        fault = subword_sampling_fault(vocabulary.kind, strength)
        if fault is not None:
            raise ConfigError(f"training.subword_sampling: {strength!r} is refused: {fault}")
        self._made_with = vocabulary, strength
        pieces = vocabulary.learned_pieces()
        self._starts = {id_ for id_, (piece, _) in pieces.items() if piece.startswith("▁")}
        make = LikelySegmentations if vocabulary.kind == "unigram" else DroppedMerges
        self._choose: Callable[[Word, float], Sequence[int]] = make(vocabulary, strength)

    def __reduce__(self) -> tuple[type[SubwordSampler], tuple[Vocabulary, float]]:
        return type(self), self._made_with

    def sample(self, ids: Sequence[int], generator: np.random.Generator) -> list[int]:
        """Return a sentence in a segmentation that is drawn.

        Args:
            ids: token ids, without start and end.
            generator: gives a number for each of them.
        """
        draws = generator.random(len(ids)).tolist()
        later = [place for place, id_ in enumerate(ids) if id_ in self._starts and place > 0]
        sampled: list[int] = []
        for start, end in itertools.pairwise((0, *later, len(ids))):
            if start < end:
                sampled += self._choose(tuple(ids[start:end]), draws[start])
        return sampled


def make_samplers(tokenizer: Tokenizer, strength: float) -> tuple[SubwordSampler, SubwordSampler]:
    """Return what samples source and target, one object twice where the two are one."""
    source = SubwordSampler(tokenizer.source, strength)
    one = tokenizer.source is tokenizer.target
    return source, source if one else SubwordSampler(tokenizer.target, strength)


class LikelySegmentations:
    """The best segmentations of a word under a unigram model.

    Args:
        vocabulary: the unigram model.
        alpha: exponent of their probabilities.
    """

    def __init__(self, vocabulary: Vocabulary, alpha: float):
        self._vocabulary, self._alpha = vocabulary, alpha
        self._pieces = vocabulary.learned_pieces()
        self._text = frozenset(self._pieces)
        self._scores = [self._pieces.get(id_, ("", 0.0))[1] for id_ in range(len(vocabulary))]
        self._choices = functools.lru_cache(_CACHED_WORDS)(self._find_choices)

    def __call__(self, word: Word, draw: float) -> Sequence[int]:
        """Choose one by a number in [0, 1)."""
        ids, ends, cumulative = self._choices(word)
        number = bisect.bisect(cumulative, draw, hi=len(cumulative) - 1)
        return ids[ends[number] : ends[number + 1]]

    def _find_choices(self, word: Word) -> tuple[array[int], array[int], array[float]]:
        """Return all segmentations in a row, their ends from 0 on, cumulative probabilities."""
        rows = self._segmentations(word)
        scores = np.array([sum(map(self._scores.__getitem__, row)) for row in rows])
        weights = np.exp(self._alpha * (scores - scores.max()))
        return (
            array("i", itertools.chain.from_iterable(rows)),
            array("i", itertools.accumulate(map(len, rows), initial=0)),
            array("d", np.cumsum(weights / weights.sum())),
        )

    def _segmentations(self, word: Word) -> Sequence[Sequence[int]]:
        surface = _surface(word, self._pieces)
        if surface is None:
            return [word]
        found = self._vocabulary.segmentations(surface.replace("▁", " "), _NUM_SEGMENTATIONS)
        # They all spell one text: another one where normalisation changes it once more.
        rows = [row for row in found if self._text.issuperset(row)]
        return rows if rows and _surface(rows[0], self._pieces) == surface else [word]


class DroppedMerges:
    """The segmentations of a word by bpe with merges left out at random.

    Each is drawn when it is first asked for, by a generator of its own.

    Args:
        vocabulary: the bpe model.
        probability: of leaving out a merge.
    """

    def __init__(self, vocabulary: Vocabulary, probability: float):
        self._probability = probability
        self._pieces = vocabulary.learned_pieces()
        self._ids = {piece: id_ for id_, (piece, _) in self._pieces.items()}
        self._scores = dict(self._pieces.values())
        self._segmentation = functools.lru_cache(_CACHED_SEGMENTATIONS)(self._find_segmentation)

    def __call__(self, word: Word, draw: float) -> Sequence[int]:
        """Choose one by a number in [0, 1)."""
        return self._segmentation(word, int(draw * _NUM_SEGMENTATIONS))

    def _find_segmentation(self, word: Word, number: int) -> Word:
        surface = _surface(word, self._pieces)
        if surface is None:
            return word
        uniform = random.Random(f"{number} {surface}").random
        pieces = merge(surface, self._scores, lambda: uniform() < self._probability)
        ids = tuple(self._ids.get(piece, -1) for piece in pieces)
        return word if -1 in ids else ids  # a character without a piece of its own


def merge(surface: str, scores: Mapping[str, float], left_out: Callable[[], bool]) -> list[str]:
    """Join neighbours from single characters on, always the two that make the best piece.

    Args:
        surface: a word, `▁` for a space.
        scores: of the pieces there are; of equal ones the leftmost is made first.
        left_out: asked before each merge; what is left out may not be made later.
    """
    ends = {place: place + 1 for place in range(len(surface))}
    starts = {end: start for start, end in ends.items()}
    agenda: list[tuple[float, int, int, int]] = []

    def offer(start: int, middle: int, end: int) -> None:
        score = scores.get(surface[start:end])
        if score is not None:
            heapq.heappush(agenda, (-score, start, middle, end))

    for place in range(len(surface) - 1):
        offer(place, place + 1, place + 2)
    while agenda:
        _, start, middle, end = heapq.heappop(agenda)
        if ends.get(start) != middle or ends.get(middle) != end or left_out():
            continue
        ends[start], starts[end] = end, start
        del ends[middle], starts[middle]
        if start in starts:
            offer(starts[start], start, end)
        if end in ends:
            offer(start, end, ends[end])
    return [surface[start : ends[start]] for start in sorted(ends)]


def _surface(word: Sequence[int], pieces: Mapping[int, tuple[str, float]]) -> str | None:
    """Return what a word's pieces spell, None where one of them is no text."""
    try:
        return "".join(pieces[id_][0] for id_ in word)
    except KeyError:
        return None
