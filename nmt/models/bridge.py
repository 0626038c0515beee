"""The hand-over: the encoder's final state becomes the decoder's first."""

import torch
from torch import nn

from nmt.config import ModelConfig
from nmt.models.cells import RecurrentState


class Bridge(nn.Module):
    """Every layer's final state starts the decoder's same layer, as it is or through a map.

    The map is linear; hidden states then pass the cell's own squashing, so that the decoder sees
    values of the range it makes itself.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.learned = config.bridge == "linear"
        self.squash = torch.relu if config.cell == "relu" else torch.tanh
        if self.learned:
            size = config.hidden_size
            self.hidden = nn.ModuleList(nn.Linear(size, size) for _ in range(config.layers))
            if config.cell == "lstm":
                self.cell = nn.ModuleList(nn.Linear(size, size) for _ in range(config.layers))

    def forward(self, state: RecurrentState) -> RecurrentState:
        """Map a state of `(layers, batch, hidden_size)` to one of the same shape."""
        if not self.learned:
            return state
        hidden = [self.squash(map_(h)) for map_, h in zip(self.hidden, state.hidden, strict=True)]
        if state.cell is None:
            return RecurrentState(torch.stack(hidden), None)
        cell = [map_(c) for map_, c in zip(self.cell, state.cell, strict=True)]
        return RecurrentState(torch.stack(hidden), torch.stack(cell))
