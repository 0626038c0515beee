"""Forces a prefix on the translations of any search."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.stepper import NEVER, DecoderState, Wrapper
from nmt.models.batch import Padded


@dataclass(frozen=True)
class PrefixedState:
    """The state of decoding with prefixes between two steps.

    Attributes:
        inner: the model's own state.
        sentences: the sentence of each row, `(rows,)`.
        position: number of tokens so far.
    """

    inner: DecoderState
    sentences: Tensor
    position: int

    @property
    def coverage(self) -> Tensor | None:
        """The model's attention to each source position so far, `(rows, source)`; None without."""
        return self.inner.coverage

    def select(self, rows: Tensor) -> "PrefixedState":
        """Return the state of the given rows, `(kept,)`, in that order; repeats are allowed."""
        return PrefixedState(self.inner.select(rows), self.sentences[rows], self.position)


@dataclass(frozen=True)
class Prefixed(Wrapper):
    """A `Stepper` whose first tokens are forced.

    Excluded tokens get log-probability -inf, the others keep the model's own, so a translation's
    score is the model's, the prefix included.

    Attributes:
        prefixes: of each sentence's translation, without the start token; some may be empty. The
            maximum length must exceed each by at least one token.
        open_ended: whether the prefix ends in a word that must not continue, `(batch,)`.
        followers: mask of the tokens that may follow such a word, `(vocabulary,)`.
    """

    prefixes: Padded
    open_ended: Tensor
    followers: Tensor

    @functools.cached_property
    def _lengths(self) -> Tensor:
        return self.prefixes.lengths.to(self.open_ended.device)

    def start(self, source: Padded) -> PrefixedState:
        """Read the source sentences, one for each prefix; see `Stepper`."""
        sentences = torch.arange(len(self.open_ended), device=self.open_ended.device)
        return PrefixedState(self.stepper.start(source), sentences, 0)

    def step(self, tokens: Tensor, state: PrefixedState) -> tuple[Tensor, PrefixedState]:
        """Read one token per row and predict the next.

        Args:
            tokens: last token ids, `(rows,)`.
            state: with `rows` rows.

        Returns:
            Log-probabilities in nats, `(rows, vocabulary)`, -inf for excluded tokens, and the new
            state.
        """
        log_probs, inner = self.stepper.step(tokens, state.inner)
        sentences, position = state.sentences, state.position
        prefixes, lengths = self.prefixes.tokens, self._lengths
        if position < prefixes.shape[1]:
            forced = position < lengths[sentences]
            every = torch.arange(log_probs.shape[1], device=log_probs.device)
            others = every != prefixes[sentences, position][:, None]
            log_probs = log_probs.masked_fill(forced[:, None] & others, NEVER)
        if position <= prefixes.shape[1]:
            ended = (position == lengths[sentences]) & self.open_ended[sentences]
            log_probs = log_probs.masked_fill(ended[:, None] & ~self.followers, NEVER)
        return log_probs, PrefixedState(inner, sentences, position + 1)
