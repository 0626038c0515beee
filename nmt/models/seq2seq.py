"""The translation network: encoder, bridge, decoder."""

import math

import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.batch import Padded
from nmt.models.bridge import Bridge, DecoderInit, context_size
from nmt.models.cells import CELLS
from nmt.models.decoder import Decoder, Seq2SeqState
from nmt.models.encoder import Encoder
from nmt.models.feedforward_encoder import FeedforwardEncoder
from nmt.models.loss import projected_cross_entropy
from nmt.models.stacks import RecurrentState


class ScaledEmbedding(nn.Embedding):
    """An embedding whose rows are scaled when read; a tied output uses them unscaled.

    Source: Vaswani et al. 2017, section 3.4.
    """

    def forward(self, tokens: Tensor) -> Tensor:
        """Return `(…, width)` for tokens, `(…)`."""
        return super().forward(tokens) * embedding_scale(self.embedding_dim)


class Seq2Seq(nn.Module):
    """Two recurrent networks: the encoder's final state starts the decoder. A `Stepper`.

    `model.encoder` may replace the encoder by one without recurrence, for comparison.

    Args:
        config: the `model` section.
        source_size: tokens in the source vocabulary.
        target_size: tokens in the target vocabulary.
        shared: whether both sides share one vocabulary.

    Source: Sutskever et al. 2014; Cho et al. 2014.
    """

    encoder: Encoder | FeedforwardEncoder
    bridge: Bridge
    decoder: Decoder

    def __init__(self, config: ModelConfig, *, source_size: int, target_size: int, shared: bool):
        super().__init__()
        self.config = config
        target_embedding = _embedding(target_size, config)
        one_table = shared and config.tie_embeddings is True
        source_embedding = target_embedding if one_table else _embedding(source_size, config)
        encoder = Encoder if config.encoder == "rnn" else FeedforwardEncoder
        self.encoder = encoder(config, source_embedding)
        self.bridge = Bridge(config)
        self.decoder = Decoder(config, target_embedding)

    def forward(self, source: Padded, target: Padded) -> Tensor:
        """Predict every token of the target from those before it.

        Args:
            source: source sentences, the end token last.
            target: target sentences, start token first, end token last.

        Returns:
            Logits of the real tokens after the start, `(tokens, target_size)`, sentence by
            sentence.
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

        With R-Drop every sentence is read twice, with different dropout; see
        `projected_cross_entropy`.
        """
        passes = 1 if r_drop is None else 2
        readouts = self._readouts(source.repeat(passes), target.repeat(passes))
        if r_drop is not None:
            readouts = readouts.unflatten(0, (passes, -1))
        true, projection = target.tokens[:, 1:][target.mask[:, 1:]], self.decoder.projection
        return projected_cross_entropy(readouts, projection, true, label_smoothing, r_drop)

    def _readouts(self, source: Padded, target: Padded) -> Tensor:
        """Return the readouts before every real token, without padding, `(tokens, width)`."""
        encoded = self.encoder(source)
        readouts: Tensor = self.decoder(target.tokens[:, :-1], self.bridge(encoded), encoded)
        return readouts[target.mask[:, 1:]]

    @property
    def attends(self) -> bool:
        """Whether the decoder has attention; see `Stepper`."""
        return self.decoder.attention is not None

    def start(self, source: Padded) -> Seq2SeqState:
        """Read the source sentences and return the state from which decoding starts.

        Sentences without any token start from zero states and a zero context: the decoder alone.

        Raises:
            ValueError: sentences without tokens, in a model with attention.
        """
        if source.tokens.shape[1] > 0:
            encoded = self.encoder(source)
            return self.decoder.start(self.bridge(encoded), encoded)
        if self.attends:
            raise ValueError("attention needs source tokens")
        config, rows = self.config, len(source.lengths)
        zeros = self.decoder.token_counts.new_zeros(config.layers, rows, config.hidden_size)
        state = RecurrentState(*[zeros] * CELLS[config.cell].states)
        return self.decoder.start(DecoderInit(state, zeros.new_zeros(rows, context_size(config))))

    def step(self, tokens: Tensor, state: Seq2SeqState) -> tuple[Tensor, Seq2SeqState]:
        """Read one token a row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: with `rows` rows.

        Returns:
            Log-probabilities in nats, `(rows, target_size)`, at least fp32, and the new state.
        """
        readouts, state = self.decoder.step(self.decoder.embedding(tokens), state)
        logits = self.decoder.projection(readouts)
        if logits.dtype == torch.bfloat16:
            logits = logits.float()
        return logits.log_softmax(dim=-1), state


def embedding_scale(width: int) -> float:
    """Return the factor of embeddings when they are read; see `ScaledEmbedding`."""
    return math.sqrt(width)


def _embedding(size: int, config: ModelConfig) -> nn.Embedding:
    """Make an embedding with rows of norm about 1, which suits a tied output."""
    width = config.embedding_size
    embedding = ScaledEmbedding(size, width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding
