"""The unrolled network: every hidden state, cell state and gate as a tensor of its own.

The fused kernels expose no state below the top layer and no gate. Here each is a node of autograd's
graph, so a loss can be differentiated by it.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from nmt.models.batch import Padded
from nmt.models.cells import LayerState
from nmt.models.decoder import Decoder
from nmt.models.encoder import Encoder
from nmt.models.seq2seq import Seq2Seq
from nmt.models.stacks import Layer, LayerStack, stack_layers, swap


@dataclass(frozen=True)
class UnrolledLayer:
    """The trace of one layer and direction, one tensor a step in the order of computation.

    Each tensor has one row for each sentence of its step; `aligned` orders them by sentence. The
    decoder also runs over padding, which no loss depends on.

    Attributes:
        network: as in `nmt.diagnosis.records`.
        layer: from 1, the layer that reads the embeddings.
        parameter: name of the recurrent matrix in the model, `(gates × size, size)`.
        lengths: real steps of each sentence, `(batch,)`, on the CPU.
        indices: for each tensor, the step of each row within its sentence, in reading order, and
            the row's sentence, `(rows,)` each.
        before: the hidden state before each step, `(rows, size)`.
        hidden: the hidden state after each step, `(rows, size)`.
        cell: the LSTM's cell state, `(rows, size)`; empty for the other cells.
        recurrent: the recurrent product with its bias, `(rows, gates × size)`.
        gates: values of each gate by name, `(rows, size)` a step; the names of the records.
    """

    network: str
    layer: int
    parameter: str
    lengths: Tensor
    indices: list[tuple[Tensor, Tensor]]
    before: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    cell: list[Tensor] = field(default_factory=list)
    recurrent: list[Tensor] = field(default_factory=list)
    gates: dict[str, list[Tensor]] = field(default_factory=dict)

    def aligned(self, values: list[Tensor]) -> Tensor:
        """Return the values of all steps, `(steps, batch, …)`, zeros after a sentence's end.

        Args:
            values: one tensor for each step, such as `hidden`, `(rows, …)`.
        """
        aligned = values[0].new_zeros(len(values), len(self.lengths), *values[0].shape[1:])
        steps, sentences = (torch.cat(parts) for parts in zip(*self.indices, strict=True))
        return aligned.index_put((steps, sentences), torch.cat(values))


@dataclass(frozen=True)
class Unrolled:
    """The trace of a network over sentences.

    Attributes:
        layers: the encoder's, from the embeddings upwards, then the decoder's.
        losses: for each target token after the start, the cross-entropy in nats, `(batch,)`; zero
            after a sentence's end. No loss depends on a later step.
    """

    layers: list[UnrolledLayer]
    losses: list[Tensor]


class _TracedLayer(Layer):
    """A layer that steps by the equations, and records their values."""

    def __init__(self, layer: Layer, trace: UnrolledLayer):
        super().__init__(layer.cell, layer.weights)
        self._trace = trace

    def step(self, inputs: Tensor, state: LayerState) -> LayerState:
        after, gates, recurrent = self.evaluate(inputs, state)
        trace = self._trace
        trace.before.append(state[0])
        trace.recurrent.append(recurrent)
        trace.hidden.append(after[0])
        trace.cell.extend(after[1:])
        for name, gate in gates.items():
            trace.gates.setdefault(name, []).append(gate)
        return after


def unroll(model: Seq2Seq, source: Padded, target: Padded) -> Unrolled:
    """Run a network over sentences step by step, by its own `start` and `step`.

    Args:
        model: in evaluation mode: dropout is not applied.
        source: source sentences, the end token last.
        target: target sentences, start token first, end token last.

    Returns:
        The states, and the losses, whose sum is `model.loss(source, target)`.

    Source: Werbos 1990 (backpropagation through time).
    """
    layers: list[UnrolledLayer] = []
    traced = model
    if isinstance(model.encoder, Encoder):
        stack = _traced(model.encoder, "encoder", _source_indices(source), source.lengths, layers)
        traced = swap(traced, encoder=swap(model.encoder, stack=stack))
    steps, rows = target.tokens.shape[1] - 1, torch.arange(len(target.lengths))
    indices = [(torch.full_like(rows, step), rows) for step in range(steps)]
    stack = _traced(model.decoder, "decoder", [indices], target.lengths - 1, layers)
    traced = swap(traced, decoder=swap(model.decoder, stack=stack))
    losses, state = [], traced.start(source)
    for position in range(steps):
        log_probs, state = traced.step(target.tokens[:, position], state)
        loss = -log_probs.gather(1, target.tokens[:, position + 1, None]).squeeze(1)
        losses.append(loss.where(target.mask[:, position + 1], 0))
    return Unrolled(layers, losses)


def _source_indices(source: Padded) -> list[list[tuple[Tensor, Tensor]]]:
    """Return the indices of each direction's steps; see `UnrolledLayer` and `run_stack`."""
    order = source.lengths.argsort(descending=True, stable=True)
    alive = [order[source.lengths[order] > step] for step in range(source.tokens.shape[1])]
    forwards = [(torch.full_like(rows, step), rows) for step, rows in enumerate(alive)]
    backwards = [(source.lengths[rows] - 1 - step, rows) for step, rows in enumerate(alive)]
    return [forwards, backwards[::-1]]


def _traced(
    network: Encoder | Decoder,
    name: str,
    indices: list[list[tuple[Tensor, Tensor]]],
    lengths: Tensor,
    traces: list[UnrolledLayer],
) -> LayerStack:
    """Return a network's stack with traced layers, and append their traces."""
    layers: list[list[Layer]] = []
    for number, directions in enumerate(stack_layers(network.stack)):
        traced: list[Layer] = []
        for layer, suffix, steps in zip(directions, ("", "_reverse"), indices, strict=False):
            direction = f"{name}, backwards" if suffix else name
            parameter = f"{name}.stack.weight_hh_l{number}{suffix}"
            traces.append(UnrolledLayer(direction, number + 1, parameter, lengths, steps))
            traced.append(_TracedLayer(layer, traces[-1]))
        layers.append(traced)
    return LayerStack(layers)
