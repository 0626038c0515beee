"""Attention of the decoder's states to the source positions."""

from typing import Literal

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Scores every source state against a query, and averages the states by the softmax.

    dot: query · key; general: query · W key; additive: v · tanh(W key + U query).

    Source: Luong et al. 2015 (dot, general), Bahdanau et al. 2015 (additive).
    """

    def __init__(self, kind: Literal["dot", "general", "additive"], hidden_size: int):
        super().__init__()
        self.kind = kind
        if kind != "dot":
            self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        if kind == "additive":
            self.query = nn.Linear(hidden_size, hidden_size)
            self.score = nn.Linear(hidden_size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Compute the keys of the source states, once for all steps; `(batch, source, hidden)`."""
        keys: Tensor = memory if self.kind == "dot" else self.key(memory)
        return keys

    def queries(self, states: Tensor) -> Tensor:
        """Return the queries of decoder states, `(rows, hidden)`, for `forward`."""
        return states

    def pack(self, attended: Tensor) -> Tensor:
        """Return averaged source states in the number format of the readout's inputs."""
        return attended

    def forward(
        self, queries: Tensor, memory: Tensor, keys: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Attend to the source.

        Args:
            queries: from `queries`, `(batch, target, hidden)`.
            memory: source states, `(batch, source, hidden)`.
            keys: from `keys(memory)`.
            mask: True on real source tokens, `(batch, source)`.

        Returns:
            The averaged source states, `(batch, target, hidden)`, and the weights,
            `(batch, target, source)`, which are zero on padding and sum to 1.
        """
        if self.kind == "additive":
            # (batch, target, source, hidden): the memory cost of the additive form
            combined = torch.tanh(keys[:, None] + self.query(queries)[:, :, None])
            scores = self.score(combined).squeeze(-1)
        else:
            scores = queries @ keys.transpose(1, 2)
        scores = scores.masked_fill(~mask[:, None], float("-inf"))
        weights = scores.softmax(dim=-1)
        return weights @ memory, weights
