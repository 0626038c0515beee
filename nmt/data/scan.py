"""The first pass over a corpus: its size, its fingerprint and its held-out splits."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from nmt.data.chunks import Chunk, chunked, show_progress
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus


@dataclass(frozen=True)
class CorpusScan:
    """Size, fingerprint and held-out splits of a corpus, needed before encoding.

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


def scan_corpus(corpus: Corpus) -> CorpusScan:
    """Read every split once: the training split as a stream, the others into memory.

    Raises:
        DataError: the data is invalid.
    """
    held_out = {name: list(corpus.pairs(name)) for name in corpus.splits if name != "train"}
    digest = hashlib.sha256()
    parts = corpus.parts("train")
    sizes = [_digest(digest, show_progress(chunked(part), "reading")) for part in parts]
    return CorpusScan(digest.hexdigest(), tuple(sizes), held_out)


def text_fingerprint(pairs: Iterable[Pair]) -> str:
    """Return the SHA-256 of raw pairs, in hexadecimal."""
    digest = hashlib.sha256()
    _digest(digest, chunked(pairs))
    return digest.hexdigest()


def _digest(digest: "hashlib._Hash", chunks: Iterable[Chunk]) -> int:
    """Add raw pairs to a digest, and count them."""
    size = 0
    for chunk in chunks:
        # A sentence holds no line feed, so no two corpora give the same bytes.
        text = "".join(f"{source}\n{target}\n" for source, target in chunk)
        digest.update(text.encode("utf-8", "surrogatepass"))
        size += len(chunk)
    return size
