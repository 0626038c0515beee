"""Search among the target tokens that training saw most, instead of all."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmt.decoding.ensemble import Ensemble
from nmt.decoding.stepper import Stepper
from nmt.errors import UsageError
from nmt.inference.engine import Engine
from nmt.models.batch import Padded


@dataclass(frozen=True)
class Shortlist:
    """A `Stepper` over some of a model's tokens, numbered anew, in the order of their ids.

    Its probabilities are the model's, given that the token is one of these.

    Attributes:
        stepper: predicts these tokens alone, and reads all.
        tokens: ids, in ascending order, `(listed,)`.
    """

    stepper: Stepper
    tokens: Tensor

    def start(self, source: Padded) -> Any:
        """Read the source sentences; see `Stepper`."""
        return self.stepper.start(source)

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one token per row and predict the next; see `Stepper`."""
        return self.stepper.step(self.tokens[tokens], state)

    def number(self, token: int) -> int:
        """Return the number of a token id that is listed."""
        return int(torch.searchsorted(self.tokens, token))

    def ids(self, numbers: list[int]) -> list[int]:
        """Return the token ids of numbers."""
        found: list[int] = self.tokens[numbers].tolist()
        return found


def shortlist(stepper: Stepper, counts: Tensor | None, size: int, special: set[int]) -> Shortlist:
    """List the tokens that came most often.

    Args:
        stepper: an `Engine`, or an `Ensemble` of them.
        counts: how often each token came in the targets of training, `(vocabulary,)`.
        size: how many to list, special ones included; more than those.
        special: ids that are listed in any case.

    Raises:
        UsageError: the counts are not known, or the model does not run in an engine.
    """
    if not can_shortlist(stepper):
        raise UsageError("shortlist: it is for fp32 and int8 on a CPU; leave it out")
    if size <= len(special):
        raise UsageError(
            f"shortlist: {size} makes no sense: start and end take {len(special)} places"
        )
    if counts is None or not bool(counts.any()):
        raise UsageError(
            "shortlist: the model does not know how often its tokens came in training; train it "
            "again, or leave shortlist out"
        )
    ranked = counts.clone()
    ranked[list(special)] = float("inf")
    order = ranked.argsort(descending=True, stable=True)[:size]
    tokens = order[ranked[order] > 0].sort().values
    assert isinstance(stepper, Engine | Ensemble)
    return Shortlist(stepper.narrowed(tokens), tokens)


def can_shortlist(stepper: Stepper) -> bool:
    """Tell whether a model can predict some of its tokens alone: an engine, or several."""
    members = stepper.steppers if isinstance(stepper, Ensemble) else (stepper,)
    return all(isinstance(member, Engine) for member in members)
