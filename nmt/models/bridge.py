"""The hand-over: what the decoder is given of the source sentence, in one fixed size."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.cells import RecurrentState
from nmt.models.encoder import Encoded


@dataclass(frozen=True)
class HandOver:
    """Where the decoder starts.

    Attributes:
        state: of every layer, `(layers, batch, hidden_size)`.
        context: to be fed at every step, `(batch, hidden_size)`.
    """

    state: RecurrentState
    context: Tensor


class Bridge(nn.Module):
    """Turns the encoder's final state into the decoder's first, and into the fed context.

    copy: every layer's final state starts the decoder's same layer, and the top one is the context.
    linear: the same through a linear map for each layer. wide: all layers' final states together,
    and the pooled states where those are asked for, go through one map to all that is handed over.
    Mapped hidden states then pass the cell's own squashing, so that the decoder sees values of the
    range it makes itself.

    Source: Sutskever et al. 2014 (copy); Cho et al. 2014 (a map; a summary fed at every step);
    Conneau et al. 2017 (pooled states).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        size, layers = config.hidden_size, config.layers
        self.kind, self.pool, self.dropout = config.bridge, config.pool, config.bridge_dropout
        self.layers, has_cells = layers, config.cell == "lstm"
        self.squash = torch.relu if config.cell == "relu" else torch.tanh
        states = layers * (2 if has_cells else 1)
        if self.kind == "linear":
            self.hidden = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
            if has_cells:
                self.cell = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        elif self.kind == "wide":
            read = size * (states + int(self.pool != "none"))
            self.states = nn.Linear(read, size * states)
            self.context = nn.Linear(read, size) if config.feed_context else None

    def forward(self, encoded: Encoded) -> HandOver:
        """Hand over what the encoder made of the sentences."""
        if self.kind == "wide":
            return self._wide(encoded)
        state, context = encoded.state, encoded.state.hidden[-1]
        hidden, cell = self._drop(state.hidden), state.cell
        if self.kind == "linear":
            maps = zip(self.hidden, hidden, strict=True)
            hidden = torch.stack([self.squash(map_(part)) for map_, part in maps])
        if cell is not None:
            cell = self._drop(cell)
            if self.kind == "linear":
                cell = torch.stack([map_(part) for map_, part in zip(self.cell, cell, strict=True)])
        return HandOver(RecurrentState(hidden, cell), self._drop(context))

    def _wide(self, encoded: Encoded) -> HandOver:
        """Map everything at once."""
        state = encoded.state
        parts = [*state.hidden, *(() if state.cell is None else state.cell)]
        if self.pool != "none":
            parts.append(pooled(encoded.memory, encoded.mask, self.pool))
        read = self._drop(torch.cat(parts, dim=1))  # (batch, parts × hidden)
        states = self.states(read).unflatten(1, (-1, state.hidden.shape[2])).transpose(0, 1)
        hidden = self.squash(states[: self.layers])
        cell = states[self.layers :] if len(states) > self.layers else None
        context = state.hidden[-1] if self.context is None else self.squash(self.context(read))
        return HandOver(RecurrentState(hidden.contiguous(), cell), context)

    def _drop(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.training)


def pooled(memory: Tensor, mask: Tensor, kind: str) -> Tensor:
    """Summarise the states of each sentence, unit by unit.

    Args:
        memory: `(batch, time, hidden)`.
        mask: True on real tokens, `(batch, time)`.
        kind: mean or max.

    Returns:
        `(batch, hidden)`. A mean is summed in double precision, which is exact for the states of an
        int8 engine: it does not depend on the padding.
    """
    if kind == "max":
        return memory.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1)
    total = (memory * mask[:, :, None]).sum(dim=1, dtype=torch.float64)
    return (total / mask.sum(dim=1, keepdim=True)).to(memory.dtype)
