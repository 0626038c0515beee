"""Learning the tokenizer from a training split, once for each text and setting."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import logging
from collections.abc import Iterator

import sentencepiece

from nmt.config import Config, TokenizerConfig
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.encoded import cache_folder, unwritable
from nmt.data.survey import Survey
from nmt.errors import BundleError
from nmt.storage import atomic_folder
from nmt.text.tokenizer import Tokenizer, load_tokenizer, size_notes, train_tokenizer

_FORMAT = 1
_log = logging.getLogger("nmt")


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
    folder = cache_folder(config.data.cache) / _key(config.tokenizer, survey)
    with contextlib.suppress(BundleError):  # not there, or damaged
        tokenizer = load_tokenizer(folder)
        return tokenizer, size_notes(config.tokenizer, tokenizer)
    sample = _Sample(corpus, survey.pairs, config.tokenizer.max_pairs)
    _log.info("learning the tokenizer from %s pairs", f"{len(sample):,}")
    learned = train_tokenizer(config.tokenizer, sample)
    try:
        with atomic_folder(folder) as temporary:
            learned[0].save(temporary)
    except OSError as error:
        raise unwritable(folder, error) from None
    return learned


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


def _key(config: TokenizerConfig, survey: Survey) -> str:
    """Return a name for all that the tokenizer depends on."""
    settings = json.dumps(dataclasses.asdict(config))
    text = f"{_FORMAT} {sentencepiece.__version__} {survey.fingerprint} {settings}"
    return f"tokenizer-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
