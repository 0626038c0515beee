"""A recurrent layer of the fast engine: packed products, and few passes over its gates.

tanh(x) = 2 σ(2 x) - 1. With the twos folded into the weights, one call of σ serves all gates.
torch's kernel of σ is six times as fast as that of tanh; see `sigmoid_`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.inference.engine_products import Arithmetic, InputTable, Matrix, sigmoid_, tanh_of_half_
from nmt.models.cells import CELLS, LayerState
from nmt.models.stacks import Layer

_OUTPUT_UNUSED = ("lstm", "tanh", "relu")
"""Cells that read their last output only in the recurrent product."""


class FastLayer(Layer):
    """A layer whose state is its packed output, then the fp32 states that its cell reads.

    LSTM and GRU have optimized steps; every other cell runs its equations.

    Args:
        kind: a name in `CELLS`.
        weights: of the layer, in torch's order.
        arithmetic: fp32 or integers.
        embedding: of a first layer, whose inputs are tokens; None for the layers above.
        context: columns of the fed context in the first layer's inputs, after the embedding.
        input_feed: columns of the last readout, after the context.
    """

    def __init__(
        self,
        kind: str,
        weights: Sequence[Tensor],
        arithmetic: Arithmetic,
        *,
        embedding: Matrix | None = None,
        context: int = 0,
        input_feed: int = 0,
    ):
        super().__init__(CELLS[kind], weights)
        self.weights = ()  # frees the fp32 weights of an int8 engine
        self.kind, self.arithmetic = kind, arithmetic
        self.pack, self.unpack = arithmetic.pack, arithmetic.unpack  # type: ignore[assignment]
        of_inputs, of_hidden = arithmetic.matrices(*weights[:2])
        bias, hidden_bias = weights[2].detach(), weights[3].detach()
        size = self.size
        order, factor = torch.arange(len(bias)), torch.ones(len(bias))
        if kind == "lstm":  # input, forget, cell, output → input, forget, output, cell
            order = torch.cat([order[: 2 * size], order[3 * size :], order[2 * size : 3 * size]])
            factor[3 * size :] = 2
        of_inputs, of_hidden = (
            matrix.rows(order).times(factor) for matrix in (of_inputs, of_hidden)
        )
        bias, hidden_bias = bias[order] * factor, hidden_bias[order] * factor
        recurrent_bias: Tensor | None = hidden_bias
        if self.cell.sums:
            bias, recurrent_bias = bias + hidden_bias, None
        self.first = embedding is not None
        if embedding is not None:
            width = embedding.values.shape[1]
            self._table = InputTable(embedding, of_inputs.columns(0, width), bias)
            if context:
                part = of_inputs.columns(width, width + context)
                self.read_context = arithmetic.product(part)  # type: ignore[assignment]
            if input_feed:
                part = of_inputs.columns(width + context, width + context + input_feed)
                self._read_feed = arithmetic.product(part)
        elif self.cell.sums:
            of_hidden, recurrent_bias = of_inputs.beside(of_hidden), bias
        else:
            self._read_below = arithmetic.product(of_inputs, bias)
        self._product = arithmetic.product(of_hidden, recurrent_bias)

    def start(self, state: LayerState) -> LayerState:
        """Return the state that starts at hidden and cell states, `(rows, size)` each."""
        return self.pack(state[0]), *state[self.kind in _OUTPUT_UNUSED :]

    def final(self, state: LayerState) -> LayerState:
        """Return hidden and cell states in fp32."""
        floats = state[1:]
        return (self.unpack(state[0]), *floats) if self.kind in _OUTPUT_UNUSED else floats

    def read(self, embedded: Tensor, context: Tensor | None, input_feed: Tensor | None) -> Tensor:
        """Return the first layer's input product for tokens, `(rows,)`; see `Layer.read`."""
        if not self.first:
            return embedded
        gates = self._table(embedded)
        if context is not None:
            gates += context
        if input_feed is not None:
            gates += self._read_feed(input_feed)
        return gates

    def step(self, inputs: Tensor, state: LayerState) -> LayerState:
        """Advance one step; `inputs` are from `read`, or the packed output of the layer below."""
        packed, floats = state[0], state[1:]
        if not self.cell.sums:
            inputs = inputs if self.first else self._read_below(inputs)
            recurrent = self._product(packed)
        elif self.first:
            inputs, recurrent = self._product(packed).add_(inputs), inputs.new_zeros(())
        else:
            inputs = self._product(torch.cat([inputs, packed], dim=1))
            recurrent = inputs.new_zeros(())
        if self.kind == "lstm":
            return self.start(self._lstm(inputs, floats[0]))
        if self.kind == "gru":
            return self.start(self._gru(inputs, recurrent, floats[0]))
        return self.start(self.cell.equations(inputs, recurrent, floats)[0])

    def _lstm(self, gates: Tensor, cell: Tensor) -> LayerState:
        """Advance an LSTM whose gates are i, f, o and 2 g."""
        entry, forget, output, candidate = sigmoid_(gates).split(self.size, dim=1)
        cell = (forget * cell).add_(candidate.mul_(2).sub_(1).mul_(entry))
        return tanh_of_half_(cell * 2).mul_(output), cell

    def _gru(self, gates: Tensor, recurrent: Tensor, before: Tensor) -> LayerState:
        """Advance a GRU."""
        size = self.size
        open_ = sigmoid_(gates[:, : 2 * size] + recurrent[:, : 2 * size])
        new = open_[:, :size].mul_(recurrent[:, 2 * size :]).add_(gates[:, 2 * size :]).tanh_()
        return ((before - new).mul_(open_[:, size:]).add_(new),)
