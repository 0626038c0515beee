"""Searches one batch of sentences, from token ids to translations; splits it if memory runs out."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from nmt.config import SearchOptions
from nmt.decoding.alignment import Links, forced_attention, word_links
from nmt.decoding.beam import beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.masked import Masked
from nmt.decoding.sampling import sample
from nmt.decoding.stepper import Hypothesis, Limits, NBest, Stepper
from nmt.errors import NmtError, counted
from nmt.inference.device import arithmetic
from nmt.inference.prefixes import Prefix, completed, completed_words, followers, prefixed
from nmt.inference.shortlist import Shortlist
from nmt.memory import is_out_of_memory
from nmt.models.batch import Padded, pad
from nmt.text.tokenizer import Tokenizer

Prefixes = Sequence[Prefix] | None
"""One for each translation of a batch, none empty; None for a batch without prefixes."""


@dataclass(frozen=True)
class Candidate:
    """One of several translations of a sentence.

    Attributes:
        text: raw text, one line.
        score: sum of log-probabilities in nats, the end token included.
        tokens: token ids, without the end token.
        rank_score: candidates are sorted by it; see `Hypothesis`.
        alignment: None unless requested.
    """

    text: str
    score: float
    tokens: list[int]
    rank_score: float = 0.0
    alignment: Links | None = None


@dataclass(frozen=True)
class Translation:
    """The result of translating one sentence.

    Attributes:
        text: the best translation.
        score: its log-probability in nats, the end token included; 0 for an empty line.
        n_best: the best candidates, distinct as text, best first.
        problem: a fault of this sentence or its translation, in words; None without one.
        failed: whether the translation is missing because of the problem.
    """

    text: str
    score: float
    n_best: list[Candidate]
    problem: str | None = None
    failed: bool = False


def refuse_infinite_score(score: float) -> None:
    """Refuse a probability, a log-probability, or a sum of either that is not finite.

    Raises:
        NmtError: it is not finite.
    """
    if not math.isfinite(score):
        fault = "its weights are damaged, or its training diverged"
        raise NmtError(f"the model gives no finite probability: {fault}")


@dataclass(frozen=True)
class BatchSearch:
    """Searches batches with fixed settings.

    Attributes:
        stepper: the model.
        shortlist: replaces the model for batches without prefixes; None for no shortlist.
        tokenizer: for end tokens, and ids back to text.
        options: of the search.
        device: of the model.
        precision: fp32, bf16 or int8.
    """

    stepper: Stepper
    shortlist: Shortlist | None
    tokenizer: Tokenizer
    options: SearchOptions
    device: torch.device
    precision: str

    @property
    def empty(self) -> Candidate:
        """The candidate of a sentence without a translation."""
        return Candidate("", 0.0, [], alignment=[] if self.options.alignments else None)

    def __call__(
        self, sources: list[list[int]], sentences: Sequence[str], prefixes: Prefixes
    ) -> list[Translation]:
        """Translate a batch; if memory runs out, each half of it, down to single sentences.

        Args:
            sources: token ids, the end token last.
            sentences: raw text of the same, not cut; alignments count its words.
            prefixes: see `Prefixes`.

        Raises:
            NmtError: a probability is not finite.
        """
        try:
            hypotheses = self._search(sources, prefixes)
            return self._translations(hypotheses, sources, sentences, prefixes)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(sources) == 1:
                problem = "translation failed: out of memory"
                return [Translation("", 0.0, [self.empty], problem, failed=True)]
        middle = len(sources) // 2
        return [
            result
            for half in (slice(None, middle), slice(middle, None))
            for result in self(sources[half], sentences[half], prefixes and prefixes[half])
        ]

    @property
    def limits(self) -> Limits:
        """Start and end tokens, and maximum lengths, of a search over all tokens."""
        target = self.tokenizer.target
        return Limits(target.bos_id, target.eos_id, self.options.max_length_ratio)

    @torch.inference_mode()
    def _search(self, sources: list[list[int]], prefixes: Prefixes) -> NBest:
        """Return each sentence's hypotheses, best first."""
        source = pad(sources, self.device)
        search = functools.partial(self._hypotheses, source)
        target = self.tokenizer.target
        with arithmetic(self.precision, self.device):
            if prefixes is not None:
                allowed = torch.tensor(followers(target), device=self.device)
                stepper = prefixed(self.stepper, prefixes, allowed)
                return search(Masked(stepper, target.unk_id, forced=True), self.limits)
            if self.shortlist is not None:  # it excludes the unknown token
                return self.shortlist.search(search, self.limits)
            return search(Masked(self.stepper, target.unk_id), self.limits)

    def _hypotheses(self, source: Padded, stepper: Stepper, limits: Limits) -> NBest:
        options = self.options
        if options.sample:
            return sample(stepper, source, limits, options)
        if options.greedy:
            return [[best] for best in greedy_search(stepper, source, limits)]
        if options.n_best > 1:  # different tokens may spell one text: search for spare hypotheses
            options = replace(options, n_best=options.beam_size)
        return beam_search(stepper, source, limits, options)

    def _translations(
        self, batch: NBest, sources: list[list[int]], sentences: Sequence[str], prefixes: Prefixes
    ) -> list[Translation]:
        """Turn each sentence's hypotheses into text, all of a batch in one call."""
        refuse_infinite_score(sum(beam[0].score if beam else math.nan for beam in batch))
        texts = iter(self._texts(batch, prefixes))
        n_best: list[dict[str, Hypothesis]] = []
        for beam in batch:
            distinct: dict[str, Hypothesis] = {}
            for hypothesis in beam:
                distinct.setdefault(next(texts), hypothesis)
            n_best.append(dict(itertools.islice(distinct.items(), self.options.n_best)))
        targets = [
            (row, text, hypothesis.tokens)
            for row, best in enumerate(n_best)
            for text, hypothesis in best.items()
        ]
        links = self._links(targets, sources, sentences, prefixes)
        translations = []
        for beam, best in zip(batch, n_best, strict=True):
            candidates = [
                Candidate(text, each.score, each.tokens, each.rank_score, next(links))
                for text, each in best.items()
            ]
            problem = None
            if beam[0].cut:
                problem = f"translation was cut at {counted(len(beam[0].tokens), 'token')}"
            first = candidates[0]
            translations.append(Translation(first.text, first.score, candidates, problem))
        return translations

    def _texts(self, batch: NBest, prefixes: Prefixes) -> list[str]:
        """Return the text of every hypothesis, sentence by sentence."""
        target = self.tokenizer.target
        if prefixes is None:
            return target.decode([hypothesis.tokens for beam in batch for hypothesis in beam])
        return [
            completed(prefix, hypothesis.tokens, target)
            for prefix, beam in zip(prefixes, batch, strict=True)
            for hypothesis in beam
        ]

    @torch.inference_mode()
    def _links(
        self,
        translations: list[tuple[int, str, list[int]]],
        sources: list[list[int]],
        sentences: Sequence[str],
        prefixes: Prefixes,
    ) -> Iterator[Links | None]:
        """Align translations by the attention of a second, forced pass.

        Args:
            translations: row of the sentence, text and token ids of each.
            sources: see `__call__`.
            sentences: see `__call__`.
            prefixes: see `__call__`.
        """
        if not self.options.alignments:
            yield from [None] * len(translations)
            return
        read, write = self.tokenizer.source, self.tokenizer.target
        for start in range(0, len(translations), len(sources)):
            batch = translations[start : start + len(sources)]
            reads = pad([sources[row] for row, _, _ in batch], self.device)
            targets = [[write.bos_id, *write.input_ids(ids)] for _, _, ids in batch]
            writes = pad(targets, self.device)
            with arithmetic(self.precision, self.device):
                attention = forced_attention(self.stepper, reads, writes)
            for weights, (row, text, ids) in zip(attention.cpu(), batch, strict=True):
                words = read.spelled_words(sentences[row])[: len(sources[row]) - 1]
                prefix = None if prefixes is None else prefixes[row]
                yield word_links(weights, words, self._words(text, ids, prefix))

    def _words(self, text: str, ids: list[int], prefix: Prefix | None) -> list[int]:
        """Return the word of a translation that each token belongs to; empty without words."""
        if not text.strip():
            return []
        target = self.tokenizer.target
        return completed_words(prefix, ids, target) if prefix else target.decoded_words(ids)
