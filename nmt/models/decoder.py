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

    def at(self, sentences: Tensor) -> "SourceView":
        """Return the view with one row for each entry of `sentences`, `(rows,)`."""
        parts = (self.context, self.memory, self.keys, self.mask)
        return SourceView(*(None if part is None else part[sentences] for part in parts))


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
        if view.context is not None:
            context = view.context[:, None].expand(-1, tokens.shape[1], -1)
            inputs = torch.cat([inputs, context], dim=-1)
        outputs, _ = run_stack(self.stack, inputs, state)
        return self._read_out(outputs, view)

    def step(
        self, tokens: Tensor, state: RecurrentState, view: SourceView
    ) -> tuple[Tensor, RecurrentState]:
        """Read one token a row, `(rows,)`; return readouts, `(rows, width)`, and the new state."""
        inputs = self.embedding(tokens)
        if view.context is not None:
            inputs = torch.cat([inputs, view.context], dim=-1)
        output, state = step_stack(self.stack, inputs, state)
        return self._read_out(output[:, None], view)[:, 0], state

    def _read_out(self, outputs: Tensor, view: SourceView) -> Tensor:
        features = [outputs]  # (batch, time, hidden) each
        if view.context is not None:
            features.append(view.context[:, None].expand_as(outputs))
        if self.attention is not None:
            assert view.memory is not None and view.keys is not None and view.mask is not None
            attended, _ = self.attention(outputs, view.memory, view.keys, view.mask)
            features.append(attended)
        readout: Tensor = self.dropout(torch.cat(features, dim=-1))
        return readout if self.readout is None else torch.tanh(self.readout(readout))
