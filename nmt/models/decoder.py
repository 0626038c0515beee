"""The decoder: writes the target one token at a time, from the encoder's final state."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.attention import Attention
from nmt.models.cells import RecurrentState, recurrent_stack, run_stack, step_stack
from nmt.models.encoder import Encoded


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

    def attended(self, attention: Attention, queries: Tensor, sentences: Tensor) -> Tensor:
        """Look back at the source, one query a row.

        Rows of the same sentence look at its one memory together.

        Args:
            attention: what weighs the source states.
            queries: decoder states, `(rows, hidden)`.
            sentences: which sentence each row belongs to, `(rows,)`.

        Returns:
            The averaged source states, `(rows, hidden)`.
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
        attended: Tensor = attention(padded, *parts)[0]
        return attended[owner, place]


class Decoder(nn.Module):
    """Embedding → recurrent stack → readout → output projection.

    The readout joins the top layer's state with the fed context and the attended source states;
    where the output is tied to the embedding it is also the bottleneck down to that width.

    Source: Sutskever et al. 2014 (final state), Cho et al. 2014 (fed context), Luong et al. 2015
    (attention after the stack), Press and Wolf 2017 (tied output).
    """

    def __init__(self, config: ModelConfig, embedding: nn.Embedding):
        super().__init__()
        hidden = config.hidden_size
        self.embedding = embedding
        self.dropout = nn.Dropout(config.dropout)
        self.feed_context = config.feed_context
        self.stack = recurrent_stack(
            config.cell,
            input_size=config.embedding_size + (hidden if config.feed_context else 0),
            hidden_size=hidden,
            layers=config.layers,
            dropout=config.dropout,
        )
        self.attention = None if config.attention == "none" else Attention(config.attention, hidden)
        extras = int(config.feed_context) + int(self.attention is not None)
        width = config.embedding_size if config.tie_embeddings else hidden
        self.readout = (
            nn.Linear(hidden * (1 + extras), width) if extras or config.tie_embeddings else None
        )
        self.projection = nn.Linear(width, embedding.num_embeddings)
        nn.init.zeros_(self.projection.bias)
        if config.tie_embeddings:
            self.projection.weight = embedding.weight
        self.token_counts: Tensor
        """How often each token came in the targets of training; zeros where nobody counted."""
        self.register_buffer("token_counts", torch.zeros(embedding.num_embeddings))

    def view(self, encoded: Encoded) -> SourceView:
        """Keep of the encoder's output what this decoder looks at."""
        context = encoded.context if self.feed_context else None
        if self.attention is None:
            return SourceView(context)
        keys = self.attention.keys(encoded.memory)
        return SourceView(context, encoded.memory, keys, encoded.mask)

    def forward(self, tokens: Tensor, state: RecurrentState, view: SourceView) -> Tensor:
        """Read whole target sentences at once, each step seeing the true tokens before it.

        Args:
            tokens: `(batch, time)`, the start token first.
            state: where the stack starts.
            view: one row for each sentence.

        Returns:
            Readouts, `(batch, time, width)`; `projection` turns one into logits.
        """
        inputs = self.dropout(self.embedding(tokens))
        context = attended = None
        if view.context is not None:
            context = view.context[:, None].expand(-1, tokens.shape[1], -1)
            inputs = torch.cat([inputs, context], dim=-1)
        outputs, _ = run_stack(self.stack, inputs, state)
        if self.attention is not None:
            attended, _ = self.attention(outputs, view.memory, view.keys, view.mask)
        return self._read_out(outputs, context, attended)

    def step(
        self, tokens: Tensor, state: RecurrentState, view: SourceView, sentences: Tensor
    ) -> tuple[Tensor, RecurrentState]:
        """Read one token a row.

        Args:
            tokens: last token ids, `(rows,)`.
            state: before the step.
            view: one row for each sentence.
            sentences: which sentence each row belongs to, `(rows,)`.

        Returns:
            Readouts, `(rows, width)`, and the new state.
        """
        inputs = self.embedding(tokens)
        context = None if view.context is None else view.context[sentences]
        if context is not None:
            inputs = torch.cat([inputs, context], dim=-1)
        output, state = step_stack(self.stack, inputs, state)
        attended = None
        if self.attention is not None:
            attended = view.attended(self.attention, output, sentences)
        return self._read_out(output, context, attended), state

    def _read_out(self, output: Tensor, context: Tensor | None, attended: Tensor | None) -> Tensor:
        """Join what a prediction rests on, `(…, hidden)` each, to readouts, `(…, width)`."""
        features = [part for part in (output, context, attended) if part is not None]
        readout: Tensor = self.dropout(torch.cat(features, dim=-1))
        return readout if self.readout is None else torch.tanh(self.readout(readout))
