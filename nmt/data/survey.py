"""The first pass over a corpus: how much there is, and which text it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from nmt.data.chunks import chunked, show_progress
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus


@dataclass(frozen=True)
class Survey:
    """What has to be known of a corpus before it is encoded.

    Attributes:
        fingerprint: SHA-256 of the raw training text, in hexadecimal.
        sizes: raw pairs in each place of train.
        held_out: the raw pairs of every other split, validation and tests.
    """

    fingerprint: str
    sizes: tuple[int, ...]
    held_out: dict[str, list[Pair]]

    @property
    def pairs(self) -> int:
        """Raw training pairs."""
        return sum(self.sizes)


def survey(corpus: Corpus) -> Survey:
    """Read every split once: the training split as a stream, the others into memory.

    Raises:
        DataError: what is wrong with the data.
    """
    held_out = {name: list(corpus.pairs(name)) for name in corpus.splits if name != "train"}
    digest = hashlib.sha256()
    sizes = [
        _digest(digest, show_progress(chunked(part), "reading")) for part in corpus.parts("train")
    ]
    return Survey(digest.hexdigest(), tuple(sizes), held_out)


def text_fingerprint(pairs: Iterable[Pair]) -> str:
    """Return the SHA-256 of raw pairs, in hexadecimal."""
    digest = hashlib.sha256()
    _digest(digest, chunked(pairs))
    return digest.hexdigest()


def _digest(digest: hashlib._Hash, chunks: Iterable[list[Pair]]) -> int:
    """Add raw pairs to a digest, and count them."""
    size = 0
    for chunk in chunks:
        # A sentence holds no line feed, so no two corpora give the same bytes.
        text = "".join(f"{source}\n{target}\n" for source, target in chunk)
        digest.update(text.encode("utf-8", "surrogatepass"))
        size += len(chunk)
    return size
