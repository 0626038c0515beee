"""What a corpus and its update plan amount to, in numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmt.data.plan import UpdatePlan
from nmt.text.tokenizer import Vocabulary

_CHUNK = 10_000
_COMMONEST = 10

Lengths = NDArray[np.integer]


@dataclass(frozen=True)
class SideFacts:
    """One language of a split. Tokens are those of the text, without end tokens.

    Attributes:
        tokens: in the whole split; of train, in the pairs to train on.
        longest: tokens of its longest sentence.
        words: parts between white space, in the pairs that were measured.
        tokens_per_word: of the measured pairs.
        characters_per_word: of the measured pairs.
        unknown_rate: share of the tokens that are the unknown token, 0 to 1.
        covered_characters: share of the characters, white space aside, that no unknown token
            swallows, 0 to 1.
        commonest_unknown: what the unknown token stands for most often, and how often.
        used_pieces: share of the vocabulary's pieces of text that occur, 0 to 1.
    """

    tokens: int
    longest: int
    words: int
    tokens_per_word: float
    characters_per_word: float
    unknown_rate: float
    covered_characters: float
    commonest_unknown: list[tuple[str, int]]
    used_pieces: float


@dataclass(frozen=True)
class SplitFacts:
    """A split.

    Attributes:
        pairs: raw pairs; of train, those to train on.
        sampled: raw pairs that were measured; of a large train, every so many.
        source: its source side.
        target: its target side.
    """

    pairs: int
    sampled: int
    source: SideFacts
    target: SideFacts


@dataclass(frozen=True)
class LengthBin:
    """Sentences to train on of `first` to `last` tokens, end token aside."""

    first: int
    last: int
    source: int
    target: int


@dataclass(frozen=True)
class PlanFacts:
    """The plan of the first epoch.

    Attributes:
        updates: updates of the epoch.
        micro_batches: over all ranks.
        sentences_per_update: mean.
        target_tokens_per_update: mean, end tokens included.
        source_padding: share of the source tensors' cells that hold no token, 0 to 1.
        target_padding: the same of the target.
    """

    updates: int
    micro_batches: int
    sentences_per_update: float
    target_tokens_per_update: float
    source_padding: float
    target_padding: float


@dataclass
class _Tally:
    """Sums over the sentences of one side."""

    tokens: int = 0
    longest: int = 0
    words: int = 0
    characters: int = 0
    unknown_tokens: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    used: set[int] = field(default_factory=set)

    def add(self, text: str, ids: list[int], vocabulary: Vocabulary) -> None:
        words = text.split()
        self.tokens += len(ids)
        self.longest = max(self.longest, len(ids))
        self.words += len(words)
        self.characters += sum(map(len, words))
        self.used.update(ids)
        if unknown := ids.count(vocabulary.unk_id):
            self.unknown_tokens += unknown
            self.unknown.update(vocabulary.unknown_parts(text))


def side_facts(
    vocabulary: Vocabulary, texts: Sequence[str], lengths: Lengths | None = None
) -> SideFacts:
    """Measure one side of a split.

    Args:
        vocabulary: of this side.
        texts: raw sentences, or a sample of them.
        lengths: tokens of each sentence of the whole split without the end token, where `texts`
            is not all of it, `(sentences,)`.
    """
    tally = _Tally()
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        for text, ids in zip(chunk, vocabulary.encode(chunk), strict=True):
            tally.add(text, ids, vocabulary)
    pieces = vocabulary.text_ids()
    swallowed = sum(len(part.replace(" ", "")) * times for part, times in tally.unknown.items())
    return SideFacts(
        tokens=tally.tokens if lengths is None else int(lengths.sum()),
        longest=tally.longest if lengths is None else int(lengths.max()),
        words=tally.words,
        tokens_per_word=tally.tokens / max(1, tally.words),
        characters_per_word=tally.characters / max(1, tally.words),
        unknown_rate=tally.unknown_tokens / max(1, tally.tokens),
        covered_characters=1 - min(1.0, swallowed / max(1, tally.characters)),
        commonest_unknown=tally.unknown.most_common(_COMMONEST),
        used_pieces=len(tally.used & pieces) / max(1, len(pieces)),
    )


def length_histogram(sources: Lengths, targets: Lengths, bins: int = 10) -> list[LengthBin]:
    """Count sentences by their tokens, in bins of one width; the last takes all longer ones.

    Args:
        sources: tokens of each source without the end token, `(pairs,)`.
        targets: the same of each target.
        bins: at most so many; without the last they hold at least 99 % of each side.
    """
    usual = max(int(np.quantile(side, 0.99, method="higher")) for side in (sources, targets))
    longest = int(max(sources.max(), targets.max()))
    width = max(1, -(-usual // max(1, bins - 1)))
    shortest = min(1, int(sources.min()), int(targets.min()))
    firsts = list(range(shortest, min(longest, (bins - 1) * width + 1) + 1, width))
    lasts = [*(first + width - 1 for first in firsts[:-1]), longest]
    edges = [*firsts, longest + 1]
    counted = [np.histogram(side, edges)[0].tolist() for side in (sources, targets)]
    return [LengthBin(*numbers) for numbers in zip(firsts, lasts, *counted, strict=True)]


def plan_facts(plan: UpdatePlan, source_lengths: Lengths, target_lengths: Lengths) -> PlanFacts:
    """Measure a plan; lengths are the plan's own, `(pairs,)`, end tokens included."""
    source_tokens = int(source_lengths[plan.order].sum())
    target_tokens = int(target_lengths[plan.order].sum())
    source_cells = target_cells = 0
    for start, end in plan.slices:
        rows = plan.order[start:end]
        source_cells += len(rows) * int(source_lengths[rows].max(initial=0))
        target_cells += len(rows) * int(target_lengths[rows].max(initial=0))
    return PlanFacts(
        updates=len(plan),
        micro_batches=len(plan.slices),
        sentences_per_update=len(plan.order) / len(plan),
        target_tokens_per_update=target_tokens / len(plan),
        source_padding=1 - source_tokens / source_cells,
        target_padding=1 - target_tokens / target_cells,
    )
