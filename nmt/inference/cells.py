"""One recurrent layer, a step at a time, with as few passes over its gates as can be.

σ(x) = 1 / (1 + exp(-x)) and tanh(x) = 2 σ(2 x) - 1: with the signs and twos put into the weights,
one exponential serves all gates. Its kernel is faster than that of tanh, and unlike that of σ it
gives a value the same result wherever in a tensor it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.inference.products import Arithmetic, InputTable, Matrix

Carried = tuple[Tensor, ...]
"""A layer's state: its packed output, `(rows, size)`, then what the cell keeps in fp32 beside."""


@dataclass(frozen=True)
class LayerWeights:
    """Input and recurrent weights of one layer and direction, by torch's names."""

    w_input: Matrix
    w_hidden: Matrix
    b_input: Tensor
    b_hidden: Tensor

    @classmethod
    def named(cls, weights: Mapping[str, Tensor], stack: str, layer: str) -> "LayerWeights":
        """Take the weights of a layer, such as `0` or `1_reverse`, of a stack."""
        matrices = [
            Matrix.named(weights, f"{stack}.{name}_l{layer}") for name in ("weight_ih", "weight_hh")
        ]
        biases = [weights[f"{stack}.{name}_l{layer}"] for name in ("bias_ih", "bias_hh")]
        return cls(matrices[0], matrices[1], biases[0], biases[1])

    @property
    def size(self) -> int:
        """Units of the layer."""
        return self.w_hidden.values.shape[1]

    def arranged(self, cell: str) -> "LayerWeights":
        """Bring the gates into the order and scale in which the steps below read them."""
        size, outputs = self.size, len(self.b_input)
        order = torch.arange(outputs)
        factor = torch.ones(outputs)
        if cell == "lstm":  # input, forget, cell, output → input, forget, output, cell
            order = torch.cat([order[: 2 * size], order[3 * size :], order[2 * size : 3 * size]])
            factor[:] = -1
            factor[3 * size :] = -2
        elif cell == "gru":  # reset, update, new
            factor[: 2 * size] = -1
        return LayerWeights(
            self.w_input.arranged(order, factor),
            self.w_hidden.arranged(order, factor),
            self.b_input[order] * factor,
            self.b_hidden[order] * factor,
        )


class Layer:
    """A recurrent layer in one direction.

    Args:
        cell: lstm, gru, tanh or relu (fp32 only: its outputs have no bound).
        weights: of the layer, as torch arranges them.
        arithmetic: fp32 or integers.
        embedding: of the first layer, whose inputs are tokens; None for a layer above another.
        context: how many of the first layer's inputs, after the embedding, are a fed context.
        fed: how many, after those, are the last step's readout (input feeding).
    """

    def __init__(
        self,
        cell: str,
        weights: LayerWeights,
        arithmetic: Arithmetic,
        *,
        embedding: Matrix | None = None,
        context: int = 0,
        fed: int = 0,
    ):
        self.cell, self.size = cell, weights.size
        self._arithmetic = arithmetic
        weights = weights.arranged(cell)
        inputs = weights.w_input.values.shape[1]
        apart = cell == "gru"  # its reset gate comes between the recurrent product and the rest
        bias = weights.b_input if apart else weights.b_input + weights.b_hidden
        hidden_bias = weights.b_hidden if apart else None
        self.reads_tokens = embedding is not None
        if embedding is not None:
            own = inputs - context - fed
            self._table = InputTable(embedding, weights.w_input.columns(0, own), bias)
            if context:
                part = weights.w_input.columns(own, own + context)
                self._context_product = arithmetic.product(part)
            if fed:
                part = weights.w_input.columns(own + context, inputs)
                self._fed_product = arithmetic.product(part)
        elif apart:
            self._input_product = arithmetic.product(weights.w_input, bias)
        if embedding is None and not apart:
            self._product = arithmetic.product(weights.w_input.beside(weights.w_hidden), bias)
        else:
            self._product = arithmetic.product(weights.w_hidden, hidden_bias)

    def look_up(self, tokens: Tensor) -> Tensor:
        """Return the input part of the first layer's gates, `(tokens, gates)`."""
        return self._table(tokens)

    def read_context(self, context: Tensor) -> Tensor:
        """Return what a packed context adds to the first layer's gates, `(rows, gates)`."""
        return self._context_product(context)

    def read_fed(self, readout: Tensor) -> Tensor:
        """Return what a packed readout adds to the first layer's gates, `(rows, gates)`."""
        return self._fed_product(readout)

    def start(self, hidden: Tensor, cell: Tensor | None) -> Carried:
        """Return the state that begins at fp32 states, `(rows, size)` each."""
        packed = self._arithmetic.pack(hidden)
        if self.cell == "lstm":
            assert cell is not None
            return packed, cell
        return (packed, hidden) if self.cell == "gru" else (packed,)

    def zero(self, rows: int) -> Carried:
        """Return the state that begins at zero."""
        return self.start(torch.zeros(rows, self.size), torch.zeros(rows, self.size))

    def step(self, inputs: Tensor, state: Carried) -> Carried:
        """Go one step.

        Args:
            inputs: of the first layer the gates' input part, `(rows, gates)`, which is written
                over; else the packed output of the layer below, `(rows, inputs)`.
            state: before the step.
        """
        if self.cell == "gru":
            gates = inputs if self.reads_tokens else self._input_product(inputs)
            return self._step_gru(gates, state)
        if self.reads_tokens:
            gates = self._product(state[0]).add_(inputs)
        else:
            gates = self._product(torch.cat([inputs, state[0]], dim=1))
        if self.cell == "lstm":
            return self._step_lstm(_sigmoid_of_negative(gates), state[1])
        hidden = gates.relu_() if self.cell == "relu" else gates.tanh_()
        return (self._arithmetic.pack(hidden),)

    def _step_lstm(self, gates: Tensor, cell: Tensor) -> Carried:
        """Go on from σ of the input, forget and output gate, and σ of twice the cell gate."""
        entry, forget, output, candidate = gates.split(self.size, dim=1)
        cell = (forget * cell).add_(candidate.mul_(2).sub_(1).mul_(entry))
        hidden = _sigmoid_of_negative(cell * -2).mul_(2).sub_(1).mul_(output)
        return self._arithmetic.pack(hidden), cell

    def _step_gru(self, gates: Tensor, state: Carried) -> Carried:
        size, (packed, before) = self.size, state
        recurrent = self._product(packed)
        open_ = _sigmoid_of_negative(gates[:, : 2 * size] + recurrent[:, : 2 * size])
        new = open_[:, :size].mul_(recurrent[:, 2 * size :]).add_(gates[:, 2 * size :]).tanh_()
        hidden = (before - new).mul_(open_[:, size:]).add_(new)
        return self._arithmetic.pack(hidden), hidden


def _sigmoid_of_negative(values: Tensor) -> Tensor:
    """Turn x into σ(-x), in place."""
    return values.exp_().add_(1).reciprocal_()
