"""One batch of sentences from token ids to translations, whatever the machine can hold."""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from nmt.config import SearchOptions
from nmt.decoding.alignment import forced_attention, word_links
from nmt.decoding.beam import beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.masked import Masked
from nmt.decoding.sampling import sample
from nmt.decoding.stepper import Hypothesis, Limits, Stepper
from nmt.errors import NmtError, counted
from nmt.inference.device import arithmetic
from nmt.inference.prefixes import Prefix, completed, completed_words, followers, prefixed
from nmt.inference.shortlist import Shortlist
from nmt.memory import is_out_of_memory
from nmt.models.batch import Padded, pad
from nmt.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Candidate:
    """One of several translations of a sentence.

    Attributes:
        text: raw text, one line.
        score: sum of log-probabilities in nats, the end token included.
        tokens: its ids, without the end token.
        alignment: (source word, target word), counted from 0; None where nobody asked.
        rank_score: what candidates are sorted by: of beam search the score with both penalties,
            else the score itself.
    """

    text: str
    score: float
    tokens: list[int]
    alignment: list[tuple[int, int]] | None = None
    rank_score: float = 0.0


@dataclass(frozen=True)
class Translation:
    """What became of one sentence.

    Attributes:
        text: the best translation.
        score: its log-probability in nats, the end token included; 0 for an empty line.
        n_best: the best candidates, distinct as text, best first.
        problem: what went wrong with this sentence; None where nothing did.
        failed: whether there is no translation because the work failed.
    """

    text: str
    score: float
    n_best: list[Candidate]
    problem: str | None = None
    failed: bool = False


