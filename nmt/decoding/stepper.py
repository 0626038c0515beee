"""The protocol between searches and models.

A network, an ensemble, a quantised engine and a test double are all Steppers, by structure; no
search imports a model.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

from torch import Tensor

from nmt.models.batch import Padded


class DecoderState(Protocol):
    """The state of decoding between two steps; only the state itself knows its row axes."""

    @property
    def coverage(self) -> Tensor | None:
        """Attention that each source position got so far, `(rows, source)`; None without."""
        ...

    def select(self, rows: Tensor) -> Self:
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        ...

    def repeat(self, times: int) -> Self:
        """Return the state with every row `times` times in a row."""
        ...


class Stepper(Protocol):
    """A model that reads a source once and then predicts token by token."""

    @property
    def attends(self) -> bool:
        """Whether the states have a coverage."""
        ...

    def start(self, source: Padded) -> Any:
        """Read the source sentences; return a `DecoderState` with one row for each.

        Sentences without any token start a decoder alone, which only a model without attention has.
        """
        ...

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one token per row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: a `DecoderState` with `rows` rows.

        Returns:
            Log-probabilities in nats, `(rows, vocabulary)`, and the new state.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """Where a search starts and where it has to end.

    Attributes:
        bos_id: token that starts every target.
        eos_id: token that ends it.
        max_length_ratio: target tokens allowed for each source token.
        extra_length: target tokens allowed beside those.
    """

    bos_id: int
    eos_id: int
    max_length_ratio: float = 2.0
    extra_length: int = 10

    def max_lengths(self, source: Padded) -> Tensor:
        """Most target tokens of each sentence, the end token included, `(batch,)`, on the CPU.

        It depends on the sentence alone, so that its batch cannot change its translation.
        """
        longest = (source.lengths.double() * self.max_length_ratio).ceil() + self.extra_length
        return longest.long().clamp(min=1)


@dataclass(frozen=True)
class Hypothesis:
    """One finished translation.

    Attributes:
        tokens: target token ids, without start and end.
        score: sum of the log-probabilities in nats, the end token included.
        cut: whether it was made to end at the maximum length.
        rank_score: the score with both penalties, by which a beam ranks; None where the search has
            none.
    """

    tokens: list[int]
    score: float
    cut: bool = False
    rank_score: float | None = None
