"""The encoder: reads the source and leaves its final state."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config import ModelConfig
from nmt.models.batch import Padded, reverse, reversed_positions
from nmt.models.cells import RecurrentState, recurrent_stack, run_padded_lstm, run_stack


@dataclass(frozen=True)
class Encoded:
    """What the encoder hands over.

    Attributes:
        state: the final state of every layer, directions side by side,
            `(layers, batch, hidden_size)`.
        memory: the top layer's state at every source position, `(batch, time, hidden_size)`.
        mask: True on real tokens, `(batch, time)`.
    """

    state: RecurrentState
    memory: Tensor
    mask: Tensor

    @property
    def context(self) -> Tensor:
        """The top layer's final state, `(batch, hidden_size)`."""
        return self.state.hidden[-1]


class Encoder(nn.Module):
    """Embedding → dropout → recurrent stack. Padding never reaches the final state.

    Source: Sutskever et al. 2014, section 2 (and 3.3 for the reversed source).
    """

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        self.embedding = embedding
        self.dropout = nn.Dropout(config.dropout)
        self.reverse_source = config.reverse_source
        self.stack = recurrent_stack(
            config.cell,
            input_size=config.embedding_size,
            hidden_size=config.hidden_size // (2 if config.bidirectional else 1),
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )

    def forward(self, source: Padded) -> Encoded:
        """Read whole sentences, each of at least one token."""
        tokens = reverse(source) if self.reverse_source else source.tokens
        inputs = self.dropout(self.embedding(tokens))  # (batch, time, embedding)
        if bool((source.lengths == tokens.shape[1]).all()):
            # Nothing is padded: the dense kernels are the faster ones.
            memory, state = run_stack(self.stack, inputs)
        elif isinstance(self.stack, nn.LSTM) and inputs.device.type == "cpu":
            memory, state = run_padded_lstm(self.stack, inputs, source.lengths)
        else:
            packed = pack_padded_sequence(
                inputs, source.lengths, batch_first=True, enforce_sorted=False
            )
            outputs, state = run_stack(self.stack, packed)
            memory, _ = pad_packed_sequence(outputs, batch_first=True, total_length=tokens.shape[1])
        if self.reverse_source:  # put the states back beside the tokens they belong to
            order = reversed_positions(source)[:, :, None].expand_as(memory)
            memory = memory.gather(1, order)
        hidden = self._join_directions(state.hidden)
        cell = None if state.cell is None else self._join_directions(state.cell)
        return Encoded(RecurrentState(hidden, cell), memory, source.mask)

    def _join_directions(self, states: Tensor) -> Tensor:
        """Turn `(layers × directions, batch, size)` into `(layers, batch, directions × size)`."""
        if not self.stack.bidirectional:
            return states
        return torch.cat([states[0::2], states[1::2]], dim=-1)
