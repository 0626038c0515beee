"""Recurrent stacks over whole sentences: torch's fused kernels, or step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
    pad_sequence,
)

from nmt.config import ModelConfig
from nmt.models.cells import LayerState
from nmt.models.dropout import drop_units
from nmt.models.stacks import Layer, RecurrentState, Stack, cell_of, stack_layers

_SATURATED = 1e4
"""Added to a gate, it opens or closes the gate fully, whatever else is added."""


@dataclass(frozen=True)
class RecurrentDropout:
    """Dropout of a stack in training, beside plain dropout between its layers.

    Attributes:
        locked: drop the same units at all steps of a sentence.
        weight_drop: share of the recurrent weights dropped for a whole batch.

    Source: Gal and Ghahramani 2016 (locked); Merity et al. 2018 (weight drop).
    """

    locked: bool = False
    weight_drop: float = 0.0

    @classmethod
    def of(cls, config: ModelConfig) -> "RecurrentDropout":
        """Take the settings of a config."""
        return cls(config.locked_dropout, config.weight_drop)

    def changes(self, stack: Stack) -> bool:
        """Return whether it drops anything now that torch's own stack does not."""
        return stack.training and (self.weight_drop > 0 or (self.locked and stack.dropout > 0))

    def layer(self, stack: Stack, layer: Layer) -> Layer:
        """Return a layer with the weights of this batch."""
        if not (stack.training and self.weight_drop > 0):
            return layer
        of_inputs, of_hidden, *biases = layer.weights
        dropped = F.dropout(of_hidden, self.weight_drop)
        return Layer(layer.cell, [of_inputs, dropped, *biases])


def run_stack(
    stack: Stack,
    inputs: Tensor,
    state: RecurrentState | None = None,
    *,
    lengths: Tensor | None = None,
    dropout: RecurrentDropout = RecurrentDropout(),
) -> tuple[Tensor, RecurrentState]:
    """Run a stack over sentences.

    torch's fused kernels run where the cell has them: forward and backward over 20 steps of 128
    sentences take a third to a fifth of the time of single steps.

    Args:
        stack: from `recurrent_stack`, or a `LayerStack`.
        inputs: `(batch, time, input_size)`.
        state: initial state; zeros where it is None.
        lengths: real tokens of each sentence, at least 1, `(batch,)`, for a stack that starts at
            zero; None where all are real.
        dropout: applied in training.

    Returns:
        The top layer's outputs, `(batch, time, directions × hidden_size)`, undefined at padding,
        and the last state of every layer and direction, at the last real token.
    """
    if lengths is not None and bool((lengths == inputs.shape[1]).all()):
        lengths = None  # nothing is padded: the dense kernels are faster
    fused = isinstance(stack, nn.RNNBase) and cell_of(stack).module is not None
    padded_lstm = lengths is not None and isinstance(stack, nn.LSTM) and inputs.device.type == "cpu"
    if fused and not padded_lstm and not dropout.changes(stack):
        return _run_at_once(stack, inputs, state, lengths)
    layers, ends, outputs = stack_layers(stack), [], inputs
    starts = None if state is None else state.layers()
    for number, directions in enumerate(layers):
        if number > 0 and stack.training:
            outputs = drop_units(outputs, stack.dropout, locked=dropout.locked)
        directions = [dropout.layer(stack, layer) for layer in directions]
        start = None if starts is None else starts[number]
        if not fused:
            keep = number + 1 < len(layers) or getattr(stack, "keep_outputs", True)
            outputs, last = _run_steps(directions, outputs, start, lengths, keep=keep)
        elif padded_lstm:
            assert lengths is not None
            outputs, last = _run_padded_lstm(stack, directions, outputs, lengths)
        else:
            weights = [layer.weights for layer in directions]
            outputs, last = _run_layer(stack, weights, outputs, start, lengths)
        ends += last
    return layers[-1][0].unpack(outputs), RecurrentState.of(ends)


