"""Stacks of recurrent layers: their initial weights, their states, and their single layers."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.cells import CELLS, Cell, Gates, LayerState

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@dataclass(frozen=True)
class RecurrentState:
    """The state of every layer of a stack.

    Attributes:
        hidden: `(layers, rows, hidden_size)`.
        cell: the LSTM's cell states, same shape; None for cells without.
    """

    hidden: Tensor
    cell: Tensor | None = None

    @classmethod
    def of(cls, layers: Sequence[LayerState]) -> "RecurrentState":
        """Stack the states of single layers."""
        hidden, *cell = (torch.stack(parts) for parts in zip(*layers, strict=True))
        return cls(hidden, cell[0] if cell else None)

    @classmethod
    def split(cls, values: Tensor, layers: int, size: int) -> "RecurrentState":
        """Split rows of all layers' states, cell states last, `(rows, states × size)`."""
        states = values.unflatten(1, (-1, size)).transpose(0, 1).contiguous()
        return cls(*states.split(layers))

    @property
    def tensors(self) -> LayerState:
        """The hidden state and, where the cells have one, the cell state."""
        return (self.hidden,) if self.cell is None else (self.hidden, self.cell)

    def layers(self) -> list[LayerState]:
        """Split into the states of single layers."""
        return list(zip(*self.tensors, strict=True))


class Layer:
    """One layer and direction, which steps with torch's kernel or, without one, the equations.

    Args:
        cell: the kind of cell.
        weights: the input and the recurrent matrix, then their biases.
    """

    def __init__(self, cell: Cell, weights: Sequence[Tensor]):
        self.cell, self.weights = cell, weights
        self.size = weights[1].shape[1]

    def start(self, state: LayerState) -> LayerState:
        """Return the layer's state for initial hidden and cell states, `(rows, size)` each."""
        return state

    def zero(self, inputs: Tensor) -> LayerState:
        """Return the zero state for inputs, `(rows, …)`."""
        dtype = inputs.dtype if inputs.is_floating_point() else torch.float32
        zeros = inputs.new_zeros(len(inputs), self.size, dtype=dtype)
        return self.start((zeros,) * self.cell.states)

    def final(self, state: LayerState) -> LayerState:
        """Return hidden and cell states as floats."""
        return state

    def pack(self, values: Tensor) -> Tensor:
        """Return values in [-1, 1] in the number format of the layer's inputs."""
        return values

    def unpack(self, values: Tensor) -> Tensor:
        """Return the layer's outputs as floats."""
        return values

    def read_context(self, context: Tensor) -> Tensor:
        """Return the context, `(sentences, width)`, as `read` takes it at every step."""
        return context

    def read(self, embedded: Tensor, context: Tensor | None, input_feed: Tensor | None) -> Tensor:
        """Return the layer's inputs at one step, `(rows, …)`.

        Args:
            embedded: `(rows, embedding_size)`, or the outputs of the layer below.
            context: of each row, from `read_context`; None without fed context.
            input_feed: the last step's readouts, `(rows, width)`; None without input feeding.
        """
        return concat(embedded, context, input_feed)

    def step(self, inputs: Tensor, state: LayerState) -> LayerState:
        """Advance one step; `inputs` is `(rows, input_size)`."""
        if self.cell.kernel is None:
            return self.evaluate(inputs, state)[0]
        after = self.cell.kernel(inputs, state if len(state) > 1 else state[0], *self.weights)
        return after if isinstance(after, tuple) else (after,)

    def evaluate(self, inputs: Tensor, state: LayerState) -> tuple[LayerState, Gates, Tensor]:
        """Advance one step by the equations; also return gate values and recurrent product."""
        of_inputs, of_hidden, input_bias, hidden_bias = self.weights
        product = F.linear(inputs, of_inputs, input_bias)
        recurrent = F.linear(state[0], of_hidden, hidden_bias)
        after, gates = self.cell.equations(product, recurrent, state)
        return after, gates, recurrent


