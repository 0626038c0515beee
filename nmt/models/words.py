"""Encoders without recurrence: what a sentence's words say without their order, or by their end."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.batch import Padded, last_positions
from nmt.models.bridge import pooled
from nmt.models.cells import RecurrentState
from nmt.models.dropout import InputDropout
from nmt.models.encoder import Encoded, Encoder


class WordEncoder(nn.Module):
    """Embedding → dropout → one learned map to all layers' states.

    bag: the mean of all embeddings is mapped, so that order is lost; the memory holds what a bag of
    each token alone would give the top layer. window: the embeddings of the last tokens before the
    end token stand side by side, each place with weights of its own, and zeros where a sentence is
    shorter; there is no memory. Mapped hidden states pass the cell's own squashing.

    Source: Iyyer et al. 2015 (bag); Bengio et al. 2003 (window).
    """

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        self.embedding = embedding
        self.dropout = InputDropout(
            config, words=config.source_word_dropout, vocabulary=embedding.num_embeddings
        )
        self.window = config.window if config.encoder == "window" else None
        self.layers, self.size = config.layers, config.hidden_size
        self.squash = torch.relu if config.cell == "relu" else torch.tanh
        states = config.layers * (2 if config.cell == "lstm" else 1)
        self.states = nn.Linear(config.embedding_size * (self.window or 1), states * self.size)
        for part in self.states.weight.data.split(self.size):
            nn.init.xavier_uniform_(part)
        nn.init.zeros_(self.states.bias)

    def forward(self, source: Padded) -> Encoded:
        """Read whole sentences, each of at least one token."""
        inputs = self.dropout(self.embedding(source.tokens), source.tokens)
        if self.window is None:
            read = pooled(inputs, source.mask, "mean")
            top = slice((self.layers - 1) * self.size, self.layers * self.size)
            weight, bias = self.states.weight[top], self.states.bias[top]
            memory = self.squash(F.linear(inputs, weight, bias))
        else:
            read = self._last(inputs, source).flatten(1)
            memory = inputs.new_zeros(1, 1, 1).expand(*inputs.shape[:2], self.size)
        mapped = self.states(read).unflatten(1, (-1, self.size))  # (batch, states, size)
        states = mapped.transpose(0, 1).contiguous()
        hidden, cell = self.squash(states[: self.layers]), states[self.layers :]
        return Encoded(RecurrentState(hidden, cell if len(cell) else None), memory, source.mask)

    def _last(self, inputs: Tensor, source: Padded) -> Tensor:
        """Return the embeddings in the window, `(batch, window, embedding)`."""
        assert self.window is not None
        positions, there = last_positions(source, self.window)
        places = positions[:, :, None].expand(-1, -1, inputs.shape[2])
        return inputs.gather(1, places) * there[:, :, None]


def make_encoder(config: ModelConfig, embedding: nn.Embedding) -> Encoder | WordEncoder:
    """Make the encoder that a config asks for."""
    kind = Encoder if config.encoder == "rnn" else WordEncoder
    return kind(config, embedding)
