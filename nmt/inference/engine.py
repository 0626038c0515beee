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
from nmt.inference.engine_encoder import EngineBridge, EngineEncoder
from nmt.inference.engine_words import EngineWordEncoder
from nmt.inference.products import Arithmetic, Floats, Integers, Matrix
from nmt.models.attention import Attention
from nmt.models.batch import Padded
from nmt.models.bridge import context_size
from nmt.models.decoder import SourceView
from nmt.models.quantization import quantize
from nmt.models.seq2seq import Seq2Seq, embedding_scale
from nmt.models.weights import StoredPrecision


@dataclass(frozen=True)
class EngineState:
    """What decoding carries from one step to the next.

    Attributes:
        layers: the state of each layer, `rows` on the first axis of every tensor.
        context: packed, once for each sentence, `(sentences, context)`; None where it is not fed.
        context_gates: what the context adds to the first layer's gates, `(sentences, gates)`.
        view: source states for attention, once for each sentence.
        sentences: which sentence each row belongs to, `(rows,)`.
        fed: the last readouts, packed, `(rows, width)`; None without input feeding.
        coverage: how much attention each source position got so far, `(rows, source)`; None
            without attention.
    """

    layers: tuple[Carried, ...]
    context: Tensor | None
    context_gates: Tensor | None
    view: SourceView
    sentences: Tensor
    fed: Tensor | None
    coverage: Tensor | None

    def select(self, rows: Tensor) -> "EngineState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        return replace(
            self,
            layers=tuple(
                tuple(part.index_select(0, rows) for part in layer) for layer in self.layers
            ),
            sentences=self.sentences[rows],
            fed=None if self.fed is None else self.fed.index_select(0, rows),
            coverage=None if self.coverage is None else self.coverage.index_select(0, rows),
        )

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

    @torch.inference_mode(False)
    def __init__(self, model: Seq2Seq, config: ModelConfig, precision: StoredPrecision):
        if precision == "int8" and not fits_integers(config):
            raise UsageError(
                "--precision: int8 needs bounded states, and those of model.cell relu have no "
                "bound; use fp32"
            )
        arithmetic: Arithmetic = Integers() if precision == "int8" else Floats()
        weights = _weights(model, rounded=precision == "int8")
        reader = EngineEncoder if config.encoder == "rnn" else EngineWordEncoder
        self._encoder = reader(weights, config, arithmetic)
        self._bridge = EngineBridge(weights, config, arithmetic)
        self._decoder = _Decoder(weights, config, arithmetic, model.decoder.attention)

    def start(self, source: Padded) -> EngineState:
        """Read the source sentences and make the state from which decoding starts."""
        states, memory = self._encoder(source)
        starts, context = self._bridge(states, memory, source.mask)
        return self._decoder.start(starts, context, memory, source.mask)

    def start_alone(self) -> EngineState:
        """Start one row without a source; see `Seq2Seq.start_alone`."""
        return self._decoder.start_alone()

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
        self._context = context_size(config)
        self._projected = Matrix.named(weights, "decoder.projection.weight")
        self._fed = self._projected.values.shape[1] if config.input_feeding else 0
        embedding = Matrix.named(weights, "decoder.embedding.weight")
        embedding = embedding.times(embedding_scale(config))
        self._layers = [
            Layer(
                config.cell,
                LayerWeights.named(weights, "decoder.stack", str(layer)),
                arithmetic,
                embedding=embedding if layer == 0 else None,
                context=context_size(config) if layer == 0 and config.feed_context else 0,
                fed=self._fed if layer == 0 else 0,
            )
            for layer in range(config.layers)
        ]
        self._attention = None if attention is None else _rounded(attention, weights)
        self._readout = None
        if "decoder.readout.weight" in weights:
            matrix = Matrix.named(weights, "decoder.readout.weight")
            self._readout = arithmetic.product(matrix, weights["decoder.readout.bias"])
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
        rows = len(context)
        return EngineState(
            layers=tuple(layers),
            context=fed,
            context_gates=gates,
            view=view,
            sentences=torch.arange(rows),
            fed=self._arithmetic.zeros(rows, self._fed) if self._fed else None,
            coverage=None if self._attention is None else torch.zeros(mask.shape),
        )

    def start_alone(self) -> EngineState:
        """Make the first state of one row without a source."""
        if self._attention is not None:
            raise ValueError("attention needs a source to look at")
        zeros: list[Tensor] = [torch.zeros(1, layer.size) for layer in self._layers]
        context = self._arithmetic.zeros(1, self._context)
        return self.start(
            [(zero, zero) for zero in zeros], context, None, torch.ones(1, 0, dtype=torch.bool)
        )

    def step(self, tokens: Tensor, state: EngineState) -> tuple[Tensor, EngineState]:
        """Return logits, `(rows, vocabulary)`, and the new state."""
        sentences = state.sentences
        inputs = self._layers[0].look_up(tokens)
        if state.context_gates is not None:
            inputs += state.context_gates.index_select(0, sentences)
        if state.fed is not None:
            inputs += self._layers[0].read_fed(state.fed)
        layers = []
        for layer, before in zip(self._layers, state.layers, strict=True):
            layers.append(layer.step(inputs, before))
            inputs = layers[-1][0]
        features, coverage = [inputs], state.coverage
        if state.context is not None:
            features.append(state.context.index_select(0, sentences))
        if self._attention is not None:
            queries = self._arithmetic.unpack(inputs)
            attended, looked = state.view.attended(self._attention, queries, sentences)
            features.append(self._arithmetic.pack(attended))
            assert coverage is not None
            coverage = coverage + looked
        readout = torch.cat(features, dim=1) if len(features) > 1 else inputs
        if self._readout is not None:
            readout = self._arithmetic.pack(self._readout(readout).tanh_())
        fed = None if state.fed is None else readout
        after = replace(state, layers=tuple(layers), fed=fed, coverage=coverage)
        return self._projection(readout), after


def _rounded(attention: Attention, weights: Mapping[str, Tensor]) -> Attention:
    """Copy an attention, with the weights that an engine has of it."""
    rounded = copy.deepcopy(attention)
    for name, parameter in rounded.named_parameters():
        parameter.data = Matrix.named(weights, f"decoder.attention.{name}").floats
    return rounded
