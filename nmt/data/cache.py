"""What is made of a corpus once and kept: tokenizer, encoded training pairs, translations."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import sentencepiece

from nmt.config import Config, DataConfig, TokenizerConfig
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.distilled import Translations
from nmt.data.encoded import EncodedPairs
from nmt.data.encoding import ChunkEncoder, write_encoded
from nmt.data.filters import Rules
from nmt.data.survey import Survey, text_fingerprint
from nmt.errors import DataError
from nmt.reading import is_sealed, seal
from nmt.storage import atomic_folder, user_cache
from nmt.text.lines import reason
from nmt.text.tokenizer import Tokenizer, load_tokenizer, size_notes, train_tokenizer

_TOKENIZER_FORMAT, _PAIRS_FORMAT, _TRANSLATIONS_FORMAT = 1, 3, 1
_log = logging.getLogger("nmt")


def cache_folder(configured: str | None) -> Path:
    """Return where they are kept: `data.cache`, or the user's cache folder."""
    if configured is not None:
        return Path(configured)
    return user_cache() / "nmt"


def learn_tokenizer(config: Config, corpus: Corpus, survey: Survey) -> tuple[Tokenizer, list[str]]:
    """Learn the tokenizer that a config asks for, or find it learned already.

    Args:
        config: its `tokenizer` section, and where the cache is.
        corpus: where the raw pairs come from.
        survey: of this corpus.

    Returns:
        As of `train_tokenizer`.

    Raises:
        BundleError: a ready-made one is missing or damaged.
        ConfigError: the vocabulary size cannot hold the corpus's characters.
        DataError: no text to learn from, or the cache cannot be written.
    """
    if config.tokenizer.path is not None:
        return train_tokenizer(config.tokenizer, ())
    folder = cache_folder(config.data.cache) / _tokenizer_key(config.tokenizer, survey)
    if is_sealed(folder):
        tokenizer = load_tokenizer(folder)
        return tokenizer, size_notes(config.tokenizer, tokenizer)
    sample = _Sample(corpus, survey.pairs, config.tokenizer.max_pairs)
    _log.info("learning the tokenizer from %s pairs", f"{len(sample):,}")
    learned = train_tokenizer(config.tokenizer, sample)
    with _new_folder(folder) as temporary:
        learned[0].save(temporary)
    return learned


def encode_pairs(
    config: Config,
    corpus: Corpus,
    survey: Survey,
    tokenizer: Tokenizer,
    *,
    workers: int | None = None,
) -> EncodedPairs:
    """Encode a training split, or find it encoded already, and filter it.

    Args:
        config: its `data` section, and what fits into a micro-batch.
        corpus: where the raw pairs come from; read once where the cache has nothing.
        survey: of this corpus.
        tokenizer: turns texts into ids.
        workers: processes that encode a large corpus; by default one for each processor.

    Raises:
        DataError: no pair is left to train on, or the cache cannot be written.
        NmtError: a worker process died.
    """
    folder = cache_folder(config.data.cache) / _pairs_key(survey, tokenizer)
    weights = None
    if set(corpus.weights) != {1.0}:
        weights = tuple(zip(survey.sizes, corpus.weights, strict=True))
    rules = Rules.of(config)
    if is_sealed(folder):
        return EncodedPairs(folder, rules, weights)
    _log.info("encoding %s pairs", f"{survey.pairs:,}")
    pairs = itertools.chain.from_iterable(corpus.parts("train"))
    encoder = ChunkEncoder(tokenizer, survey.held_out)
    with _new_folder(folder) as temporary:
        write_encoded(temporary, pairs, survey, encoder, workers or os.cpu_count() or 1)
    return EncodedPairs(folder, rules, weights)


def find_translations(config: DataConfig, survey: Survey, teachers: Sequence[str]) -> Translations:
    """Return a teacher's translations of a training split, as far as they are made.

    Args:
        config: its `distill` section, and where the cache is.
        survey: of the references.
        teachers: what stands for each model and its own settings of the search, such as a hash.
    """
    settings = config.distill.n_best, config.distill.beam_size
    key = _digest(_TRANSLATIONS_FORMAT, survey.fingerprint, *settings, *teachers)
    return Translations(cache_folder(config.cache) / f"translations-{key}", survey.pairs)


class _Sample:
    """Every n-th training pair, to iterate over again and again: at most `limit` of `pairs`."""

    def __init__(self, corpus: Corpus, pairs: int, limit: int):
        self._corpus = corpus
        self._step = max(1, -(-pairs // limit))
        self._pairs = pairs

    def __len__(self) -> int:
        return -(-self._pairs // self._step)

    def __iter__(self) -> Iterator[Pair]:
        return itertools.islice(self._corpus.pairs("train"), 0, None, self._step)


def _tokenizer_key(config: TokenizerConfig, survey: Survey) -> str:
    """Return a name for all that the tokenizer depends on."""
    settings = json.dumps(dataclasses.asdict(config))
    parts = [_TOKENIZER_FORMAT, sentencepiece.__version__, survey.fingerprint, settings]
    return f"tokenizer-{_digest(*parts)}"


def _pairs_key(survey: Survey, tokenizer: Tokenizer) -> str:
    """Return a name for all that the encoded pairs depend on; filters choose among them later."""
    held_out = [
        part
        for name, pairs in sorted(survey.held_out.items())
        for part in (name, text_fingerprint(pairs))
    ]
    return f"pairs-{_digest(_PAIRS_FORMAT, survey.fingerprint, tokenizer.fingerprint, *held_out)}"


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:32]


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Make a folder of the cache, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    try:
        with atomic_folder(folder) as temporary:
            yield temporary
            seal(temporary)
    except OSError as error:
        raise DataError(
            f"cannot write the encoded corpus to {folder}: {reason(error)}; "
            "choose another folder with --data.cache"
        ) from None
