"""The decoder: writes the target one token at a time, from the encoder's final state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.attention import Attention, SourceMemory
from nmt.models.bridge import DecoderInit, context_size
from nmt.models.cells import LayerState
from nmt.models.dropout import InputDropout, drop_units
from nmt.models.encoder import Encoded
from nmt.models.sequences import run_stack
from nmt.models.stacks import Stack, concat, recurrent_stack, stack_layers


@dataclass(frozen=True)
class Seq2SeqState:
    """The decoder's state between two steps.

    Attributes:
        layers: the state of each layer, `rows` on the first axis.
        memory: the tensors of each sentence.
        sentences: the sentence of each row, `(rows,)`; None if row n is sentence n.
        input_feed: the last readouts, `(rows, width)`; None without input feeding.
        coverage: sum of attention on each source position, `(rows, source)`; None without
            attention.
    """

    layers: tuple[LayerState, ...]
    memory: SourceMemory
    sentences: Tensor | None = None
    input_feed: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, rows: Tensor) -> "Seq2SeqState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        sentences = rows if self.sentences is None else self.sentences[rows]
        return Seq2SeqState(
            tuple(tuple(part.index_select(0, rows) for part in layer) for layer in self.layers),
            *self.memory.compact(sentences),
            _rows(self.input_feed, rows),
            _rows(self.coverage, rows),
        )


@dataclass(frozen=True)
class StepDropout:
    """Dropout of one step in training.

    Attributes:
        between: factors of the inputs of each layer above the first, `(rows, hidden_size)`.
        features: factors of the readout's inputs, `(rows, features)`.
    """

    between: Sequence[Tensor]
    features: Tensor


class Decoder(nn.Module):
    """Embedding → recurrent stack → readout → output projection.

    The readout reads the top layer's output, the fed context and the attended source states. With a
    tied output it is also the bottleneck to the embedding's width. With input feeding the stack
    also reads the last step's readout.

    Source: Sutskever et al. 2014 (final state), Cho et al. 2014 (fed context), Luong et al. 2015
    (attention after the stack, input feeding), Press and Wolf 2017 (tied output).
    """

    stack: Stack

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        hidden = config.hidden_size
        self.embedding = embedding
        self.dropout = InputDropout(config, words=config.target_word_dropout)
        self.feed_context, self.input_feeding = config.feed_context, config.input_feeding
        self.attention = None if config.attention == "none" else Attention(config.attention, hidden)
        self.context = context_size(config) if config.feed_context else 0
        tied = config.tie_embeddings is not False
        self.features = hidden * (1 if self.attention is None else 2) + self.context
        self.width = config.embedding_size if tied else hidden
        input_feed = self.width if self.input_feeding else 0
        input_size = config.embedding_size + self.context + input_feed
        self.stack = recurrent_stack(config, input_size, hidden)
        bottleneck = self.features > hidden or tied
        self.readout = Readout(self.features, self.width) if bottleneck else None
        self.projection = nn.Linear(self.width, embedding.num_embeddings)
        nn.init.zeros_(self.projection.bias)
        if tied:
            self.projection.weight = embedding.weight
        self.token_counts: Tensor
        """Count of each token in the training targets; zeros if never counted."""
        self.register_buffer("token_counts", torch.zeros(embedding.num_embeddings))

    def start(self, init: DecoderInit, encoded: Encoded | None = None) -> Seq2SeqState:
        """Return the state before the first step, one row for each sentence.

        Args:
            init: from the bridge.
            encoded: the encoder's outputs; required for attention.
        """
        layers = [directions[0] for directions in stack_layers(self.stack)]
        context_features = context_inputs = states = keys = mask = coverage = input_feed = None
        if self.feed_context:
            assert self.readout is not None
            context = layers[0].pack(init.context)
            context_inputs = layers[0].read_context(context)
            context_features = self.readout.read_context(context)
        if self.attention is not None:
            assert encoded is not None
            states, keys, mask = encoded.memory, self.attention.keys(encoded.memory), encoded.mask
            coverage = torch.zeros_like(mask, dtype=torch.float32)
        if self.input_feeding:
            input_feed = init.context.new_zeros(len(init.context), self.width)
        parts = zip(layers, init.state.layers(), strict=True)
        return Seq2SeqState(
            tuple(layer.start(state) for layer, state in parts),
            SourceMemory(context_features, context_inputs, states, keys, mask),
            input_feed=input_feed,
            coverage=coverage,
        )

    def step(
        self, embedded: Tensor, state: Seq2SeqState, dropout: StepDropout | None = None
    ) -> tuple[Tensor, Seq2SeqState]:
        """Read one token a row.

        Args:
            embedded: embeddings of the last tokens, `(rows, embedding_size)`.
            state: before the step.
            dropout: in training.

        Returns:
            Readouts, `(rows, width)`, and the new state.
        """
        layers = [directions[0] for directions in stack_layers(self.stack)]
        memory, sentences, coverage = state.memory, state.sentences, state.coverage
        context_inputs = _rows(memory.context_inputs, sentences)
        inputs = layers[0].read(embedded, context_inputs, state.input_feed)
        after: list[LayerState] = []
        for number, (layer, before) in enumerate(zip(layers, state.layers, strict=True)):
            if dropout is not None and number > 0:
                inputs = inputs * dropout.between[number - 1]
            after.append(layer.step(inputs, before))
            inputs = after[-1][0]
        attended = None
        if self.attention is not None and coverage is not None:
            attended, weights = memory.attend(self.attention, inputs, sentences)
            coverage = coverage + weights
        features = (inputs, _rows(memory.context_features, sentences), attended)
        if dropout is not None:
            features = (concat(*features) * dropout.features, None, None)
        readout = concat(*features) if self.readout is None else self.readout(*features)
        input_feed = None if state.input_feed is None else readout
        return readout, replace(
            state, layers=tuple(after), input_feed=input_feed, coverage=coverage
        )

    def forward(self, tokens: Tensor, init: DecoderInit, encoded: Encoded) -> Tensor:
        """Read whole target sentences with teacher forcing.

        Without input feeding the stack runs over all steps in one call; see `run_stack` for its
        speed.

        Args:
            tokens: `(batch, time)`, the start token first.
            init: from the bridge.
            encoded: the encoder's outputs.

        Returns:
            Readouts, `(batch, time, width)`, which `projection` turns into logits.
        """
        embedded = self.dropout(self.embedding(tokens))
        state = self.start(init, encoded)
        if self.input_feeding:
            return self._step_by_step(embedded, state)
        context = None
        if self.feed_context:
            context = init.context[:, None].expand(-1, tokens.shape[1], -1)
        outputs, _ = run_stack(
            self.stack, concat(embedded, context), init.state, locked_dropout=self.dropout.locked
        )
        attended = None
        if self.attention is not None:
            memory = state.memory
            attended, _ = self.attention(outputs, memory.states, memory.keys, memory.mask)
        features = self._drop(concat(outputs, context, attended), self.dropout.share)
        return features if self.readout is None else self.readout(features)

    def _step_by_step(self, embedded: Tensor, state: Seq2SeqState) -> Tensor:
        """Read whole sentences with input feeding; see `forward`."""
        batch, time = embedded.shape[:2]
        ones, size = embedded.new_ones(batch, time, 1), stack_layers(self.stack)[0][0].size
        share, between = self.dropout.share, self.stack.dropout
        masks = [self._drop(ones.expand(-1, -1, size), between) for _ in state.layers[1:]]
        features = self._drop(ones.expand(-1, -1, self.features), share)
        readouts: list[Tensor] = []
        for step in range(time):
            dropout = StepDropout([mask[:, step] for mask in masks], features[:, step])
            readout, state = self.step(embedded[:, step], state, dropout if self.training else None)
            readouts.append(readout)
        return torch.stack(readouts, dim=1)

    def _drop(self, values: Tensor, share: float) -> Tensor:
        return drop_units(values, share, locked=self.dropout.locked, training=self.training)


class Readout(nn.Linear):
    """Linear map with tanh, from the features of a prediction to its readout."""

    def __init__(self, features: int, width: int):
        super().__init__(features, width)
        nn.init.xavier_uniform_(self.weight)

    def read_context(self, context: Tensor) -> Tensor:
        """Return the context, `(sentences, width)`, as `forward` takes it at every step."""
        return context

    def forward(
        self, outputs: Tensor, context: Tensor | None = None, attended: Tensor | None = None
    ) -> Tensor:
        """Return readouts, `(…, width)`, in (-1, 1).

        Args:
            outputs: of the top layer, `(…, hidden)`; or all features, concatenated.
            context: from `read_context`; None without fed context.
            attended: the averaged source states, `(…, hidden)`; None without attention.
        """
        return torch.tanh(super().forward(concat(outputs, context, attended)))


def _rows(values: Tensor | None, rows: Tensor | None) -> Tensor | None:
    """Select rows; None selects all."""
    return values if values is None or rows is None else values.index_select(0, rows)
