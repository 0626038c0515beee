"""The unrolled twin: the same network step by step, with every state of it in sight.

The fused kernels show no state below the top layer and no gate. Here each is a tensor of its own in
autograd's graph, which all that comes later depends on, so that a loss can be derived by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.models.batch import Padded, reverse, reversed_positions
from nmt.models.bridge import HandOver
from nmt.models.cells import RecurrentState, Stack, layer_weights
from nmt.models.decoder import Decoder, SourceView, joined
from nmt.models.encoder import Encoded, Encoder
from nmt.models.seq2seq import Seq2Seq


@dataclass(frozen=True)
class UnrolledLayer:
    """One layer of one network and direction, step by step in the order of its reading.

    A step's tensors have one row for each sentence. Sentences that have ended go on over padding,
    which nothing depends on.

    Attributes:
        network: as in `nmt.diagnosis.records`.
        layer: from 1, which is next to the words.
        parameter: name of the recurrent matrix in the model, `(gates × size, size)`.
        lengths: real steps of each sentence, `(batch,)`, on the CPU.
        start: before the first step: the hidden state, and the LSTM's cell beside it.
        hidden: after each step, `(batch, size)`.
        cell: the LSTM's, `(batch, size)`; empty for the other cells.
        recurrent: what the recurrent matrix makes of the state before the step, without its bias,
            `(batch, gates × size)`.
        gates: values of each gate by name, `(batch, size)` a step; the names of the records.
    """

    network: str
    layer: int
    parameter: str
    lengths: Tensor
    start: tuple[Tensor, ...]
    hidden: list[Tensor] = field(default_factory=list)
    cell: list[Tensor] = field(default_factory=list)
    recurrent: list[Tensor] = field(default_factory=list)
    gates: dict[str, list[Tensor]] = field(default_factory=dict)

    @property
    def before(self) -> list[Tensor]:
        """The hidden state before each step, `(batch, size)`."""
        return [self.start[0], *self.hidden[:-1]]


@dataclass(frozen=True)
class Unrolled:
    """What a network went through while it read and wrote sentences.

    Attributes:
        layers: the encoder's, first those next to the words, then the decoder's.
        losses: for each target token after the start, the cross-entropy in nats, `(batch,)`; zero
            where a sentence has ended. None depends on a later one.
    """

    layers: list[UnrolledLayer]
    losses: list[Tensor]


def unroll(model: Seq2Seq, source: Padded, target: Padded) -> Unrolled:
    """Read and write sentences step by step.

    Args:
        model: in evaluation mode: there is no noise here.
        source: source sentences, the end token last.
        target: target sentences, start token first, end token last.

    Returns:
        The states, and the losses, whose sum is `model.loss(source, target)`.

    Source: Werbos 1990 (backpropagation through time).
    """
    layers: list[UnrolledLayer] = []
    if isinstance(model.encoder, Encoder):
        encoded, layers = _read(model.encoder, source)
    else:  # without recurrence there is nothing to unroll
        encoded = model.encoder(source)
    handed = model.bridge(encoded)
    view = model.decoder.view(encoded, handed.context)
    losses, own = _write(model.decoder, target, handed, view)
    return Unrolled([*layers, *own], losses)


def _read(encoder: Encoder, source: Padded) -> tuple[Encoded, list[UnrolledLayer]]:
    """Do as `Encoder.forward`.

    Every direction reads real tokens first: backwards, each sentence from its own end.
    """
    stack, layers = encoder.stack, []
    rows, last = torch.arange(len(source.lengths)), source.lengths - 1
    order = reversed_positions(source)[:, :, None]
    inputs = encoder.embedding(reverse(source) if encoder.reverse_source else source.tokens)
    ends: list[tuple[Tensor, ...]] = []
    for number in range(stack.num_layers):
        outputs, finals = [], []
        for suffix in ("", "_reverse")[: 2 if stack.bidirectional else 1]:
            read = _reordered(inputs, order) if suffix else inputs
            weights = layer_weights(stack, f"{number}{suffix}")
            zero = read.new_zeros(len(read), stack.hidden_size)
            layer = UnrolledLayer(
                network="encoder, backwards" if suffix else "encoder",
                layer=number + 1,
                parameter=f"encoder.stack.weight_hh_l{number}{suffix}",
                lengths=source.lengths,
                start=(zero, zero) if isinstance(stack, nn.LSTM) else (zero,),
            )
            for step in F.linear(read, weights[0], weights[2]).unbind(1):
                _step(stack, layer, step, weights)
            states = [torch.stack(kept, dim=1) for kept in (layer.hidden, layer.cell) if kept]
            outputs.append(_reordered(states[0], order) if suffix else states[0])
            finals.append([kept[rows, last] for kept in states])
            layers.append(layer)
        inputs = torch.cat(outputs, dim=-1)
        ends.append(tuple(torch.cat(parts, dim=-1) for parts in zip(*finals, strict=True)))
    hidden, *cell = (torch.stack(states) for states in zip(*ends, strict=True))
    memory = _reordered(inputs, order) if encoder.reverse_source else inputs
    state = RecurrentState(hidden, cell[0] if cell else None)
    return Encoded(state, memory, source.mask), layers


def _write(
    decoder: Decoder, target: Padded, handed: HandOver, view: SourceView
) -> tuple[list[Tensor], list[UnrolledLayer]]:
    """Do as `Decoder.forward`, and take the losses."""
    stack, mask = decoder.stack, target.mask
    starts = zip(*(part for part in vars(handed.state).values() if part is not None), strict=True)
    layers = [
        UnrolledLayer(
            network="decoder",
            layer=number + 1,
            parameter=f"decoder.stack.weight_hh_l{number}",
            lengths=target.lengths - 1,
            start=start,
        )
        for number, start in enumerate(starts)
    ]
    weights = [layer_weights(stack, str(number)) for number in range(stack.num_layers)]
    fed = decoder.first_readouts(len(target.lengths))
    losses = []
    embedded = decoder.embedding(target.tokens[:, :-1])
    for position, token in enumerate(embedded.unbind(1)):
        values = joined(token, view.context, None if fed is None else fed.to(token.dtype))
        for layer, own in zip(layers, weights, strict=True):
            _step(stack, layer, F.linear(values, own[0], own[2]), own)
            values = layer.hidden[-1]
        attended, _ = decoder.attend(values[:, None], view)
        features = joined(values, view.context, None if attended is None else attended[:, 0])
        readouts = decoder.read_out(features)
        fed = None if fed is None else readouts
        true, real = target.tokens[:, position + 1], mask[:, position + 1]
        loss = F.cross_entropy(decoder.projection(readouts), true, reduction="none")
        losses.append(loss.where(real, 0))
    return losses, layers


def _step(stack: Stack, layer: UnrolledLayer, read: Tensor, weights: Sequence[Tensor]) -> None:
    """Make a step of one layer, and keep what comes of it.

    Args:
        stack: tells the kind of cell; equations as in torch's `nn.LSTM`, `nn.GRU` and `nn.RNN`.
        layer: where it goes on.
        read: what the input matrix, with its bias, makes of the input, `(batch, gates × size)`.
        weights: the layer's; see `layer_weights`.
    """
    _, matrix, _, bias = weights
    before = layer.hidden[-1] if layer.hidden else layer.start[0]
    recurrent = F.linear(before, matrix)
    layer.recurrent.append(recurrent)
    if isinstance(stack, nn.LSTM):
        kept = layer.cell[-1] if layer.cell else layer.start[1]
        *sums, new, out = (read + recurrent + bias).chunk(4, dim=1)
        gates = [torch.sigmoid(part) for part in (*sums, out)]
        layer.cell.append(gates[1] * kept + gates[0] * torch.tanh(new))
        layer.hidden.append(gates[2] * torch.tanh(layer.cell[-1]))
        _keep_gates(layer, ("input", "forget", "output"), gates)
    elif isinstance(stack, nn.GRU):
        inputs, states = read.chunk(3, dim=1), (recurrent + bias).chunk(3, dim=1)
        reset, update = (torch.sigmoid(inputs[gate] + states[gate]) for gate in (0, 1))
        new = torch.tanh(inputs[2] + reset * states[2])
        layer.hidden.append((1 - update) * new + update * before)
        _keep_gates(layer, ("reset", "update"), (reset, update))
    else:
        squash = torch.tanh if stack.nonlinearity == "tanh" else torch.relu
        layer.hidden.append(squash(read + recurrent + bias))


def _keep_gates(layer: UnrolledLayer, names: Sequence[str], gates: Sequence[Tensor]) -> None:
    for name, gate in zip(names, gates, strict=True):
        layer.gates.setdefault(name, []).append(gate)


def _reordered(values: Tensor, order: Tensor) -> Tensor:
    """Turn `(batch, time, width)` round within each sentence; `order` is `(batch, time, 1)`."""
    return values.gather(1, order.expand_as(values))
