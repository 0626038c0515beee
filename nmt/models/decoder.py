"""The decoder: writes the target one token at a time, from the encoder's final state."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.attention import Attention
from nmt.models.bridge import context_size
from nmt.models.cells import RecurrentState, recurrent_stack, step_stack
from nmt.models.dropout import InputDropout, UnitDropout
from nmt.models.encoder import Encoded
from nmt.models.sequences import Noise, run_stack


@dataclass(frozen=True)
class SourceView:
    """What the decoder may look at besides its own state; held once for each sentence.

    Attributes:
        context: the encoder's final state, `(sentences, hidden)`; None where it is not fed.
        memory: the source states, `(sentences, source, hidden)`; None without attention.
        keys: the same, prepared for attention.
        mask: True on real source tokens, `(sentences, source)`.
    """

    context: Tensor | None = None
    memory: Tensor | None = None
    keys: Tensor | None = None
    mask: Tensor | None = None

    def attended(
        self, attention: Attention, queries: Tensor, sentences: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Look back at the source, one query a row.

        Rows of the same sentence look at its one memory together.

        Args:
            attention: what weighs the source states.
            queries: decoder states, `(rows, hidden)`.
            sentences: which sentence each row belongs to, `(rows,)`.

        Returns:
            The averaged source states, `(rows, hidden)`, and the weights, `(rows, source)`.
        """
        assert self.memory is not None and self.keys is not None and self.mask is not None
        used, owner, counts = sentences.unique(return_inverse=True, return_counts=True)
        order = owner.argsort(stable=True)
        place = torch.empty_like(owner)  # of each row among those of its sentence
        ordinal = torch.arange(len(owner), device=owner.device)
        place[order] = ordinal - (counts.cumsum(0) - counts)[owner[order]]
        padded = queries.new_zeros(len(used), int(counts.max()), queries.shape[1])
        padded[owner, place] = queries
        parts = [self.memory, self.keys, self.mask]
        if len(used) < len(self.memory):  # some sentences have left the batch
            parts = [part[used] for part in parts]
        attended, weights = attention(padded, *parts)
        return attended[owner, place], weights[owner, place]


