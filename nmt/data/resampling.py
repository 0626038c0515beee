"""Training pairs segmented anew: another text of tokens in each epoch, the same for each run."""

from collections.abc import Iterator

import numpy as np

from nmt.data.encoded import Rows
from nmt.data.plan import pack
from nmt.text.sampling import make_samplers
from nmt.text.tokenizer import Tokenizer


class Resampler:
    """Segments the pairs of micro-batches anew.

    What a pair becomes depends on nothing but the seed, the epoch and its place in that: not on the
    batch, the rank or the process.

    Args:
        tokenizer: two unigram or bpe models.
        strength: see `training.subword_sampling`.
        batch_tokens: bound on sentences × longest side of a micro-batch.
        seed: of the run.
    """

    def __init__(self, tokenizer: Tokenizer, strength: float, *, batch_tokens: int, seed: int):
        self._samplers = make_samplers(tokenizer, strength)
        self._batch_tokens = batch_tokens
        self._seed = seed

    def __call__(
        self, sources: Rows, targets: Rows, *, epoch: int, start: int
    ) -> Iterator[tuple[Rows, Rows]]:
        """Segment a micro-batch, and split it where it has outgrown `batch_tokens`.

        Args:
            sources: token ids of each source, without start and end.
            targets: the same of each target.
            epoch: counted from 0.
            start: place of the first pair in the epoch's order; the others follow it.
        """
        pairs = [
            self._sample(source, target, np.random.default_rng([self._seed, epoch, place, 1]))
            for place, (source, target) in enumerate(zip(sources, targets, strict=True), start)
        ]
        if not pairs:  # ranks wait for an empty micro-batch, too
            yield [], []
        pairs.sort(key=_longer)
        for first, end in pack(np.array([_longer(pair) for pair in pairs]), self._batch_tokens):
            yield (
                [source for source, _ in pairs[first:end]],
                [target for _, target in pairs[first:end]],
            )

    def _sample(
        self, source: list[int], target: list[int], generator: np.random.Generator
    ) -> tuple[list[int], list[int]]:
        """Segment a pair anew; one that would not fit alone stays as it is."""
        by_source, by_target = self._samplers
        sampled = by_source.sample(source, generator), by_target.sample(target, generator)
        return sampled if _longer(sampled) <= self._batch_tokens else (source, target)


def _longer(pair: tuple[list[int], list[int]]) -> int:
    """Return the length of a pair's longer side, with its end token."""
    return max(map(len, pair)) + 1