@dataclass(frozen=True)
class BatchSearch:
    """Searches batches, with the same settings each.

    Attributes:
        stepper: the model.
        shortlist: searched in its place where translations have no prefix; None for none.
        tokenizer: for ends of sentences, and ids back to text.
        options: how to search.
        device: where the model is.
        precision: fp32, bf16 or int8.
    """

    stepper: Stepper
    shortlist: Shortlist | None
    tokenizer: Tokenizer
    options: SearchOptions
    device: torch.device
    precision: str

    @property
    def nothing(self) -> Candidate:
        """What stands where there is no translation."""
        return Candidate("", 0.0, [], [] if self.options.alignments else None)

    @functools.cached_property
    def _followers(self) -> torch.Tensor:
        return torch.tensor(followers(self.tokenizer.target), device=self.device)

    def __call__(
        self,
        sources: list[list[int]],
        sentences: Sequence[str],
        prefixes: Sequence[Prefix] | None = None,
    ) -> list[Translation]:
        """Translate a batch; where the machine gives in, each half of it, down to one sentence.

        Args:
            sources: token ids, the end token last.
            sentences: the raw text that they begin; its words are those of alignments.
            prefixes: how each translation begins, not empty; None where all are free. Then the
                stepper predicts all tokens.

        Raises:
            NmtError: the model gives no numbers.
        """
        try:
            found = self._search(sources, prefixes)
            return self._translations(found, sources, sentences, prefixes)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(sources) == 1:
                problem = "translation failed: out of memory"
                return [Translation("", 0.0, [self.nothing], problem, failed=True)]
        middle = len(sources) // 2
        return [
            result
            for half in (slice(None, middle), slice(middle, None))
            for result in self(sources[half], sentences[half], prefixes and prefixes[half])
        ]

    @property
    def limits(self) -> Limits:
        """Where a search over all tokens starts and where it has to end."""
        target = self.tokenizer.target
        return Limits(target.bos_id, target.eos_id, self.options.max_length_ratio)

    @torch.inference_mode()
    def _search(
        self, sources: list[list[int]], prefixes: Sequence[Prefix] | None
    ) -> list[list[Hypothesis]]:
        """Return each sentence's hypotheses, best first."""
        source = pad(sources, self.device)
        search = functools.partial(self._hypotheses, source)
        unknown = self.tokenizer.target.unk_id
        with arithmetic(self.precision, self.device):
            if prefixes is not None:
                stepper = prefixed(self.stepper, prefixes, self._followers)
                return search(Masked(stepper, unknown, forced=True), self.limits)
            if self.shortlist is not None:  # it lists no unknown token
                return self.shortlist.search(search, self.limits)
            return search(Masked(self.stepper, unknown), self.limits)

    def _hypotheses(
        self, source: Padded, stepper: Stepper, limits: Limits
    ) -> list[list[Hypothesis]]:
        options = self.options
        if options.sample:
            return sample(stepper, source, limits, options)
        if options.greedy:
            return [[best] for best in greedy_search(stepper, source, limits)]
        if options.n_best > 1:  # different tokens may spell one text: search for spare ones
            options = replace(options, n_best=options.beam_size)
        return beam_search(stepper, source, limits, options)

    def _translations(
        self,
        found: list[list[Hypothesis]],
        sources: list[list[int]],
        sentences: Sequence[str],
        prefixes: Sequence[Prefix] | None,
    ) -> list[Translation]:
        """Turn each sentence's hypotheses into text, all of a batch in one call."""
        if any(not some or not math.isfinite(some[0].score) for some in found):
            raise NmtError(
                "the model gives no finite probability: its weights are damaged, or its training "
                "diverged"
            )
        texts = iter(self._texts(found, prefixes))
        kept: list[dict[str, Hypothesis]] = []
        for hypotheses in found:
            distinct: dict[str, Hypothesis] = {}
            for hypothesis in hypotheses:
                distinct.setdefault(next(texts), hypothesis)
            kept.append(dict(itertools.islice(distinct.items(), self.options.n_best)))
        written = [
            (row, text, one.tokens) for row, some in enumerate(kept) for text, one in some.items()
        ]
        links = self._links(written, sources, sentences, prefixes)
        translations = []
        for hypotheses, some in zip(found, kept, strict=True):
            candidates = [
                Candidate(
                    *(text, one.score, one.tokens, next(links)),
                    one.score if one.rank_score is None else one.rank_score,
                )
                for text, one in some.items()
            ]
            best, first = hypotheses[0], candidates[0]
            cut = (
                f"translation was cut at {counted(len(best.tokens), 'token')}" if best.cut else None
            )
            translations.append(Translation(first.text, first.score, candidates, cut))
        return translations

    def _texts(self, found: list[list[Hypothesis]], prefixes: Sequence[Prefix] | None) -> list[str]:
        """Return the text of every hypothesis, one sentence after the other."""
        target = self.tokenizer.target
        if prefixes is None:
            return target.decode([one.tokens for some in found for one in some])
        return [
            completed(prefix, one.tokens, target)
            for prefix, some in zip(prefixes, found, strict=True)
            for one in some
        ]

    @torch.inference_mode()
    def _links(
        self,
        written: list[tuple[int, str, list[int]]],
        sources: list[list[int]],
        sentences: Sequence[str],
        prefixes: Sequence[Prefix] | None,
    ) -> Iterator[list[tuple[int, int]] | None]:
        """Align translations by the attention of writing them again.

        Args:
            written: of each its sentence's number, its text and its token ids.
            sources: see `__call__`, as for the others.
            sentences: raw text.
            prefixes: or None.
        """
        if not self.options.alignments:
            yield from [None] * len(written)
            return
        read, write = self.tokenizer.source, self.tokenizer.target
        for start in range(0, len(written), len(sources)):
            batch = written[start : start + len(sources)]
            reads = pad([sources[row] for row, _, _ in batch], self.device)
            targets = [[write.bos_id, *write.input_ids(ids)] for _, _, ids in batch]
            writes = pad(targets, self.device)
            with arithmetic(self.precision, self.device):
                attention = forced_attention(self.stepper, reads, writes)
            for looked, (row, text, ids) in zip(attention.cpu(), batch, strict=True):
                words = read.spelled_words(sentences[row])[: len(sources[row]) - 1]
                prefix = None if prefixes is None else prefixes[row]
                yield word_links(looked, words, self._words(text, ids, prefix))

    def _words(self, text: str, ids: list[int], prefix: Prefix | None) -> list[int]:
        """Return which word of a translation each token belongs to; none where it has no words."""
        if not text.strip():
            return []
        target = self.tokenizer.target
        return completed_words(prefix, ids, target) if prefix else target.decoded_words(ids)
