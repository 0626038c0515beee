"""A trained network made ready for translating on a processor: the same function, faster.

Weights stand in the order of the kernels, in fp32 or int8, the gates of a layer are one product,
and the first layer looks its inputs up in a table.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.errors import UsageError
from nmt.inference.cells import Carried, Layer, LayerWeights
from nmt.inference.products import Arithmetic, Floats, Integers, Matrix
from nmt.models.attention import Attention
from nmt.models.batch import Padded, reverse, reversed_positions
from nmt.models.decoder import SourceView
from nmt.models.products import Product
from nmt.models.quantization import quantize
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import StoredPrecision


@dataclass(frozen=True)
class EngineState:
    """What decoding carries from one step to the next.

    Attributes:
        layers: the state of each layer, `rows` on the first axis of every tensor.
        context: packed, once for each sentence, `(sentences, hidden)`; None where it is not fed.
        context_gates: what the context adds to the first layer's gates, `(sentences, gates)`.
        view: source states for attention, once for each sentence.
        sentences: which sentence each row belongs to, `(rows,)`.
    """

    layers: tuple[Carried, ...]
    context: Tensor | None
    context_gates: Tensor | None
    view: SourceView
    sentences: Tensor

    def select(self, rows: Tensor) -> "EngineState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        layers = tuple(tuple(part.index_select(0, rows) for part in layer) for layer in self.layers)
        sentences = self.sentences[rows]
        return EngineState(layers, self.context, self.context_gates, self.view, sentences)

    def repeat(self, times: int) -> "EngineState":
        """Return the state with every row `times` times in a row."""
        return self.select(torch.arange(len(self.sentences)).repeat_interleave(times))


class Engine:
    """A `Stepper` that computes what a `Seq2Seq` does, on the processor.

    In int8 every product is one of integers, and a translation and its score are exactly the same
    in any batch; with attention, whose averages are fp32, they are as in fp32.

    Args:
        model: the network, on the CPU. It must not change while the engine is in use.
        config: the `model` section that it was built from.
        precision: fp32 or int8.

    Raises:
        UsageError: int8 and the relu cell.
    """

    def __init__(self, model: Seq2Seq, config: ModelConfig, precision: StoredPrecision):
        if precision == "int8" and not fits_integers(config):
            raise UsageError(
                "--precision: int8 needs bounded states, and those of model.cell relu have no "
                "bound; use fp32"
            )
        arithmetic: Arithmetic = Integers() if precision == "int8" else Floats()
        weights = _weights(model, rounded=precision == "int8")
        self._encoder = _Encoder(weights, config, arithmetic)
        self._bridge = _Bridge(weights, config, arithmetic)
        self._decoder = _Decoder(weights, config, arithmetic, model.decoder.attention)

    def start(self, source: Padded) -> EngineState:
        """Read the source sentences and make the state from which decoding starts."""
        states, memory = self._encoder(source)
        return self._decoder.start(self._bridge(states), states[-1][0], memory, source.mask)

    def step(self, tokens: Tensor, state: EngineState) -> tuple[Tensor, EngineState]:
        """Read one token a row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: what decoding carries, `rows` on its row axis.

        Returns:
            Log-probabilities in nats, `(rows, target_size)`, fp32, and the new state.
        """
        logits, state = self._decoder.step(tokens, state)
        return logits.log_softmax(dim=-1), state

    def narrowed(self, tokens: Tensor) -> "Engine":
        """Return an engine that predicts only some tokens, `(tokens,)`, in that order.

        Their probabilities are those given that it is one of them. It reads tokens by their ids in
        the whole vocabulary, and shares all else with this engine.
        """
        narrow = copy.copy(self)
        narrow._decoder = self._decoder.narrowed(tokens)
        return narrow


def fits_integers(config: ModelConfig) -> bool:
    """Tell whether a network's states are bounded, as int8 needs them."""
    return config.cell != "relu"


def _weights(model: Seq2Seq, *, rounded: bool) -> dict[str, Tensor]:
    """Return a model's tensors under all of their names, int8 ones with their scales."""
    named = model.state_dict(keep_vars=True)
    if not rounded:
        return {name: tensor.detach() for name, tensor in named.items()}
    first: dict[int, str] = {}
    for name, tensor in named.items():
        first.setdefault(id(tensor), name)
    tensors = quantize(model)
    return tensors | {
        f"{name}{suffix}": tensors[first[id(tensor)] + suffix]
        for name, tensor in named.items()
        for suffix in ("", ".scale")
        if first[id(tensor)] + suffix in tensors
    }