class LayerStack(nn.Module):
    """A stack of given layers; `run_stack` and `Decoder.step` advance it step by step.

    Args:
        layers: for each layer, one `Layer` a direction.
        keep_outputs: return the top layer's outputs at every position.
    """

    def __init__(self, layers: list[list[Layer]], *, keep_outputs: bool = True):
        super().__init__()
        self.layers, self.keep_outputs = layers, keep_outputs
        self.num_layers, self.bidirectional, self.dropout = len(layers), len(layers[0]) > 1, 0.0


Stack = nn.RNNBase | LayerStack


def recurrent_stack(
    config: ModelConfig, input_size: int, hidden_size: int, *, bidirectional: bool = False
) -> nn.RNNBase:
    """Make a batch-first recurrent stack whose initial weights preserve gradients.

    Recurrent matrices are orthogonal, those of `relu` the identity; input matrices have Xavier's
    variance for each gate; biases are zero, but 1 at the LSTM's forget gate.

    Args:
        config: cell, layers, dropout between layers, and initialization of each gate's recurrent
            matrix (uniform is torch's).
        input_size: width of the first layer's input.
        hidden_size: width of every layer, in each direction.
        bidirectional: read in both directions.

    Source: Saxe et al. 2014 (orthogonal), Le et al. 2015 (identity), Glorot and Bengio 2010 (input
    matrices), Jozefowicz et al. 2015 (forget bias).
    """
    kind = CELLS[config.cell]
    stack = (kind.module or nn.RNN)(
        input_size,
        hidden_size,
        num_layers=config.layers,
        batch_first=True,
        bidirectional=bidirectional,
        dropout=config.dropout if config.layers > 1 else 0.0,
    )
    stack.kind = config.cell
    for name, parameter in list(stack.named_parameters()):
        if kind.module is None:  # nn.RNN holds the parameters: one block for each gate
            repeats = (kind.gates, *[1] * (parameter.dim() - 1))
            parameter = nn.Parameter(parameter.detach().repeat(repeats))
            setattr(stack, name, parameter)
        if name.startswith("weight_ih"):
            for gate in parameter.data.split(hidden_size):
                nn.init.xavier_uniform_(gate)
        elif name.startswith("weight_hh"):
            for gate in parameter.data.split(hidden_size):
                _start_recurrent(gate, kind, config.recurrent_init)
        else:
            nn.init.zeros_(parameter)
            if kind.forget_gate is not None and name.startswith("bias_ih"):
                nn.init.constant_(parameter.data.split(hidden_size)[kind.forget_gate], 1.0)
    return stack


def _start_recurrent(gate: Tensor, cell: Cell, start: str) -> None:
    if start == "identity" or (start == "auto" and cell.identity):
        nn.init.eye_(gate)
    elif start != "uniform":  # torch's own start
        nn.init.orthogonal_(gate)


def cell_of(stack: nn.RNNBase) -> Cell:
    """Return the kind of cell of a stack from `recurrent_stack`."""
    return CELLS[str(stack.kind)]


def stack_layers(stack: Stack) -> list[list[Layer]]:
    """Return the single layers of a stack, one for each direction, with its current weights."""
    if isinstance(stack, LayerStack):
        return stack.layers
    layers = [Layer(cell_of(stack), weights) for weights in stack.all_weights]
    directions = 2 if stack.bidirectional else 1
    return [layers[start : start + directions] for start in range(0, len(layers), directions)]


def swap(module: ModuleT, **children: nn.Module | None) -> ModuleT:
    """Return a shallow copy of a module with some children replaced, such as by faster ones.

    The copy shares all parameters and all other children with the module.
    """
    copied = copy.copy(module)
    copied._modules = module._modules | children
    return copied


def concat(*parts: Tensor | None) -> Tensor:
    """Concatenate the tensors that are not None along the last axis."""
    tensors = [part for part in parts if part is not None]
    return torch.cat(tensors, dim=-1) if len(tensors) > 1 else tensors[0]
