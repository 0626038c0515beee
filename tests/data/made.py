"""Corpora that are lists of pairs, and what is encoded of them."""

from pathlib import Path

from nmt.config import Config, parse_config
from nmt.data.cache import encode_pairs
from nmt.data.corpus import Corpus
from nmt.data.encoded import EncodedPairs
from nmt.data.scan import scan_corpus
from nmt.text.tokenizer import Tokenizer

Pairs = list[tuple[str, str]]


def made_corpus(train: Pairs, **held_out: Pairs) -> Corpus:
    """A corpus of splits that are given as pairs."""
    splits = {"train": train, **held_out}
    return Corpus("made", {name: name for name in splits}, lambda name: iter(splits[name]))


def made_config(cache: Path, *words: str) -> Config:
    """The defaults, with a cache and overrides."""
    text = f"data: {{source_language: de, target_language: en, cache: '{cache}'}}"
    return parse_config(text, words)


def encode(
    corpus: Corpus | Pairs,
    tokenizer: Tokenizer,
    cache: Path,
    *words: str,
    workers: int | None = None,
) -> EncodedPairs:
    """Scan and encode a corpus, or training pairs, with overrides of the config."""
    corpus = corpus if isinstance(corpus, Corpus) else made_corpus(corpus)
    config = made_config(cache, *words)
    return encode_pairs(config, corpus, scan_corpus(corpus), tokenizer, workers=workers)
