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
        context: to be fed at every step, `(batch, context_size(config))`.
    """

    state: RecurrentState
    context: Tensor


def context_size(config: ModelConfig) -> int:
    """Return the width of the context: a final state, and the pooled states where asked for."""
    return config.hidden_size * (1 if config.pool == "none" else 2)


class Bridge(nn.Module):
    """Turns the encoder's final state into the decoder's first, and into the fed context.

    copy: every layer's final state starts the decoder's same layer. linear: the same through a
    linear map for each layer. wide: all layers' final states, and the pooled states where those are
    asked for, go through one map to all layers. Mapped hidden states then pass the cell's own
    squashing, so that the decoder sees values of the range it makes itself. The context is the top
    layer's final state, and the pooled states beside it.

    Source: Sutskever et al. 2014 (copy); Cho et al. 2014 (a map; a summary fed at every step);
    Conneau et al. 2017 (pooled states).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        size, layers = config.hidden_size, config.layers
        self.kind, self.pool, self.dropout = config.bridge, config.pool, config.bridge_dropout
        self.squash = torch.relu if config.cell == "relu" else torch.tanh
        has_cells = config.cell == "lstm"
        if self.kind == "linear":
            self.hidden = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
            if has_cells:
                self.cell = nn.ModuleList(nn.Linear(size, size) for _ in range(layers))
        elif self.kind == "wide":
            states = layers * (2 if has_cells else 1)
            self.states = nn.Linear(size * (states + int(self.pool != "none")), size * states)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:  # each state that is made gets a signal of the size of those that are read
                for part in parameter.data.split(size):
                    nn.init.xavier_uniform_(part)

    def forward(self, encoded: Encoded) -> HandOver:
        """Hand over what the encoder made of the sentences."""
        hidden, cell = self._drop(encoded.state.hidden), encoded.state.cell
        cell = None if cell is None else self._drop(cell)
        context = [encoded.state.hidden[-1]]
        if self.pool != "none":
            context.append(pooled(encoded.memory, encoded.mask, self.pool))
        context = [self._drop(part) for part in context]
        if self.kind == "linear":
            maps = zip(self.hidden, hidden, strict=True)
            hidden = torch.stack([self.squash(map_(part)) for map_, part in maps])
            if cell is not None:
                cell = torch.stack([map_(part) for map_, part in zip(self.cell, cell, strict=True)])
        elif self.kind == "wide":
            layers, _, size = hidden.shape
            parts = [*hidden, *(() if cell is None else cell), *context[1:]]
            mapped = self.states(torch.cat(parts, dim=1))  # (batch, states × size)
            states = mapped.unflatten(1, (-1, size)).transpose(0, 1).contiguous()
            hidden = self.squash(states[:layers])
            cell = None if cell is None else states[layers:]
        return HandOver(RecurrentState(hidden, cell), torch.cat(context, dim=1))

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