def _run_steps(
    directions: Sequence[Layer],
    inputs: Tensor,
    start: LayerState | None,
    lengths: Tensor | None,
    *,
    keep: bool,
) -> tuple[Tensor, list[LayerState]]:
    """Run one layer step by step, each step over the sentences that are that long."""
    rows, time = inputs.shape[:2]
    counts, order = [rows] * time, None
    if lengths is not None:
        counts = (lengths > torch.arange(time)[:, None]).sum(dim=1).tolist()
        if not bool((lengths[:-1] >= lengths[1:]).all()):
            order = lengths.argsort(descending=True, stable=True).to(inputs.device)
            inputs = inputs[order]
    outputs, ends = [], []
    for number, layer in enumerate(directions):
        state = layer.zero(inputs) if start is None else layer.start(start)
        steps: list[Tensor] = [inputs] * time
        for step in reversed(range(time)) if number else range(time):
            count = counts[step]
            read = layer.read(inputs[:count, step], None, None)
            after = layer.step(read, tuple(part[:count] for part in state))
            steps[step] = after[0]
            if count < rows:
                parts = zip(after, state, strict=True)
                after = tuple(torch.cat([new, old[count:]]) for new, old in parts)
            state = after
        if keep:
            outputs.append(pad_sequence(steps, batch_first=True))
        ends.append(layer.final(state))
    # (time, batch, directions × size) → (batch, time, …)
    states = torch.cat(outputs, dim=2).transpose(0, 1) if keep else inputs.new_zeros(rows, time, 0)
    if order is not None:
        back = order.argsort()
        states, ends = states[back], [tuple(part[back] for part in end) for end in ends]
    return states, ends


def _run_at_once(
    stack: Any, inputs: Tensor, state: RecurrentState | None, lengths: Tensor | None
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
    stack: Any,
    weights: Sequence[Sequence[Tensor]],
    inputs: Tensor,
    start: LayerState | None,
    lengths: Tensor | None,
) -> tuple[Tensor, list[LayerState]]:
    """Run one layer with the given weights of each direction."""
    run: Any = getattr(torch, stack.mode.lower())  # lstm, gru, rnn_tanh or rnn_relu
    states = cell_of(stack).states
    if start is None:
        zeros = inputs.new_zeros(len(weights), len(inputs), stack.hidden_size)
        first: Any = (zeros,) * states
    else:
        first = tuple(part[None] for part in start)
    first = first if states > 1 else first[0]
    flat = [weight for direction in weights for weight in direction]
    options = (flat, True, 1, 0.0, stack.training, stack.bidirectional)  # biases, layers, dropout
    if lengths is None:
        outputs, *last = run(inputs, first, *options, True)
        return outputs, list(zip(*last, strict=True))
    packed = _pack(inputs, lengths)
    data, *last = run(packed.data, packed.batch_sizes, first, *options)
    outputs, _ = pad_packed_sequence(
        packed._replace(data=data), batch_first=True, total_length=inputs.shape[1]
    )
    return outputs, list(zip(*(part[:, packed.unsorted_indices] for part in last), strict=True))


def _run_padded_lstm(
    stack: Any, layers: Sequence[Layer], inputs: Tensor, lengths: Tensor
) -> tuple[Tensor, list[LayerState]]:
    """Run an LSTM layer from zero over unequal lengths, with the dense kernels of a CPU.

    Padding gets an input feature of its own, which closes the input gates and opens the forget
    gates fully: a cell passes through padding unchanged, on either side of the sentence, and a zero
    cell stays zero. No gradient comes from there. torch's packed sequences give the same, step by
    step: at batch 16 they take longer.
    """
    batch, time, _ = inputs.shape
    size = stack.hidden_size
    padding = (torch.arange(time) >= lengths[:, None]).to(inputs.dtype)[:, :, None]
    gates = inputs.new_zeros(4 * size, 1)
    gates[:size], gates[size : 2 * size] = -_SATURATED, _SATURATED
    widened = [
        [torch.cat([layer.weights[0], gates], dim=1), *layer.weights[1:]] for layer in layers
    ]
    outputs, last = _run_layer(stack, widened, torch.cat([inputs, padding], dim=2), None, None)
    ends = [outputs[torch.arange(batch), lengths - 1, :size], outputs[:, 0, size:]]
    return outputs, [(end, cell) for end, (_, cell) in zip(ends, last, strict=False)]


def _pack(inputs: Tensor, lengths: Tensor) -> PackedSequence:
    return pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
