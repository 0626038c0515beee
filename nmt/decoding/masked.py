"""Excludes one token from any search, such as the unknown token."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nmt.decoding.stepper import NEVER, Wrapper


@dataclass(frozen=True)
class Masked(Wrapper):
    """A `Stepper` that gives one token log-probability -inf; the others keep theirs.

    It changes the model's log-probabilities in place.

    Attributes:
        token: the excluded id.
        forced: rows may have no other token, as within a prefix; such rows keep it.
    """

    token: int
    forced: bool = False

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one token per row and predict the next; see `Stepper`."""
        log_probs, state = self.stepper.step(tokens, state)
        column = log_probs[:, self.token]
        before = column.clone()
        column.fill_(NEVER)
        if self.forced:
            only = log_probs.amax(dim=1) == NEVER
            column.copy_(before.where(only, column))
        return log_probs, state
