"""Recurrent stacks: the fused layers of torch for whole sequences, and one step at a time."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

Cell = Literal["lstm", "gru", "tanh", "relu"]
Stack = nn.LSTM | nn.GRU | nn.RNN
_SATURATED = 1e4
"""What added to a gate leaves of it 0 or 1, whatever else it is given."""
SequenceT = TypeVar("SequenceT", Tensor, PackedSequence)


@dataclass(frozen=True)
class RecurrentState:
    """What a stack carries from one step to the next.

    Attributes:
        hidden: `(layers, rows, hidden_size)`.
        cell: the LSTM's cells, same shape; None for the other cells.
    """

    hidden: Tensor
    cell: Tensor | None

    def select(self, rows: Tensor) -> "RecurrentState":
        """Return the state of the given rows, `(kept,)`, in that order."""
        cell = None if self.cell is None else self.cell.index_select(1, rows)
        return RecurrentState(self.hidden.index_select(1, rows), cell)


def recurrent_stack(
    cell: Cell,
    *,
    input_size: int,
    hidden_size: int,
    layers: int,
    bidirectional: bool = False,
    dropout: float = 0.0,
) -> Stack:
    """Make a batch-first recurrent stack with weights that let gradients through.

    Recurrent matrices start orthogonal, those of `relu` as the identity with zero biases, and the
    LSTM's forget gate starts open (bias 1).

    Source: Le et al. 2015 (identity), Jozefowicz et al. 2015 (forget bias).
    """
    kinds: dict[str, type[Stack]] = {"lstm": nn.LSTM, "gru": nn.GRU}
    options = {} if cell in kinds else {"nonlinearity": cell}
    stack = kinds.get(cell, nn.RNN)(
        input_size,
        hidden_size,
        num_layers=layers,
        batch_first=True,
        bidirectional=bidirectional,
        dropout=dropout if layers > 1 else 0.0,
        **options,
    )
    for name, parameter in stack.named_parameters():
        if name.startswith("weight_ih"):
            nn.init.xavier_uniform_(parameter)
        elif name.startswith("weight_hh"):
            for gate in parameter.data.split(hidden_size):
                _ = nn.init.eye_(gate) if cell == "relu" else nn.init.orthogonal_(gate)
        else:
            nn.init.zeros_(parameter)
            if cell == "lstm" and name.startswith("bias_ih"):
                nn.init.ones_(parameter.data[hidden_size : 2 * hidden_size])
    return stack


def run_stack(
    stack: Stack, inputs: SequenceT, state: RecurrentState | None = None
) -> tuple[SequenceT, RecurrentState]:
    """Run a stack over whole sequences with torch's fused kernels.

    Args:
        stack: from `recurrent_stack`.
        inputs: `(batch, time, input_size)`, or a packed sequence of them.
        state: where to start; zeros where it is None.

    Returns:
        The top layer's states, shaped or packed like the inputs, and the last state of every
        layer and direction.
    """
    if isinstance(stack, nn.LSTM):
        cells = None if state is None or state.cell is None else (state.hidden, state.cell)
        outputs, (hidden, cell) = stack(inputs, cells)
        return outputs, RecurrentState(hidden, cell)
    outputs, hidden = stack(inputs, None if state is None else state.hidden)
    return outputs, RecurrentState(hidden, None)


def run_padded_lstm(
    stack: nn.LSTM, inputs: Tensor, lengths: Tensor
) -> tuple[Tensor, RecurrentState]:
    """Run an LSTM from zero over sentences of unequal lengths, with the dense kernels of a CPU.

    Padding gets an input feature of its own, which shuts the input gates and opens the forget
    gates wholly: a cell then passes through padding unchanged, on either side of the sentence, and
    one that is still zero stays so. No gradient comes from there. The packed sequences of torch
    give the same, step by step.

    Args:
        stack: from `recurrent_stack`.
        inputs: `(batch, time, input_size)`.
        lengths: real tokens of each sentence, at least 1, `(batch,)`.

    Returns:
        As `run_stack`; the top layer's states at padding mean nothing.
    """
    batch, time, _ = inputs.shape
    size, directions = stack.hidden_size, 2 if stack.bidirectional else 1
    padding = (torch.arange(time) >= lengths[:, None]).to(inputs.dtype)[:, :, None]
    gates = inputs.new_zeros(4 * size, 1)
    gates[:size], gates[size : 2 * size] = -_SATURATED, _SATURATED
    zeros = inputs.new_zeros(directions, batch, size)
    hidden: list[Tensor] = []
    cell: list[Tensor] = []
    outputs = inputs
    for layer in range(stack.num_layers):
        if layer > 0:
            outputs = nn.functional.dropout(outputs, stack.dropout, stack.training)
        weights: list[Tensor] = []
        for direction in ("", "_reverse")[:directions]:
            of_inputs, *others = _layer_weights(stack, f"{layer}{direction}")
            weights += [torch.cat([of_inputs, gates], dim=1), *others]
        outputs, _, cells = torch.lstm(
            torch.cat([outputs, padding], dim=2),
            (zeros, zeros),
            weights,
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=stack.training,
            bidirectional=stack.bidirectional,
            batch_first=True,
        )
        ends = [outputs[torch.arange(batch), lengths - 1, :size], outputs[:, 0, size:]]
        hidden += ends[:directions]
        cell.append(cells)
    return outputs, RecurrentState(torch.stack(hidden), torch.cat(cell))


def _layer_weights(stack: Stack, layer: str) -> list[Tensor]:
    """Return the parameters of a layer and direction, such as `0` or `1_reverse`."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(stack, f"{name}_l{layer}") for name in names]


def step_stack(
    stack: Stack, inputs: Tensor, state: RecurrentState
) -> tuple[Tensor, RecurrentState]:
    """Run a one-directional stack for a single step, without dropout.

    The cell kernels of torch are faster here than a sequence of one step.

    Args:
        stack: from `recurrent_stack`, one direction.
        inputs: `(rows, input_size)`.
        state: before the step.

    Returns:
        The top layer's state, `(rows, hidden_size)`, and the state after the step.
    """
    hidden: list[Tensor] = []
    cell: list[Tensor] = []
    for layer in range(stack.num_layers):
        weights = _layer_weights(stack, str(layer))
        before = state.hidden[layer]
        if isinstance(stack, nn.LSTM):
            assert state.cell is not None
            inputs, after = torch.lstm_cell(inputs, (before, state.cell[layer]), *weights)
            cell.append(after)
        elif isinstance(stack, nn.GRU):
            inputs = torch.gru_cell(inputs, before, *weights)
        elif stack.nonlinearity == "tanh":
            inputs = torch.rnn_tanh_cell(inputs, before, *weights)
        else:
            inputs = torch.rnn_relu_cell(inputs, before, *weights)
        hidden.append(inputs)
    return inputs, RecurrentState(torch.stack(hidden), torch.stack(cell) if cell else None)
