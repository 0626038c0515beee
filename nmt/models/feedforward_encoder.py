"""Encoders without recurrence, for comparison: a bag of words, or a window of the last words."""

from torch import nn

from nmt.config import ModelConfig
from nmt.models.batch import Padded, last_positions
from nmt.models.bridge import pooled
from nmt.models.cells import CELLS
from nmt.models.dropout import InputDropout
from nmt.models.encoder import Encoded
from nmt.models.stacks import RecurrentState


class FeedforwardEncoder(nn.Module):
    """Embedding → dropout → one linear map to all layers' states.

    bag: the map reads the mean of all embeddings, without their order; the memory holds the top
    layer's state for a bag of each single token. window: the map reads the concatenated embeddings
    of the last tokens before the end token, padded with zeros; there is no memory. The cell's own
    squashing function bounds the hidden states.

    Source: Iyyer et al. 2015 (bag); Bengio et al. 2003 (window).
    """

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        self.embedding = embedding
        self.dropout = InputDropout(config, words=config.source_word_dropout)
        self.window = config.window if config.encoder == "window" else None
        self.layers, self.size = config.layers, config.hidden_size
        self.squash = CELLS[config.cell].squash
        self.has_memory = config.attention != "none" or config.pool != "none"
        states = config.layers * CELLS[config.cell].states
        self.states = nn.Linear(config.embedding_size * (self.window or 1), states * self.size)
        for part in self.states.weight.data.split(self.size):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.states.bias)

    def forward(self, source: Padded) -> Encoded:
        """Read whole sentences, each of at least one token."""
        inputs = self.dropout(self.embedding(source.tokens))
        memory = inputs.new_zeros(*inputs.shape[:2], 0)
        if self.window is not None:
            positions, mask = last_positions(source, self.window)
            index = positions[:, :, None].expand(-1, -1, inputs.shape[2])
            features = (inputs.gather(1, index) * mask[:, :, None]).flatten(1)
        else:
            features = pooled(inputs, source.mask, "mean")
            if self.has_memory:
                memory = self.squash(self.states(inputs).split(self.size, dim=2)[self.layers - 1])
        mapped = self.states(features)  # (batch, states × size)
        hidden, *cell = RecurrentState.split(mapped, self.layers, self.size).tensors
        return Encoded(RecurrentState(self.squash(hidden), *cell), memory, source.mask)
