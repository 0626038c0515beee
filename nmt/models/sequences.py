"""Recurrent stacks over whole sentences, with torch's fused kernels."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from nmt.config import ModelConfig
from nmt.models.cells import RecurrentState, Stack, layer_weights
from nmt.models.dropout import drop_units

_SATURATED = 1e4
"""What added to a gate leaves of it 0 or 1, whatever else it is given."""


@dataclass(frozen=True)
class Noise:
    """What training does to a stack beside plain dropout between its layers.

    Attributes:
        locked: drop the same units at all steps of a sentence.
        weight_drop: share of the recurrent weights that a whole batch does without.

    Source: Gal and Ghahramani 2016 (locked); Merity et al. 2018 (weight drop).
    """

    locked: bool = False
    weight_drop: float = 0.0

    @classmethod
    def of(cls, config: ModelConfig) -> "Noise":
        """Take the noise that a config asks for."""
        return cls(config.locked_dropout, config.weight_drop)

    def changes(self, stack: Stack) -> bool:
        """Tell whether it changes anything now."""
        return stack.training and (self.weight_drop > 0 or (self.locked and stack.dropout > 0))

    def weights(self, stack: Stack, layer: int) -> list[list[Tensor]]:
        """Return the weights of a layer, direction by direction, as the present batch has them."""
        found = []
        for direction in ("", "_reverse")[: 2 if stack.bidirectional else 1]:
            of_inputs, recurrent, *biases = layer_weights(stack, f"{layer}{direction}")
            if stack.training and self.weight_drop > 0:
                recurrent = F.dropout(recurrent, self.weight_drop)
            found.append([of_inputs, recurrent, *biases])
        return found


def run_stack(
    stack: Stack,
    inputs: Tensor,
    state: RecurrentState | None = None,
    *,
    lengths: Tensor | None = None,
    noise: Noise = Noise(),
) -> tuple[Tensor, RecurrentState]:
    """Run a stack over sentences.

    Args:
        stack: from `recurrent_stack`.
        inputs: `(batch, time, input_size)`.
        state: where to start; zeros where it is None.
        lengths: real tokens of each sentence, at least 1, `(batch,)`, of a stack that starts at
            zero; None where all are real.
        noise: of training.

    Returns:
        The top layer's states, `(batch, time, directions × hidden_size)`, which mean nothing at
        padding, and the last state of every layer and direction, at the last real token.
    """
    if lengths is not None and bool((lengths == inputs.shape[1]).all()):
        lengths = None  # nothing is padded: the dense kernels are the faster ones
    padded_lstm = lengths is not None and isinstance(stack, nn.LSTM) and inputs.device.type == "cpu"
    if not padded_lstm and not noise.changes(stack):
        return _run_at_once(stack, inputs, state, lengths)
    hidden: list[Tensor] = []
    cell: list[Tensor] = []
    outputs = inputs
    for layer in range(stack.num_layers):
        if layer > 0 and stack.training:
            outputs = drop_units(outputs, stack.dropout, locked=noise.locked)
        weights = noise.weights(stack, layer)
        start = None if state is None else state.layer(layer)
        if padded_lstm:
            assert lengths is not None and isinstance(stack, nn.LSTM)
            outputs, last = _run_padded_lstm(stack, weights, outputs, lengths)
        else:
            outputs, last = _run_layer(stack, weights, outputs, start, lengths)
        hidden.append(last.hidden)
        cell += [] if last.cell is None else [last.cell]
    return outputs, RecurrentState(torch.cat(hidden), torch.cat(cell) if cell else None)


def _run_at_once(
    stack: Stack, inputs: Tensor, state: RecurrentState | None, lengths: Tensor | None
) -> tuple[Tensor, RecurrentState]:
    """Run all layers in one call."""
    read = inputs if lengths is None else _pack(inputs, lengths)
    start: Any = None
    if state is not None:
        start = state.hidden if state.cell is None else (state.hidden, state.cell)
    outputs, last = stack(read, start)
    if lengths is not None:
        outputs, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
    return outputs, RecurrentState(*last) if isinstance(last, tuple) else RecurrentState(last, None)


def _run_layer(
    stack: Stack,
    weights: list[list[Tensor]],
    inputs: Tensor,
    state: RecurrentState | None,
    lengths: Tensor | None,
) -> tuple[Tensor, RecurrentState]:
    """Run one layer with the given weights of each direction."""
    run: Any = getattr(torch, stack.mode.lower())  # lstm, gru, rnn_tanh or rnn_relu
    if state is None:
        hidden = inputs.new_zeros(len(weights), len(inputs), stack.hidden_size)
        state = RecurrentState(hidden, hidden if isinstance(stack, nn.LSTM) else None)
    start: Any = state.hidden if state.cell is None else (state.hidden, state.cell)
    flat = [weight for direction in weights for weight in direction]
    options = (flat, True, 1, 0.0, stack.training, stack.bidirectional)  # biases, layers, dropout
    if lengths is None:
        outputs, *last = run(inputs, start, *options, True)
        return outputs, RecurrentState(last[0], last[1] if len(last) > 1 else None)
    packed = _pack(inputs, lengths)
    data, *last = run(packed.data, packed.batch_sizes, start, *options)
    outputs, _ = pad_packed_sequence(
        packed._replace(data=data), batch_first=True, total_length=inputs.shape[1]
    )
    ends = RecurrentState(last[0], last[1] if len(last) > 1 else None)
    assert packed.unsorted_indices is not None
    return outputs, ends.select(packed.unsorted_indices)


def _run_padded_lstm(
    stack: nn.LSTM, weights: list[list[Tensor]], inputs: Tensor, lengths: Tensor
) -> tuple[Tensor, RecurrentState]:
    """Run an LSTM layer from zero over unequal lengths, with the dense kernels of a CPU.

    Padding gets an input feature of its own, which shuts the input gates and opens the forget
    gates wholly: a cell then passes through padding unchanged, on either side of the sentence, and
    one that is still zero stays so. No gradient comes from there. The packed sequences of torch
    give the same, step by step.
    """
    batch, time, _ = inputs.shape
    size = stack.hidden_size
    padding = (torch.arange(time) >= lengths[:, None]).to(inputs.dtype)[:, :, None]
    gates = inputs.new_zeros(4 * size, 1)
    gates[:size], gates[size : 2 * size] = -_SATURATED, _SATURATED
    widened = [[torch.cat([of_inputs, gates], dim=1), *others] for of_inputs, *others in weights]
    outputs, last = _run_layer(stack, widened, torch.cat([inputs, padding], dim=2), None, None)
    ends = [outputs[torch.arange(batch), lengths - 1, :size], outputs[:, 0, size:]]
    return outputs, RecurrentState(torch.stack(ends[: len(weights)]), last.cell)


def _pack(inputs: Tensor, lengths: Tensor) -> PackedSequence:
    return pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
