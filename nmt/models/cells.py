"""Recurrent cells: the equations of each kind, and the registry.

To add a cell, write its equations here, add a line to `CELLS`, and add its name to `CellName` in
`nmt.config.sections`. A package of its own registers it as an entry point instead; see
`configs/README.md`.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nmt.plugins import CELL_GROUP, load_plugin

LayerState = tuple[Tensor, ...]
"""The state of a layer between steps, `(rows, size)` each: its output, then any other states."""
Gates = dict[str, Tensor]
"""Gate values by name, `(rows, size)` each."""


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes:
        equations: maps the input product W x + b and the recurrent product U h + b', both
            `(rows, gates × size)`, and the layer's state to the next state and the gate values.
        gates: number of blocks of `size` rows in W and U.
        states: number of state tensors: 1 (the hidden state), or 2 (also a cell state).
        squash: the function that bounds the hidden state.
        sums: the two products enter the equations only as a sum.
        forget_gate: index of the block whose bias is initialized to 1.
        identity: U is initialized to the identity.
        module: torch's fused layers; None: training runs the equations step by step.
        kernel: torch's fused step; None: a step runs the equations.
    """

    equations: Callable[[Tensor, Tensor, LayerState], tuple[LayerState, Gates]]
    gates: int = 1
    states: int = 1
    squash: Callable[[Tensor], Tensor] = torch.tanh
    sums: bool = True
    forget_gate: int | None = None
    identity: bool = False
    module: Callable[..., nn.RNNBase] | None = None
    kernel: Callable[..., Any] | None = None


def lstm(inputs: Tensor, recurrent: Tensor, state: LayerState) -> tuple[LayerState, Gates]:
    """Compute c' = σ(f) c + σ(i) tanh(g) and h' = σ(o) tanh(c').

    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate).
    """
    i, f, g, o = (inputs + recurrent).chunk(4, dim=1)
    i, f, o = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o)
    cell = f * state[1] + i * torch.tanh(g)
    return (o * torch.tanh(cell), cell), {"input": i, "forget": f, "output": o}


def gru(inputs: Tensor, recurrent: Tensor, state: LayerState) -> tuple[LayerState, Gates]:
    """Compute n = tanh(W x + r U h) and h' = (1 - z) n + z h with the gates r and z.

    Source: Cho et al. 2014, with the reset gate after the recurrent product as in cuDNN.
    """
    (r_input, z_input, n_input), (r, z, n) = inputs.chunk(3, dim=1), recurrent.chunk(3, dim=1)
    r, z = torch.sigmoid(r_input + r), torch.sigmoid(z_input + z)
    hidden = (1 - z) * torch.tanh(n_input + r * n) + z * state[0]
    return (hidden,), {"reset": r, "update": z}


def tanh(inputs: Tensor, recurrent: Tensor, state: LayerState) -> tuple[LayerState, Gates]:
    """Squash W x + U h by tanh. Source: Elman 1990."""
    return (torch.tanh(inputs + recurrent),), {}


def relu(inputs: Tensor, recurrent: Tensor, state: LayerState) -> tuple[LayerState, Gates]:
    """Squash W x + U h by max(·, 0). Source: Le et al. 2015."""
    return (torch.relu(inputs + recurrent),), {}


class _Cells(dict[str, Cell]):
    """Cells by name; those of other packages are imported when they are asked for."""

    def __missing__(self, name: str) -> Cell:
        return self.setdefault(name, load_plugin(CELL_GROUP, name, Cell))


CELLS: dict[str, Cell] = _Cells(
    lstm=Cell(lstm, gates=4, states=2, forget_gate=1, module=nn.LSTM, kernel=torch.lstm_cell),
    gru=Cell(gru, gates=3, sums=False, module=nn.GRU, kernel=torch.gru_cell),
    tanh=Cell(tanh, module=nn.RNN, kernel=torch.rnn_tanh_cell),
    relu=Cell(
        relu,
        squash=torch.relu,
        identity=True,
        module=functools.partial(nn.RNN, nonlinearity="relu"),
        kernel=torch.rnn_relu_cell,
    ),
)
