"""The cache of a corpus: its tokenizer, its encoded training pairs, its teachers' translations."""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import sentencepiece

from nmt.config import Config, DataConfig, TokenizerConfig
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.distilled import TeacherTranslations
from nmt.data.encoded import EncodedPairs
from nmt.data.encoding import ChunkEncoder, write_encoded
from nmt.data.filters import FilterSettings
from nmt.data.scan import CorpusScan, text_fingerprint
from nmt.errors import DataError
from nmt.log import log
from nmt.reading import is_sealed, seal
from nmt.storage import atomic_folder, user_cache
from nmt.text.lines import reason
from nmt.text.tokenizer import Learned, Tokenizer, load_tokenizer, size_notes, train_tokenizer

_TOKENIZER_FORMAT, _PAIRS_FORMAT, _TRANSLATIONS_FORMAT = 2, 4, 1


def cache_folder(configured: str | None) -> Path:
    """Return the folder of the cache: `data.cache`, or `nmt` in the user's cache folder."""
    if configured is None:
        return user_cache() / "nmt"
    folder = os.path.expanduser(configured)
    if folder.startswith("~"):
        raise DataError(f"data.cache: {configured}: there is no such home folder")
    return Path(folder)


def learn_tokenizer(config: Config, corpus: Corpus, scan: CorpusScan) -> Learned:
    """Learn the tokenizer of a config, or load it from the cache.

    Args:
        config: its `tokenizer` section and `data.cache` are read.
        corpus: source of the raw pairs.
        scan: of this corpus.

    Raises:
        BundleError: a ready-made one is missing or damaged.
        ConfigError: the vocabulary size cannot hold the corpus's characters.
        DataError: no text to learn from, or the cache cannot be written.
    """
    if config.tokenizer.path is not None:
        return train_tokenizer(config.tokenizer, ())
    folder = cache_folder(config.data.cache) / _tokenizer_key(config.tokenizer, scan)
    if is_sealed(folder):
        tokenizer = load_tokenizer(folder)
        return tokenizer, size_notes(config.tokenizer, tokenizer)
    step = max(1, -(-scan.pairs // config.tokenizer.max_pairs))
    log.info("learning the tokenizer from %s pairs", f"{-(-scan.pairs // step):,}")
    learned = train_tokenizer(config.tokenizer, _Sample(corpus, step))
    with _new_folder(folder) as temporary:
        learned[0].save(temporary)
    return learned


def encode_pairs(
    config: Config,
    corpus: Corpus,
    scan: CorpusScan,
    tokenizer: Tokenizer,
    *,
    workers: int | None = None,
) -> EncodedPairs:
    """Encode a training split, or load it from the cache, and filter it.

    Args:
        config: its `data` section and `training.batch_tokens` are read.
        corpus: source of the raw pairs; read once unless the cache has them.
        scan: of this corpus.
        tokenizer: turns texts into ids.
        workers: processes that encode a large corpus; by default one for each processor that this
            one may use, such as those of a SLURM job.

    Raises:
        DataError: no pair is left to train on, or the cache cannot be written.
        NmtError: a worker process died.
    """
    folder = cache_folder(config.data.cache) / _pairs_key(scan, tokenizer)
    weights = None
    if set(corpus.weights) != {1.0}:
        weights = tuple(zip(scan.sizes, corpus.weights, strict=True))
    if not is_sealed(folder):
        log.info("encoding %s pairs", f"{scan.pairs:,}")
        pairs = itertools.chain.from_iterable(corpus.parts("train"))
        encoder, processes = ChunkEncoder(tokenizer, scan.held_out), len(os.sched_getaffinity(0))
        with _new_folder(folder) as temporary:
            write_encoded(temporary, pairs, scan.pairs, encoder, workers or processes)
    return EncodedPairs(folder, scan.fingerprint, FilterSettings.of(config), weights)


def find_translations(
    config: DataConfig, scan: CorpusScan, teachers: Sequence[str]
) -> TeacherTranslations:
    """Open a teacher's translations of a training split, complete or not.

    Args:
        config: the `data` section; its `distill` section and `cache` are read.
        scan: of the references.
        teachers: an identifier of each model and its search settings, such as a hash.
    """
    settings = config.distill.n_best, config.distill.beam_size
    key = _digest(_TRANSLATIONS_FORMAT, scan.fingerprint, *settings, *teachers)
    return TeacherTranslations(cache_folder(config.cache) / f"translations-{key}", scan.pairs)


@dataclasses.dataclass(frozen=True)
class _Sample:
    """An iterable over every `step`-th training pair."""

    corpus: Corpus
    step: int

    def __iter__(self) -> Iterator[Pair]:
        return itertools.islice(self.corpus.pairs("train"), 0, None, self.step)


def _tokenizer_key(config: TokenizerConfig, scan: CorpusScan) -> str:
    """Return a folder name that hashes everything the tokenizer depends on."""
    settings = json.dumps(dataclasses.asdict(config))
    parts = [_TOKENIZER_FORMAT, sentencepiece.__version__, scan.fingerprint, settings]
    return f"tokenizer-{_digest(*parts)}"


def _pairs_key(scan: CorpusScan, tokenizer: Tokenizer) -> str:
    """Return a folder name that hashes everything the encoded pairs depend on.

    Filters are applied later and have no part in it.
    """
    splits = sorted(scan.held_out.items())
    held_out = [f"{name} {text_fingerprint(pairs)}" for name, pairs in splits]
    return f"pairs-{_digest(_PAIRS_FORMAT, scan.fingerprint, tokenizer.fingerprint, *held_out)}"


def _digest(*parts: object) -> str:
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:32]


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Write a folder of the cache atomically.

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