class _Encoder:
    """Reads sentences, the longest first, so that at each step those still going stand together."""

    def __init__(self, weights: Mapping[str, Tensor], config: ModelConfig, arithmetic: Arithmetic):
        embedding = Matrix.named(weights, "encoder.embedding.weight")
        directions = ("", "_reverse") if config.bidirectional else ("",)
        self._layers = [
            [
                Layer(
                    config.cell,
                    LayerWeights.named(weights, "encoder.stack", f"{layer}{direction}"),
                    arithmetic,
                    embedding=embedding if layer == 0 else None,
                )
                for direction in directions
            ]
            for layer in range(config.layers)
        ]
        self._cell, self._reversed = config.cell, config.reverse_source
        self._keeps_memory = config.attention != "none"
        self._arithmetic = arithmetic

    def __call__(self, source: Padded) -> tuple[list[Carried], Tensor | None]:
        """Return every layer's final state, directions side by side, and the top layer's states.

        Each state is packed hidden, fp32 hidden and, of an LSTM, cell, `(sentences, hidden)` each;
        the top layer's states are fp32, `(sentences, source, hidden)`, None without attention.
        """
        order = source.lengths.argsort(descending=True, stable=True)
        back = order.argsort()
        tokens = reverse(source) if self._reversed else source.tokens
        tokens = tokens[order].t().contiguous()  # (time, sentences)
        # Sentences still going at each step
        going = (source.lengths > torch.arange(len(tokens))[:, None]).sum(dim=1).tolist()
        finals: list[Carried] = []
        outputs = tokens  # of what lies below the first layer
        for number, directions in enumerate(self._layers):
            kept = self._keeps_memory or number + 1 < len(self._layers)
            ends, outputs = self._run(directions, outputs, going, keep=kept)
            finals.append(tuple(part[back] for part in ends))
        if not self._keeps_memory:
            return finals, None
        memory = self._arithmetic.unpack(outputs[:, back].transpose(0, 1))
        if self._reversed:
            memory = memory.gather(1, reversed_positions(source)[:, :, None].expand_as(memory))
        return finals, memory

    def _run(
        self, directions: list[Layer], inputs: Tensor, going: list[int], *, keep: bool
    ) -> tuple[Carried, Tensor]:
        """Run one layer over `(time, sentences)` tokens or `(time, sentences, size)` states."""
        time, rows = inputs.shape[:2]
        size = directions[0].size
        outputs = self._arithmetic.zeros(time * rows if keep else 0, len(directions) * size)
        outputs = outputs.view(-1, rows, len(directions) * size)
        ends = []
        for number, layer in enumerate(directions):
            state = layer.zero(rows)
            for step in range(time) if number == 0 else reversed(range(time)):
                count = going[step]
                below = inputs[step, :count]
                now = layer.step(
                    layer.look_up(below) if layer.reads_tokens else below,
                    tuple(part[:count] for part in state),
                )
                if count == rows:
                    state = now
                else:
                    for whole, part in zip(state, now, strict=True):
                        whole[:count] = part
                if keep:
                    outputs[step, :count, number * size : (number + 1) * size] = now[0]
            hidden = state[1] if self._cell == "gru" else self._arithmetic.unpack(state[0])
            ends.append((state[0], hidden, *(state[1:] if self._cell == "lstm" else ())))
        return tuple(torch.cat(parts, dim=1) for parts in zip(*ends, strict=True)), outputs