class Decoder(nn.Module):
    """Embedding → recurrent stack → readout → output projection.

    The readout joins the top layer's state with the fed context and the attended source states;
    where the output is tied to the embedding it is also the bottleneck down to that width. With
    input feeding the stack reads the last step's readout beside the token.

    Source: Sutskever et al. 2014 (final state), Cho et al. 2014 (fed context), Luong et al. 2015
    (attention after the stack, input feeding), Press and Wolf 2017 (tied output).
    """

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        hidden = config.hidden_size
        self.embedding = embedding
        self.dropout = InputDropout(
            config, words=config.target_word_dropout, vocabulary=embedding.num_embeddings
        )
        self.readout_dropout = UnitDropout(config.dropout, locked=config.locked_dropout)
        self.noise = Noise.of(config)
        self.feed_context, self.input_feeding = config.feed_context, config.input_feeding
        self.attention = None if config.attention == "none" else Attention(config.attention, hidden)
        context = context_size(config) if config.feed_context else 0
        tied = config.tie_embeddings is not False
        self.features = hidden * (1 if self.attention is None else 2) + context
        bottleneck = self.features > hidden or tied
        self.width = config.embedding_size if tied else hidden
        self.stack = recurrent_stack(
            config.cell,
            input_size=config.embedding_size + context + (self.width if self.input_feeding else 0),
            hidden_size=hidden,
            layers=config.layers,
            dropout=config.dropout,
            recurrent_init=config.recurrent_init,
            forget_bias=config.forget_bias,
        )
        self.readout = nn.Linear(self.features, self.width) if bottleneck else None
        if self.readout is not None:
            nn.init.xavier_uniform_(self.readout.weight)
        self.projection = nn.Linear(self.width, embedding.num_embeddings)
        nn.init.zeros_(self.projection.bias)
        if tied:
            self.projection.weight = embedding.weight
        self.token_counts: Tensor
        """How often each token came in the targets of training; zeros where nobody counted."""
        self.register_buffer("token_counts", torch.zeros(embedding.num_embeddings))

    def view(self, encoded: Encoded, context: Tensor) -> SourceView:
        """Keep of the encoder's output, and of the handed-over context, what is looked at."""
        fed = context if self.feed_context else None
        if self.attention is None:
            return SourceView(fed)
        keys = self.attention.keys(encoded.memory)
        return SourceView(fed, encoded.memory, keys, encoded.mask)

    def first_readouts(self, rows: int) -> Tensor | None:
        """Return what is fed to the first step, `(rows, width)`; None without input feeding."""
        if not self.input_feeding:
            return None
        return torch.zeros(rows, self.width, device=self.embedding.weight.device)

    def forward(
        self, tokens: Tensor, state: RecurrentState, view: SourceView
    ) -> tuple[Tensor, Tensor | None]:
        """Read whole target sentences at once, each step seeing the true tokens before it.

        Args:
            tokens: `(batch, time)`, the start token first.
            state: where the stack starts.
            view: one row for each sentence.

        Returns:
            Readouts, `(batch, time, width)`, which `projection` turns into logits, and the weights
            of attention, `(batch, time, source)`, None where there is none.
        """
        inputs = self.dropout(self.embedding(tokens), tokens)
        context = None
        if view.context is not None:
            context = view.context[:, None].expand(-1, tokens.shape[1], -1)
            inputs = joined(inputs, context)
        if self.input_feeding:
            return self._step_by_step(inputs, state, view, context)
        outputs, _ = run_stack(self.stack, inputs, state, noise=self.noise)
        attended, weights = self.attend(outputs, view)
        features = joined(outputs, context, attended)
        return self.read_out(self.readout_dropout(features)), weights

    def _step_by_step(
        self, inputs: Tensor, state: RecurrentState, view: SourceView, context: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Go through the sentences with input feeding; see `forward`."""
        batch, time = inputs.shape[:2]
        layers = range(self.stack.num_layers)
        recurrent = [self.noise.weights(self.stack, layer)[0] for layer in layers]
        ones = inputs.new_ones(batch, time, 1)
        between = UnitDropout(self.stack.dropout, locked=self.noise.locked).train(self.training)
        masks = [between(ones.expand(-1, -1, self.stack.hidden_size)) for _ in layers[1:]]
        feature_mask = self.readout_dropout(ones.expand(-1, -1, self.features))
        fed = self.first_readouts(batch)
        assert fed is not None
        readouts, weights = [], []
        for step in range(time):
            read = joined(inputs[:, step], fed.to(inputs.dtype))
            output, state = step_stack(
                self.stack, read, state, recurrent, [mask[:, step] for mask in masks]
            )
            attended, looked = self.attend(output[:, None], view)
            features = joined(output[:, None], _at(context, step), attended)[:, 0]
            fed = self.read_out(features * feature_mask[:, step])
            readouts.append(fed)
            weights.append(looked)
        every = [looked for looked in weights if looked is not None]
        return torch.stack(readouts, dim=1), torch.cat(every, dim=1) if every else None

    def step(
        self,
        tokens: Tensor,
        state: RecurrentState,
        view: SourceView,
        sentences: Tensor,
        fed: Tensor | None = None,
    ) -> tuple[Tensor, RecurrentState, Tensor | None]:
        """Read one token a row.

        Args:
            tokens: last token ids, `(rows,)`.
            state: before the step.
            view: one row for each sentence.
            sentences: which sentence each row belongs to, `(rows,)`.
            fed: the last step's readouts, `(rows, width)`, where there is input feeding.

        Returns:
            Readouts, `(rows, width)`, the new state, and the weights of attention,
            `(rows, source)`, None where there is none.
        """
        context = None if view.context is None else view.context[sentences]
        read = joined(self.embedding(tokens), context, fed)
        output, state = step_stack(self.stack, read, state)
        attended = weights = None
        if self.attention is not None:
            attended, weights = view.attended(self.attention, output, sentences)
        return self.read_out(joined(output, context, attended)), state, weights

    def attend(self, outputs: Tensor, view: SourceView) -> tuple[Tensor | None, Tensor | None]:
        """Look back at the source from `(batch, time, hidden)`."""
        if self.attention is None:
            return None, None
        attended, weights = self.attention(outputs, view.memory, view.keys, view.mask)
        return attended, weights

    def read_out(self, features: Tensor) -> Tensor:
        """Turn what a prediction rests on, `(…, features)`, into readouts, `(…, width)`."""
        return features if self.readout is None else torch.tanh(self.readout(features))


def joined(*parts: Tensor | None) -> Tensor:
    """Put those that there are side by side."""
    return torch.cat([part for part in parts if part is not None], dim=-1)


def _at(context: Tensor | None, step: int) -> Tensor | None:
    return None if context is None else context[:, step : step + 1]
