"""The protocol between searches and models.

A network, an ensemble, a quantised engine and a test double are all Steppers, by structural typing;
no search imports a model.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from torch import Tensor

from nmt.models.batch import Padded

NEVER = float("-inf")
"""The log-probability of what a search must not choose."""


class DecoderState(Protocol):
    """The state of decoding between two steps; its row axes are private."""

    @property
    def coverage(self) -> Tensor | None:
        """Sum of attention on each source position, `(rows, source)`; None without attention."""

    def select(self, rows: Tensor) -> Self:
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""


class Stepper(Protocol):
    """A model that reads a source once, then predicts token by token."""

    @property
    def attends(self) -> bool:
        """Whether the states have a coverage."""

    def start(self, source: Padded) -> Any:
        """Read the source sentences; return a `DecoderState` with one row for each.

        Sentences without tokens start the decoder alone; models with attention refuse them.
        """

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one token per row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: a `DecoderState` with `rows` rows.

        Returns:
            Log-probabilities in nats, `(rows, vocabulary)`, and the new state.
        """


@dataclass(frozen=True)
class Wrapper:
    """A `Stepper` that changes the predictions of another; its base class.

    Attributes:
        stepper: the other.
    """

    stepper: Stepper

    @property
    def attends(self) -> bool:
        """Whether the states have a coverage."""
        return self.stepper.attends

    def start(self, source: Padded) -> Any:
        """Read the source sentences; see `Stepper`."""
        return self.stepper.start(source)


@dataclass(frozen=True)
class Limits:
    """Start and end tokens, and the maximum length, of a search.

    Attributes:
        bos_id: token that starts every target.
        eos_id: token that ends every target.
        max_length_ratio: target tokens allowed for each source token.
        extra_length: target tokens allowed in addition.
    """

    bos_id: int
    eos_id: int
    max_length_ratio: float = 2.0
    extra_length: int = 10

    def max_lengths(self, lengths: Tensor) -> Tensor:
        """Return the maximum target lengths for source lengths, both with end tokens, `(batch,)`.

        It depends on the sentence alone, so its batch cannot change its translation.
        """
        longest = (lengths.double() * self.max_length_ratio).ceil() + self.extra_length
        return longest.long().clamp(min=1)


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation.

    Attributes:
        tokens: target token ids, without start and end.
        score: sum of the log-probabilities in nats, the end token included.
        cut: whether the maximum length ended it.
        rank_score: the score by which the search ranks: with both penalties in beam search, else
            the score itself.
    """

    tokens: list[int]
    score: float
    cut: bool = False
    rank_score: float = 0.0


NBest = list[list[Hypothesis]]
"""The hypotheses of each sentence, best first."""
