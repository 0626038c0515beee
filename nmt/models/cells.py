"""Recurrent stacks, and one step of them; `nmt.models.sequences` runs them over sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Cell = Literal["lstm", "gru", "tanh", "relu"]
Start = Literal["auto", "orthogonal", "identity", "uniform"]
Stack = nn.LSTM | nn.GRU | nn.RNN


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

    def layer(self, number: int) -> "RecurrentState":
        """Return the state of one layer of a stack with one direction, as that of a stack."""
        part = slice(number, number + 1)
        return RecurrentState(self.hidden[part], None if self.cell is None else self.cell[part])


def recurrent_stack(
    cell: Cell,
    *,
    input_size: int,
    hidden_size: int,
    layers: int,
    bidirectional: bool = False,
    dropout: float = 0.0,
    recurrent_init: Start = "auto",
    forget_bias: float = 1.0,
) -> Stack:
    """Make a batch-first recurrent stack with weights that let gradients through.

    Recurrent matrices start orthogonal, those of `relu` as the identity, input matrices keep a
    signal's size gate by gate, and biases are zero, but for the LSTM's forget gate, which starts
    open.

    Args:
        cell: kind of cell.
        input_size: width of what the first layer reads.
        hidden_size: width of every layer, in each direction.
        layers: how many.
        bidirectional: read in both directions.
        dropout: share of units dropped between layers.
        recurrent_init: another start of the recurrent matrices, gate by gate; uniform is torch's.
        forget_bias: the start of the LSTM's forget gates.

    Source: Saxe et al. 2014 (orthogonal), Le et al. 2015 (identity), Glorot and Bengio 2010 (input
    matrices), Jozefowicz et al. 2015 (forget bias).
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
            for gate in parameter.data.split(hidden_size):
                nn.init.xavier_uniform_(gate)
        elif name.startswith("weight_hh"):
            for gate in parameter.data.split(hidden_size):
                _start_recurrent(gate, cell, recurrent_init)
        else:
            nn.init.zeros_(parameter)
            if cell == "lstm" and name.startswith("bias_ih"):
                nn.init.constant_(parameter.data[hidden_size : 2 * hidden_size], forget_bias)
    return stack


def _start_recurrent(gate: Tensor, cell: Cell, start: Start) -> None:
    if start == "identity" or (start == "auto" and cell == "relu"):
        nn.init.eye_(gate)
    elif start != "uniform":  # which it is already
        nn.init.orthogonal_(gate)


def layer_weights(stack: Stack, layer: str) -> list[Tensor]:
    """Return the parameters of a layer and direction, such as `0` or `1_reverse`."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [getattr(stack, f"{name}_l{layer}") for name in names]


def step_stack(
    stack: Stack,
    inputs: Tensor,
    state: RecurrentState,
    weights: Sequence[Sequence[Tensor]] | None = None,
    masks: Sequence[Tensor] | None = None,
) -> tuple[Tensor, RecurrentState]:
    """Run a one-directional stack for a single step.

    The cell kernels of torch are faster here than a sequence of one step.

    Args:
        stack: from `recurrent_stack`, one direction.
        inputs: `(rows, input_size)`.
        state: before the step.
        weights: each layer's, where they are other than the stack's own.
        masks: multiplied onto what each layer above the first reads, `(rows, hidden_size)` each.

    Returns:
        The top layer's state, `(rows, hidden_size)`, and the state after the step.
    """
    hidden: list[Tensor] = []
    cell: list[Tensor] = []
    for layer in range(stack.num_layers):
        own = layer_weights(stack, str(layer)) if weights is None else weights[layer]
        if masks is not None and layer > 0:
            inputs = inputs * masks[layer - 1]
        before = state.hidden[layer]
        if isinstance(stack, nn.LSTM):
            assert state.cell is not None
            inputs, after = torch.lstm_cell(inputs, (before, state.cell[layer]), *own)
            cell.append(after)
        elif isinstance(stack, nn.GRU):
            inputs = torch.gru_cell(inputs, before, *own)
        elif stack.nonlinearity == "tanh":
            inputs = torch.rnn_tanh_cell(inputs, before, *own)
        else:
            inputs = torch.rnn_relu_cell(inputs, before, *own)
        hidden.append(inputs)
    return inputs, RecurrentState(torch.stack(hidden), torch.stack(cell) if cell else None)