class _Bridge:
    """Makes of the encoder's final states the fp32 hidden and cell states that start a decoder."""

    def __init__(self, weights: Mapping[str, Tensor], config: ModelConfig, arithmetic: Arithmetic):
        self._squash = torch.relu if config.cell == "relu" else torch.tanh
        self._hidden: list[Product] = []
        self._cell: list[Product] = []
        if config.bridge == "copy":
            return
        for layer in range(config.layers):
            name = f"bridge.hidden.{layer}"
            matrix = Matrix.named(weights, f"{name}.weight")
            self._hidden.append(arithmetic.product(matrix, weights[f"{name}.bias"]))
            if config.cell == "lstm":
                name = f"bridge.cell.{layer}"
                matrix = Matrix.named(weights, f"{name}.weight")
                self._cell.append(arithmetic.wide_product(matrix, weights[f"{name}.bias"]))

    def __call__(self, states: list[Carried]) -> list[tuple[Tensor, Tensor | None]]:
        """Map the states that the encoder returns."""
        starts: list[tuple[Tensor, Tensor | None]] = []
        for layer, (packed, hidden, *cell) in enumerate(states):
            mapped = self._squash(self._hidden[layer](packed)) if self._hidden else hidden
            started = [self._cell[layer](part) for part in cell] if self._cell else cell
            starts.append((mapped, started[0] if started else None))
        return starts


class _Decoder:
    """Recurrent layers, attention, readout and projection, one step for all rows at a time."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        config: ModelConfig,
        arithmetic: Arithmetic,
        attention: Attention | None,
    ):
        self._arithmetic = arithmetic
        self._feeds_context = config.feed_context
        embedding = Matrix.named(weights, "decoder.embedding.weight")
        self._layers = [
            Layer(
                config.cell,
                LayerWeights.named(weights, "decoder.stack", str(layer)),
                arithmetic,
                embedding=embedding if layer == 0 else None,
                context=config.hidden_size if layer == 0 and config.feed_context else 0,
            )
            for layer in range(config.layers)
        ]
        self._attention = None if attention is None else _rounded(attention, weights)
        self._readout = None
        if "decoder.readout.weight" in weights:
            matrix = Matrix.named(weights, "decoder.readout.weight")
            self._readout = arithmetic.product(matrix, weights["decoder.readout.bias"])
        self._projected = Matrix.named(weights, "decoder.projection.weight")
        self._bias = weights["decoder.projection.bias"]
        self._projection = arithmetic.product(self._projected, self._bias)

    def narrowed(self, tokens: Tensor) -> "_Decoder":
        """Return a decoder that predicts only some tokens, `(tokens,)`."""
        narrow = copy.copy(self)
        rows = self._projected.arranged(tokens, torch.ones(len(tokens)))
        narrow._projection = self._arithmetic.product(rows, self._bias[tokens])
        return narrow

    def start(
        self,
        starts: list[tuple[Tensor, Tensor | None]],
        context: Tensor,
        memory: Tensor | None,
        mask: Tensor,
    ) -> EngineState:
        """Make the first state, one row for each sentence."""
        layers = [
            layer.start(hidden, cell)
            for layer, (hidden, cell) in zip(self._layers, starts, strict=True)
        ]
        fed, gates, view = None, None, SourceView()
        if self._feeds_context:
            fed, gates = context, self._layers[0].read_context(context)
        if self._attention is not None:
            assert memory is not None
            view = SourceView(None, memory, self._attention.keys(memory), mask)
        return EngineState(tuple(layers), fed, gates, view, torch.arange(len(context)))

    def step(self, tokens: Tensor, state: EngineState) -> tuple[Tensor, EngineState]:
        """Return logits, `(rows, vocabulary)`, and the new state."""
        sentences = state.sentences
        inputs = self._layers[0].look_up(tokens)
        if state.context_gates is not None:
            inputs += state.context_gates.index_select(0, sentences)
        layers = []
        for layer, before in zip(self._layers, state.layers, strict=True):
            layers.append(layer.step(inputs, before))
            inputs = layers[-1][0]
        features = [inputs]
        if state.context is not None:
            features.append(state.context.index_select(0, sentences))
        if self._attention is not None:
            queries = self._arithmetic.unpack(inputs)
            attended = state.view.attended(self._attention, queries, sentences)
            features.append(self._arithmetic.pack(attended))
        readout = torch.cat(features, dim=1) if len(features) > 1 else inputs
        if self._readout is not None:
            readout = self._arithmetic.pack(self._readout(readout).tanh_())
        return self._projection(readout), replace(state, layers=tuple(layers))


def _rounded(attention: Attention, weights: Mapping[str, Tensor]) -> Attention:
    """Copy an attention, with the weights that an engine has of it."""
    rounded = copy.deepcopy(attention)
    for name, parameter in rounded.named_parameters():
        parameter.data = Matrix.named(weights, f"decoder.attention.{name}").floats
    return rounded
