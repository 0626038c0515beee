"""The encoder: reads the source and returns its final state."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.batch import Padded, reversed_positions
from nmt.models.dropout import InputDropout
from nmt.models.sequences import run_stack
from nmt.models.stacks import RecurrentState, Stack, recurrent_stack


@dataclass(frozen=True)
class Encoded:
    """The encoder's outputs.

    Attributes:
        state: the final state of every layer, directions side by side,
            `(layers, batch, hidden_size)`.
        memory: the top layer's state at every source position, `(batch, time, hidden_size)`; of
            width 0 from a fast engine whose network never reads it.
        mask: True on real tokens, `(batch, time)`.
    """

    state: RecurrentState
    memory: Tensor
    mask: Tensor


class Encoder(nn.Module):
    """Embedding → dropout → recurrent stack. Padding never reaches the final state.

    Source: Sutskever et al. 2014, section 2 (and 3.3 for the reversed source).
    """

    stack: Stack

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        self.embedding = embedding
        self.dropout = InputDropout(config, words=config.source_word_dropout)
        self.reverse_source = config.reverse_source
        size = config.hidden_size // (2 if config.bidirectional else 1)
        self.stack = recurrent_stack(
            config, config.embedding_size, size, bidirectional=config.bidirectional
        )

    def forward(self, source: Padded) -> Encoded:
        """Read whole sentences, each of at least one token."""
        order = reversed_positions(source) if self.reverse_source else None
        tokens = source.tokens if order is None else source.tokens.gather(1, order)
        inputs = self.dropout(self.embedding(tokens))  # (batch, time, embedding)
        memory, state = run_stack(
            self.stack, inputs, lengths=source.lengths, locked_dropout=self.dropout.locked
        )
        if order is not None:  # back to the order of the tokens
            memory = memory.gather(1, order[:, :, None].expand_as(memory))
        states = state.tensors
        if self.stack.bidirectional:  # (layers × 2, batch, size) → (layers, batch, 2 × size)
            states = tuple(torch.cat([each[0::2], each[1::2]], dim=-1) for each in states)
        return Encoded(RecurrentState(*states), memory, source.mask)
