"""Several models that predict together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nmt.decoding.stepper import DecoderState, Stepper
from nmt.models.batch import Padded


@dataclass(frozen=True)
class EnsembleState:
    """What each member carries from one step to the next; all have the same rows.

    Attributes:
        members: one state for each member.
    """

    members: tuple[DecoderState, ...]

    @property
    def coverage(self) -> Tensor | None:
        """The mean of the members' attention to each source position so far, `(rows, source)`.

        None where a member has no attention.
        """
        found: list[Tensor] = []
        for member in self.members:
            coverage = getattr(member, "coverage", None)
            if coverage is None:
                return None
            found.append(coverage)
        return sum(found[1:], found[0]) / len(found)

    def select(self, rows: Tensor) -> "EnsembleState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        return EnsembleState(tuple(member.select(rows) for member in self.members))

    def repeat(self, times: int) -> "EnsembleState":
        """Return the state with every row `times` times in a row."""
        return EnsembleState(tuple(member.repeat(times) for member in self.members))


class Ensemble:
    """A `Stepper` that predicts what its members do on average.

    Its log-probabilities are the plain mean of theirs: a translation's score is the mean of the
    members' scores. They are not normalised again, so that probabilities sum to 1 or less.

    Args:
        steppers: the members, at least one; they read and write the same tokens.
    """

    def __init__(self, steppers: Sequence[Stepper]):
        self.steppers = tuple(steppers)

    def start(self, source: Padded) -> EnsembleState:
        """Let every member read the source sentences; see `Stepper`."""
        return EnsembleState(tuple(stepper.start(source) for stepper in self.steppers))

    def start_alone(self) -> EnsembleState:
        """Let every member start without a source; all must be able."""
        members: tuple[Any, ...] = self.steppers
        return EnsembleState(tuple(member.start_alone() for member in members))

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """Read one token per row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: what the members carry, `rows` rows each.

        Returns:
            The mean of the members' log-probabilities in nats, `(rows, vocabulary)`, and the new
            state.
        """
        found, states = zip(
            *(
                stepper.step(tokens, member)
                for stepper, member in zip(self.steppers, state.members, strict=True)
            ),
            strict=True,
        )
        # One after the other: the order of a sum must not depend on the batch.
        return sum(found[1:], found[0]) / len(found), EnsembleState(states)

    def narrowed(self, tokens: Tensor) -> "Ensemble":
        """Return an ensemble that predicts only some tokens, `(tokens,)`; all members must be able.

        Each member's probabilities are then given that it is one of them; see `Engine.narrowed`.
        """
        members: tuple[Any, ...] = self.steppers
        return Ensemble([member.narrowed(tokens) for member in members])
