"""Translates raw text to raw text, for files, Python, validation and servers alike."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nmt.config import Config, SearchOptions
from nmt.config.options import BatchSize, refuse_unused
from nmt.config.values import field_types, read_value, refuse_unknown
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.forced import forced_log_probs
from nmt.decoding.stepper import Stepper
from nmt.errors import NmtError, UsageError, counted
from nmt.inference.device import arithmetic
from nmt.inference.loading import load_models
from nmt.inference.prefixes import Prefix, encode_prefixes, refusals
from nmt.inference.search import BatchSearch, Translation, refuse_infinite_score
from nmt.inference.shortlist import Shortlist, shortlist
from nmt.inference.texts import read_texts
from nmt.inference.threads import by_row, num_workers, side_by_side
from nmt.log import ProgressBar, log
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from nmt.text.lines import is_blank
from nmt.text.tokenizer import Tokenizer

CHUNK = 4000
"""Sentences translated together, so that similar lengths share a batch."""
_LEAST_BATCH = 16
_MOST_ROWS = 8192  # bound on sentences × hypotheses, for memory
_GREEDY = 2  # times as many sentences in a batch of greedy search, whose steps are light
_USUAL_LENGTH = 50  # tokens; a batch of longer sentences holds fewer sentences


class Translator:
    """Translates and scores raw text with one model or an ensemble.

    Args:
        stepper: the model, or an ensemble.
        tokenizer: text to ids and back.
        config: of the model; its `decoding` section has the defaults of the search.
        device: of the model.
        precision: fp32, bf16 or int8.
        models: the stepper's networks, needed for a shortlist.
    """

    def __init__(
        self,
        stepper: Stepper,
        tokenizer: Tokenizer,
        config: Config,
        *,
        device: torch.device | None = None,
        precision: str = "fp32",
        models: Sequence[Seq2Seq] = (),
    ):
        self.stepper = stepper
        self.tokenizer = tokenizer
        self.config = config
        self.device = device or torch.device("cpu")
        self.precision = precision
        self.models = models
        self._listed: tuple[int, Shortlist] | None = None
        decoding = asdict(config.decoding)
        if not stepper.attends:
            decoding["coverage_penalty"] = 0.0
        if not models:
            decoding["shortlist"] = None
        self.defaults = SearchOptions(**decoding)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        ensemble: str | Path | Iterable[str | Path] = (),
        device: str = "auto",
        precision: str = "auto",
    ) -> "Translator":
        """Load a model or an ensemble; see `nmt.load`."""
        others = [ensemble] if isinstance(ensemble, str | Path) else list(ensemble)
        bundles, found, precision = load_models([path, *others], device, precision)
        tokenizer, config = bundles[0].tokenizer, bundles[0].config
        models = [bundle.model for bundle in bundles]
        stepper = Ensemble.of(models)
        return cls(stepper, tokenizer, config, device=found, precision=precision, models=models)

    def options(self, **settings: Any) -> SearchOptions:
        """Return the model's own search options with the given settings.

        Args:
            **settings: fields of `SearchOptions`.

        Raises:
            UsageError: an option is out of range, unused by the requested search, or unsupported by
                this model.
        """
        refuse_unknown(settings, field_types(SearchOptions))
        options = replace(self.defaults, **settings)
        refuse_unused(settings)
        if options.shortlist is not None:
            self._shortlist(options.shortlist)
        asked = [name for name in ("alignments", "coverage_penalty") if getattr(options, name)]
        if asked and not self.stepper.attends:
            raise UsageError(
                f"{asked[0]}: {getattr(options, asked[0])} needs attention in every model; leave "
                "it out"
            )
        return options

    def translate(
        self,
        sentences: Iterable[str],
        options: SearchOptions | None = None,
        *,
        prefixes: Iterable[str] | None = None,
        **settings: Any,
    ) -> list[Translation]:
        """Translate sentences, each a line of raw text.

        A translation does not depend on the other sentences.

        Args:
            sentences: raw texts in any iterable but a string; blank ones give empty translations.
            options: from `options`, in place of settings.
            prefixes: for each sentence the whole words that begin its translation, or an empty
                string. Translations with a prefix ignore the shortlist.
            **settings: fields of `SearchOptions`, such as `beam_size=12`; by default the model's.

        Raises:
            UsageError: see `options`; also both options and settings, a row that is not text, or
                unequal numbers.
        """
        sentences = read_texts("sentences", sentences)
        if options is not None and settings:
            raise UsageError(f"options and {next(iter(settings))}: give one of the two")
        options = options or self.options(**settings)
        listed = None if options.shortlist is None else self._shortlist(options.shortlist)
        search = BatchSearch(
            self.stepper, listed, self.tokenizer, options, self.device, self.precision
        )
        limit = options.max_source_length
        source = self.tokenizer.source
        encoded = source.encode(sentences)
        pairs = zip(encoded, sentences, strict=True)
        lengths = [0 if is_blank(text) else len(ids) for ids, text in pairs]
        forced = self._prefixes(sentences, prefixes)
        translations = [Translation("", 0.0, [search.empty]) for _ in sentences]
        cut_lengths = [min(length, limit) for length in lengths]
        for row, problem in refusals(forced, cut_lengths, search.limits).items():
            failed = lengths[row] > 0
            translations[row] = replace(translations[row], problem=problem, failed=failed)
        work = [row for row, each in enumerate(translations) if lengths[row] and not each.failed]
        # With few sentences every worker gets a share.
        fair = max(_LEAST_BATCH, -(-len(work) // num_workers(self.device)))
        width = max(options.beam_size, options.n_best)
        wanted = options.batch_size * (_GREEDY if options.greedy else 1)
        size = min(wanted, fair, max(1, _MOST_ROWS // width))
        free = [row for row in work if row not in forced]
        bound = [row for row in work if row in forced]
        batches = [*_batches(free, lengths, size), *_batches(bound, lengths, size)]

        def translate_rows(rows: list[int]) -> list[Translation]:
            sources = [source.input_ids(encoded[row], limit) for row in rows]
            texts = [sentences[row] for row in rows]
            prefixes = [forced[row] for row in rows] if rows[0] in forced else None
            return search(sources, texts, prefixes)

        done = side_by_side(translate_rows, batches, self.device)
        for row, result in by_row(batches, done):
            problems = []
            if source.is_unknown(encoded[row]) and not result.failed:
                problems.append(
                    "every token of the source is unknown, and its translation invented"
                )
            if len(encoded[row]) > limit:
                length = counted(len(encoded[row]), "token")
                problems.append(f"source of {length} was cut to {limit}")
            if result.problem is not None:
                problems.append(result.problem)
            translations[row] = replace(result, problem="; ".join(problems) or None)
        return translations

    def _prefixes(
        self, sentences: Sequence[str], prefixes: Iterable[str] | None
    ) -> dict[int, Prefix]:
        """Encode the prefixes, by the row of their sentence; empty ones are left out."""
        if prefixes is None:
            return {}
        prefixes = read_texts("prefixes", prefixes)
        if len(prefixes) != len(sentences):
            raise UsageError(f"prefixes: {len(prefixes)} for {counted(len(sentences), 'sentence')}")
        found = encode_prefixes(self.tokenizer.target, prefixes) if any(prefixes) else []
        return {row: prefix for row, prefix in enumerate(found) if prefix.tokens}

    def translate_all(
        self,
        sentences: Iterable[str],
        options: SearchOptions | None = None,
        *,
        progress: bool = False,
        **settings: Any,
    ) -> list[str]:
        """Translate sentences to score; every one must succeed.

        Args:
            sentences: see `translate`.
            options: from `options`, in place of settings.
            progress: show a progress bar.
            **settings: fields of `SearchOptions`.

        Raises:
            NmtError: a sentence could not be translated.
        """
        sentences = read_texts("sentences", sentences)
        done: list[Translation] = []
        with ProgressBar("sentence", len(sentences), shown=progress) as bar:
            while len(done) < len(sentences):
                chunk = sentences[len(done) : len(done) + CHUNK]
                done += self.translate(chunk, options, **settings)
                bar.advance(len(chunk))
                bar.log_pace()
        failed = [(row, each.problem) for row, each in enumerate(done, start=1) if each.failed]
        if failed:
            row, problem = failed[0]
            raise NmtError(
                f"{len(failed)} of {len(done)} sentences have no translation and cannot be "
                f"scored; sentence {row}: {problem}; try a smaller batch_size"
            )
        problems = sum(translation.problem is not None for translation in done)
        if problems:
            log.info("%d of %d sentences were cut or are unknown", problems, len(done))
        return [translation.text for translation in done]

    def score(
        self, sources: Iterable[str], targets: Iterable[str], *, batch_size: int = 64
    ) -> list[float]:
        """Return the log-probability in nats of each target, the end token included.

        These are the sums of `token_scores`.
        """
        scores = self.token_scores(sources, targets, batch_size=batch_size)
        return [sum(tokens) for tokens in scores]

    def token_scores(
        self, sources: Iterable[str], targets: Iterable[str], *, batch_size: int = 64
    ) -> list[list[float]]:
        """Return the log-probability in nats of every token of each target, the end token last.

        Args:
            sources: raw texts, in any iterable but a string.
            targets: one raw translation for each.
            batch_size: sentences scored together.

        Raises:
            UsageError: unequal numbers, or a row that is not text.
            NmtError: a probability is not finite.
        """
        sources, targets = read_texts("sources", sources), read_texts("targets", targets)
        batch_size = read_value(BatchSize, batch_size, "batch_size")
        if len(sources) != len(targets):
            raise UsageError(f"targets: {len(targets)} for {counted(len(sources), 'source')}")
        source, target = self.tokenizer.source, self.tokenizer.target
        limit = self.config.decoding.max_source_length  # as in `translate`
        encoded = source.encode(sources)
        cut = sum(len(read) > limit for read in encoded)
        if cut:
            log.info("%d of %d sources were cut to %d tokens", cut, len(encoded), limit)
        pairs = [
            (source.input_ids(read, limit), [target.bos_id, *target.input_ids(write)])
            for read, write in zip(encoded, target.encode(targets), strict=True)
        ]
        lengths = [max(len(read), len(write)) for read, write in pairs]
        batches = list(_batches(range(len(pairs)), lengths, batch_size))

        @torch.inference_mode()
        def score(rows: list[int]) -> list[list[float]]:
            reads = pad([pairs[row][0] for row in rows], self.device)
            writes = pad([pairs[row][1] for row in rows], self.device)
            with arithmetic(self.precision, self.device):
                log_probs = forced_log_probs(self.stepper, reads, writes)
            refuse_infinite_score(float(log_probs.sum()))
            scored = zip(rows, log_probs.tolist(), strict=True)
            return [tokens[: len(pairs[row][1]) - 1] for row, tokens in scored]

        scores = dict(by_row(batches, side_by_side(score, batches, self.device)))
        return [scores[row] for row in range(len(pairs))]

    def _shortlist(self, size: int) -> Shortlist:
        """Return the model restricted to the most frequent tokens; the last one is cached."""
        listed = self._listed  # other threads may replace it
        if listed is None or listed[0] != size:
            target = self.tokenizer.target
            if not self.models:
                raise UsageError(f"shortlist: {size} needs a loaded model; leave it out")
            special = {target.bos_id, target.eos_id}
            listed = size, shortlist(self.models, size, special, target.unk_id)
            self._listed = listed
        return listed[1]


def _batches(rows: Sequence[int], lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Group rows of similar length, the longest first."""
    ordered = sorted(rows, key=lambda row: -lengths[row])
    start = 0
    while start < len(ordered):
        fitting = batch_size * _USUAL_LENGTH // max(lengths[ordered[start]], _USUAL_LENGTH)
        end = start + max(1, fitting)
        yield ordered[start:end]
        start = end
