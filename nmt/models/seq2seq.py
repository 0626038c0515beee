"""The translator's network: encoder, bridge, decoder."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.batch import Padded
from nmt.models.bridge import Bridge, context_size
from nmt.models.cells import RecurrentState
from nmt.models.decoder import Decoder, SourceView
from nmt.models.loss import projected_cross_entropy
from nmt.models.words import make_encoder


@dataclass(frozen=True)
class Seq2SeqState:
    """What decoding carries from one step to the next.

    Attributes:
        recurrent: the decoder's state, `rows` on its row axis.
        view: what belongs to a sentence, held once for each.
        sentences: which sentence of `view` each row belongs to, `(rows,)`.
        fed: the last readouts, `(rows, width)`; None without input feeding.
        coverage: how much attention each source position got so far, `(rows, source)`; None
            without attention.
    """

    recurrent: RecurrentState
    view: SourceView
    sentences: Tensor
    fed: Tensor | None
    coverage: Tensor | None

    def select(self, rows: Tensor) -> "Seq2SeqState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        return Seq2SeqState(
            self.recurrent.select(rows),
            self.view,
            self.sentences[rows],
            None if self.fed is None else self.fed[rows],
            None if self.coverage is None else self.coverage[rows],
        )

    def repeat(self, times: int) -> "Seq2SeqState":
        """Return the state with every row `times` times in a row."""
        rows = torch.arange(len(self.sentences), device=self.sentences.device)
        return self.select(rows.repeat_interleave(times))


class ScaledEmbedding(nn.Embedding):
    """An embedding that is read larger than it is stored, where a tied output is the stored one.

    Source: Vaswani et al. 2017, section 3.4.
    """

    def __init__(self, size: int, width: int, scale: float):
        super().__init__(size, width)
        self.scale = scale

    def forward(self, tokens: Tensor) -> Tensor:
        """Return `(…, width)` for tokens, `(…)`."""
        return super().forward(tokens) * self.scale


class Seq2Seq(nn.Module):
    """Two recurrent networks: the first reads, its final state starts the second.

    Instead of the first, `model.encoder` may put one without recurrence, for comparison.

    Args:
        config: the `model` section.
        source_size: tokens in the source vocabulary.
        target_size: tokens in the target vocabulary.
        shared: whether the two vocabularies are one.

    Source: Sutskever et al. 2014; Cho et al. 2014.
    """

    def __init__(self, config: ModelConfig, *, source_size: int, target_size: int, shared: bool):
        super().__init__()
        target_embedding = _embedding(target_size, config)
        one_table = shared and config.tie_embeddings is True
        source_embedding = target_embedding if one_table else _embedding(source_size, config)
        self.context_size = context_size(config)
        self.encoder = make_encoder(config, source_embedding)
        self.bridge = Bridge(config)
        self.decoder = Decoder(config, target_embedding)

    def forward(self, source: Padded, target: Padded) -> Tensor:
        """Predict every token of the target from those before it.

        Args:
            source: source sentences, the end token last.
            target: target sentences, start token first, end token last.

        Returns:
            Logits of the real tokens after the start, `(tokens, target_size)`, sentence by
            sentence; see `_predicted`.
        """
        logits: Tensor = self.decoder.projection(self._readouts(source, target))
        return logits

    def loss(
        self,
        source: Padded,
        target: Padded,
        label_smoothing: float = 0.0,
        r_drop: float | None = None,
    ) -> Tensor:
        """Return the cross-entropy in nats, summed over all real target tokens. See `forward`.

        With R-Drop every sentence is read twice, each time under other noise; see
        `projected_cross_entropy`.
        """
        readouts = self._readouts(source, target)
        if r_drop is not None:
            readouts = torch.stack([readouts, self._readouts(source, target)])
        return projected_cross_entropy(
            readouts,
            self.decoder.projection,
            target.tokens[:, 1:][_predicted(target)],
            label_smoothing,
            r_drop,
        )

    def _readouts(self, source: Padded, target: Padded) -> Tensor:
        """Return the readouts before every real token, `(tokens, width)`, none for padding."""
        readouts, _ = self._read(source, target)
        return readouts[_predicted(target)]

    def alignments(self, source: Padded, target: Padded) -> Tensor:
        """Return where attention looks while it writes given targets.

        Args:
            source: source sentences, the end token last.
            target: target sentences, start token first, end token last.

        Returns:
            `(batch, time - 1, source)`: for each target token after the start, weights over the
            source tokens that sum to 1.

        Raises:
            ValueError: there is no attention.
        """
        _, weights = self._read(source, target)
        if weights is None:
            raise ValueError("the model has no attention")
        return weights

    def _read(self, source: Padded, target: Padded) -> tuple[Tensor, Tensor | None]:
        """Read both sides; see `Decoder.forward`."""
        encoded = self.encoder(source)
        handed = self.bridge(encoded)
        view = self.decoder.view(encoded, handed.context)
        readouts, weights = self.decoder(target.tokens[:, :-1], handed.state, view)
        return readouts, weights

    def start(self, source: Padded) -> Seq2SeqState:
        """Read the source sentences and make the state from which decoding starts."""
        encoded = self.encoder(source)
        handed = self.bridge(encoded)
        rows = len(source.lengths)
        mask = encoded.mask
        return Seq2SeqState(
            recurrent=handed.state,
            view=self.decoder.view(encoded, handed.context),
            sentences=torch.arange(rows, device=mask.device),
            fed=self.decoder.first_readouts(rows),
            coverage=torch.zeros_like(mask, dtype=torch.float32)
            if self.decoder.attention is not None
            else None,
        )

    def start_alone(self) -> Seq2SeqState:
        """Start one row without a source: zero states, and a zero context.

        Raises:
            ValueError: there is attention, which needs a source to look at.
        """
        decoder = self.decoder
        if decoder.attention is not None:
            raise ValueError("attention needs a source to look at")
        weight = decoder.embedding.weight
        zeros = weight.new_zeros(decoder.stack.num_layers, 1, decoder.stack.hidden_size)
        cell = zeros if isinstance(decoder.stack, nn.LSTM) else None
        context = weight.new_zeros(1, self.context_size) if decoder.feed_context else None
        return Seq2SeqState(
            recurrent=RecurrentState(zeros, cell),
            view=SourceView(context),
            sentences=torch.zeros(1, dtype=torch.int64, device=weight.device),
            fed=decoder.first_readouts(1),
            coverage=None,
        )

    def step(self, tokens: Tensor, state: Seq2SeqState) -> tuple[Tensor, Seq2SeqState]:
        """Read one token a row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: what decoding carries, `rows` on its row axis.

        Returns:
            Log-probabilities in nats, `(rows, target_size)`, fp32, and the new state.
        """
        readouts, recurrent, weights = self.decoder.step(
            tokens, state.recurrent, state.view, state.sentences, state.fed
        )
        logits = self.decoder.projection(readouts)
        log_probs = logits.float().log_softmax(dim=-1)
        coverage = state.coverage
        if coverage is not None and weights is not None:
            coverage = coverage + weights
        fed = None if state.fed is None else readouts
        return log_probs, replace(state, recurrent=recurrent, fed=fed, coverage=coverage)


def embedding_scale(config: ModelConfig) -> float:
    """Return how many times as large embeddings are read as they are stored."""
    return math.sqrt(config.embedding_size) if config.scale_embeddings else 1.0


def _predicted(target: Padded) -> Tensor:
    """True where a real token follows the start token, `(batch, time - 1)`."""
    return target.mask[:, 1:]


def _embedding(size: int, config: ModelConfig) -> nn.Embedding:
    """Make an embedding whose rows have norm about 1, so that a tied output starts sane."""
    width = config.embedding_size
    embedding = ScaledEmbedding(size, width, embedding_scale(config))
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding
