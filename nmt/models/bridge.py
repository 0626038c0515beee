"""The bridge: maps the encoder's final state to the decoder's initial state and context."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.cells import CELLS
from nmt.models.encoder import Encoded
from nmt.models.stacks import RecurrentState


@dataclass(frozen=True)
class DecoderInit:
    """The decoder's inputs before its first step.

    Attributes:
        state: initial state of every layer, `(layers, batch, hidden_size)`.
        context: read at every step with `model.feed_context`, `(batch, context_size(config))`.
    """

    state: RecurrentState
    context: Tensor


def context_size(config: ModelConfig) -> int:
    """Return the width of the context: a final state and, with `model.pool`, the pooled states."""
    return config.hidden_size * (1 if config.pool == "none" else 2)


class Bridge(nn.Module):
    """Maps the encoder's final state to the decoder's initial state and context.

    copy: each layer's final state is the initial state of the decoder's same layer. linear: a
    linear map for each layer in between. wide: one linear map from all layers' final states, and
    the pooled states with `model.pool`, to all layers. The cell's own squashing function bounds
    mapped hidden states. The context is the top layer's final hidden state and the pooled states.

    Source: Sutskever et al. 2014 (copy); Cho et al. 2014 (linear map, context at every step);
    Conneau et al. 2017 (pooled states).
    """

    hidden: nn.ModuleList
    cell: nn.ModuleList

    def __init__(self, config: ModelConfig):
        super().__init__()
        size, layers, cell = config.hidden_size, config.layers, CELLS[config.cell]
        self.kind, self.pool, self.squash = config.bridge, config.pool, cell.squash
        if self.kind == "linear":
            for name in ("hidden", "cell")[: cell.states]:
                setattr(self, name, nn.ModuleList(nn.Linear(size, size) for _ in range(layers)))
        elif self.kind == "wide":
            states = layers * cell.states
            self.states = nn.Linear(size * (states + int(self.pool != "none")), size * states)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:  # Xavier's variance for each block, not for the whole matrix
                for part in parameter.data.split(size):
                    nn.init.xavier_uniform_(part)

    def forward(self, encoded: Encoded) -> DecoderInit:
        """Map the encoder's outputs to the decoder's inputs."""
        hidden, *cell = encoded.state.tensors
        context = [encoded.state.hidden[-1]]
        if self.pool != "none":
            context.append(pooled(encoded.memory, encoded.mask, self.pool))
        if self.kind == "linear":
            maps = zip(self.hidden, hidden, strict=True)
            hidden = torch.stack([self.squash(map_(part)) for map_, part in maps])
            if cell:
                maps = zip(self.cell, cell[0], strict=True)
                cell = [torch.stack([map_(part) for map_, part in maps])]
        elif self.kind == "wide":
            layers, _, size = hidden.shape
            parts = [*hidden, *(part for layer in cell for part in layer), *context[1:]]
            mapped = self.states(torch.cat(parts, dim=1))  # (batch, states × size)
            hidden, *cell = RecurrentState.split(mapped, layers, size).tensors
            hidden = self.squash(hidden)
        return DecoderInit(RecurrentState(hidden, *cell), torch.cat(context, dim=1))


def pooled(memory: Tensor, mask: Tensor, kind: str) -> Tensor:
    """Return the mean or the maximum of each sentence's states, unit by unit.

    Args:
        memory: `(batch, time, hidden)`.
        mask: True on real tokens, `(batch, time)`.
        kind: mean or max.

    Returns:
        `(batch, hidden)`. Means are summed in double precision, which is exact for the states of an
        int8 engine, so they do not depend on the padding.
    """
    if kind == "max":
        return memory.masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1)
    total = torch.bmm(mask[:, None].double(), memory.double())[:, 0]
    return (total / mask.sum(dim=1, keepdim=True)).to(memory.dtype)
