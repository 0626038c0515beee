"""Attention of the decoder's states to the source positions."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class SourceMemory:
    """What the decoder reads at every step, once for each sentence.

    Attributes:
        context_features: the context's part of the readout, `(sentences, …)`; None without fed
            context.
        context_inputs: the context's part of the first layer's inputs, `(sentences, …)`.
        states: the source states, `(sentences, source, hidden)`; None without attention.
        keys: their attention keys, same shape.
        mask: True on real source tokens, `(sentences, source)`.
    """

    context_features: Tensor | None = None
    context_inputs: Tensor | None = None
    states: Tensor | None = None
    keys: Tensor | None = None
    mask: Tensor | None = None

    def attend(
        self, attention: Attention, queries: Tensor, sentences: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend to the source, one query a row; rows of one sentence share its memory.

        Args:
            attention: an `Attention`.
            queries: decoder states, `(rows, hidden)`.
            sentences: the sentence of each row, `(rows,)`; None if row n is sentence n.

        Returns:
            The averaged source states, `(rows, hidden)`, and the weights, `(rows, source)`.
        """
        assert self.states is not None and self.keys is not None and self.mask is not None
        queries, memory = attention.queries(queries), (self.states, self.keys, self.mask)
        if sentences is None:
            attended, weights = attention(queries[:, None], *memory)
            return attention.pack(attended[:, 0]), weights[:, 0]
        counts = sentences.bincount(minlength=len(self.states))
        order = sentences.argsort(stable=True)
        index = torch.empty_like(sentences)  # of each row among those of its sentence
        ordinal = torch.arange(len(sentences), device=sentences.device)
        index[order] = ordinal - (counts.cumsum(0) - counts)[sentences[order]]
        padded = queries.new_zeros(len(self.states), int(counts.max()), queries.shape[1])
        padded[sentences, index] = queries
        attended, weights = attention(padded, *memory)
        return attention.pack(attended[sentences, index]), weights[sentences, index]

    def compact(self, sentences: Tensor) -> tuple["SourceMemory", Tensor]:
        """Drop the sentences that no row refers to, if they are a quarter; copying takes time.

        Args:
            sentences: the sentence of each row, `(rows,)`.

        Returns:
            The memory, and the sentence of each row in it.
        """
        if self.states is None:
            return self, sentences
        used, owner = sentences.unique(return_inverse=True)
        if 4 * len(used) > 3 * len(self.states):
            return self, sentences
        parts = (self.context_features, self.context_inputs, self.states, self.keys, self.mask)
        return SourceMemory(*(None if part is None else part[used] for part in parts)), owner
