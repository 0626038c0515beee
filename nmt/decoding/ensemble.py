"""Ensembles: several models that predict together."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from nmt.decoding.stepper import DecoderState, Stepper
from nmt.models.batch import Padded


@dataclass(frozen=True)
class EnsembleState:
    """The states of all members between two steps, with the same rows.

    Attributes:
        members: one state for each member.
    """

    members: tuple[DecoderState, ...]

    @property
    def coverage(self) -> Tensor | None:
        """The mean of the members' attention to each source position so far, `(rows, source)`.

        None if a member has no attention.
        """
        coverages = [member.coverage for member in self.members if member.coverage is not None]
        if len(coverages) < len(self.members):
            return None
        return sum(coverages[1:], coverages[0]) / len(coverages)

    def select(self, rows: Tensor) -> "EnsembleState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        return EnsembleState(tuple(member.select(rows) for member in self.members))


class Ensemble:
    """A `Stepper` that averages the log-probabilities of its members.

    A translation's score is the mean of the members' scores. The averages are not normalised again:
    probabilities sum to 1 or less.

    Args:
        steppers: the members, at least one; they read and write the same tokens.
    """

    def __init__(self, steppers: Sequence[Stepper]):
        self.steppers = tuple(steppers)

    @classmethod
    def of(cls, steppers: Sequence[Stepper]) -> Stepper:
        """Return a single stepper as it is, and several as an ensemble."""
        return steppers[0] if len(steppers) == 1 else cls(steppers)

    @property
    def attends(self) -> bool:
        """Whether all members have attention; see `Stepper`."""
        return all(stepper.attends for stepper in self.steppers)

    def start(self, source: Padded) -> EnsembleState:
        """Let every member read the source sentences; see `Stepper`."""
        return EnsembleState(tuple(stepper.start(source) for stepper in self.steppers))

    def step(self, tokens: Tensor, state: EnsembleState) -> tuple[Tensor, EnsembleState]:
        """Read one token per row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: the members' states, `rows` rows each.

        Returns:
            The mean of the members' log-probabilities in nats, `(rows, vocabulary)`, and the new
            state.
        """
        members = zip(self.steppers, state.members, strict=True)
        steps = [stepper.step(tokens, member) for stepper, member in members]
        log_probs, states = zip(*steps, strict=True)
        # One by one: the order of the sum must not depend on the batch.
        return sum(log_probs[1:], log_probs[0]) / len(log_probs), EnsembleState(states)
