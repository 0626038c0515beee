"""Restricts the search to the most frequent target tokens of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nmt.decoding.best import whole_groups
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.stepper import Limits, NBest, Stepper, Wrapper
from nmt.errors import UsageError
from nmt.inference.engine_products import FastLinear
from nmt.models.seq2seq import Seq2Seq
from nmt.models.stacks import swap

Search = Callable[[Stepper, Limits], NBest]


@dataclass(frozen=True)
class Shortlist(Wrapper):
    """A `Stepper` over some of a model's tokens, numbered in the order of their ids.

    Its probabilities are the model's, conditioned on the token being listed.

    Attributes:
        stepper: reads all tokens and predicts the listed ones.
        tokens: ids, in ascending order, `(listed,)`.
    """

    tokens: Tensor

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one token per row and predict the next; see `Stepper`."""
        return self.stepper.step(self.tokens[tokens], state)

    def search(self, search: Search, limits: Limits) -> NBest:
        """Run a search over the listed tokens.

        Args:
            search: maps a stepper and its limits to hypotheses.
            limits: with token ids of the model.

        Returns:
            Hypotheses with token ids of the model.
        """
        ends = torch.tensor([limits.bos_id, limits.eos_id], device=self.tokens.device)
        bos_id, eos_id = torch.searchsorted(self.tokens, ends).tolist()
        ids = self.tokens.tolist()
        return [
            [replace(each, tokens=[ids[token] for token in each.tokens]) for each in hypotheses]
            for hypotheses in search(self, replace(limits, bos_id=bos_id, eos_id=eos_id))
        ]


def shortlist(models: Sequence[Seq2Seq], size: int, special: set[int], unknown: int) -> Shortlist:
    """Restrict a model, or an ensemble, to the most frequent tokens of its members' training data.

    The unknown token, `unknown`, is never listed. Up to 31 more tokens are, where `whole_groups`
    says so. See `frequent_tokens`.
    """
    counts = torch.stack([model.decoder.token_counts for model in models]).sum(dim=0)
    counts[unknown] = 0
    tokens = frequent_tokens(counts, whole_groups(size), special)
    return Shortlist(Ensemble.of([restrict_vocabulary(model, tokens) for model in models]), tokens)


def frequent_tokens(counts: Tensor, size: int, special: set[int]) -> Tensor:
    """Return the ids of the most frequent tokens, ascending, `(listed,)`.

    Args:
        counts: occurrences of each token in the training targets, `(vocabulary,)`.
        size: tokens to list, special ones included; must exceed their number.
        special: ids that are always listed.

    Raises:
        UsageError: the counts are unknown.
    """
    if not bool(counts.any()):
        raise UsageError(
            f"shortlist: {size} needs the token counts of training, and this model has none; "
            "train it again, or leave shortlist out"
        )
    ranked = counts.clone()
    ranked[list(special)] = float("inf")
    order = ranked.argsort(descending=True, stable=True)[:size]
    return order[ranked[order] > 0].sort().values


def restrict_vocabulary(model: Seq2Seq, tokens: Tensor) -> Seq2Seq:
    """Return a network that predicts only some tokens, `(tokens,)`, in that order.

    Probabilities are conditioned on these tokens. It reads ids of the whole vocabulary, and shares
    everything else with the network.
    """
    projection: nn.Module = model.decoder.projection
    if isinstance(projection, FastLinear):
        rows: nn.Module = projection.rows(tokens)
    else:
        rows = nn.Linear(1, 1)
        rows.weight = nn.Parameter(model.decoder.projection.weight.detach()[tokens])
        rows.bias = nn.Parameter(model.decoder.projection.bias.detach()[tokens])
    return swap(model, decoder=swap(model.decoder, projection=rows))
