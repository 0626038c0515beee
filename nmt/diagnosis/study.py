"""What `nmt study` finds: one small decoder behind encoders of several kinds, as plain records."""

from dataclasses import dataclass
from typing import Literal

from nmt.diagnosis.records import GradientFlow
from nmt.evaluation.metrics import Score


@dataclass(frozen=True)
class LengthScore:
    """BLEU of the sentences whose sources have so many words."""

    split: str
    first: int
    last: int
    """Words between blanks, from `first` to `last`."""
    sentences: int
    bleu: Score


@dataclass(frozen=True)
class StudyRow:
    """One trained model: all it knows of the source is the state that its encoder leaves."""

    name: str
    """Such as "bag", "window 7" or "gru": the last is the cell of a recurrent encoder."""
    encoder: Literal["rnn", "bag", "window"]
    cell: str
    """Of the decoder and, where it is recurrent, of the encoder."""
    state_size: int
    """Numbers that are handed over, however long the sentence."""
    parameters: int
    minutes: float | None
    """Of training on one thread; None where it was interrupted."""
    test: Score
    """BLEU of the whole split, and of the next."""
    long: Score
    shuffled: Score
    """BLEU of `test` when the words of each source are put into a random order."""
    lengths: list[LengthScore]
    """Of test, then of long, the shortest first."""
    flow: GradientFlow | None
    """Of the trained model, over the longest sentences of test."""


@dataclass(frozen=True)
class StudyStep:
    """One step of the argument, and what the measured numbers say to it."""

    claim: str
    outcome: Literal["holds", "undecided", "fails"]
    """Undecided where intervals overlap."""
    text: str
    """The numbers, and what follows from them."""


@dataclass(frozen=True)
class Study:
    """All models of a study, and the argument that they bear out or do not."""

    updates: int
    """Of each model's training."""
    rows: list[StudyRow]
    steps: list[StudyStep]
