"""Training pairs as token ids: encoded once, kept in Arrow, memory-mapped."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.errors import DataError
from nmt.storage import atomic_folder
from nmt.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    import datasets

_FORMAT = 1
_CHUNK = 10_000
_PAIRS, _FACTS = "pairs.arrow", "facts.json"

Pairs = Callable[[], Iterable[tuple[str, str]]]
"""Gives the (source, target) raw texts; called once for each pass over them."""


@dataclass(frozen=True)
class Facts:
    """What became of the raw pairs.

    Attributes:
        fingerprint: SHA-256 of the raw text, in hexadecimal.
        pairs: raw pairs.
        kept: pairs to train on.
        empty: pairs left out because a side has no token.
        too_long: pairs left out because a side is longer than `data.max_length`.
        source_tokens: tokens kept, end tokens included.
        target_tokens: the same of the target.
    """

    fingerprint: str
    pairs: int
    kept: int
    empty: int
    too_long: int
    source_tokens: int
    target_tokens: int

    def __str__(self) -> str:
        return (
            f"{self.pairs:,} pairs, {self.kept:,} kept; left out: {self.empty:,} with an empty "
            f"side, {self.too_long:,} too long; {self.source_tokens:,} source and "
            f"{self.target_tokens:,} target tokens"
        )


class EncodedPairs:
    """Pairs of token ids on disk, without start and end tokens.

    Attributes:
        facts: what was encoded.
        source_lengths: tokens of each source with its end token, `(pairs,)`.
        target_lengths: the same of each target.
    """

    def __init__(self, folder: Path):
        import datasets
        import pyarrow.compute as arrow

        self._folder = folder
        self.facts = Facts(**json.loads((folder / _FACTS).read_text()))
        self._table: datasets.Dataset = datasets.Dataset.from_file(str(folder / _PAIRS))

        def lengths(column: str) -> NDArray[np.int32]:
            counted = arrow.list_value_length(self._table.data.column(column))
            return np.asarray(counted.to_numpy()).astype(np.int32) + 1

        self.source_lengths = lengths("source")
        self.target_lengths = lengths("target")

    def __reduce__(self) -> tuple[type[EncodedPairs], tuple[Path]]:
        return EncodedPairs, (self._folder,)

    def __getitem__(self, indices: NDArray[np.int64]) -> tuple[list[list[int]], list[list[int]]]:
        """Return the sources and the targets of the given pairs."""
        rows = self._table[indices]
        return rows["source"], rows["target"]


def encode_pairs(
    pairs: Pairs, tokenizer: Tokenizer, *, max_length: int, cache: Path
) -> EncodedPairs:
    """Encode a training split, or find it encoded already.

    Args:
        pairs: gives the raw pairs; called twice where the cache has nothing.
        tokenizer: turns them into ids.
        max_length: longest side to keep, in tokens without the end token.
        cache: folder of encoded corpora, made where it is missing.

    Raises:
        DataError: no pair is left to train on, or the cache cannot be written.
    """
    fingerprint = text_fingerprint(pairs())
    key = hashlib.sha256(f"{_FORMAT} {fingerprint} {max_length}".encode())
    for vocabulary in (tokenizer.source, tokenizer.target):
        key.update(hashlib.sha256(vocabulary.model).digest())
    folder = cache / key.hexdigest()[:32]
    try:
        return EncodedPairs(folder)
    except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged
        try:
            with atomic_folder(folder) as temporary:
                _write(temporary, pairs(), tokenizer, max_length, fingerprint)
        except OSError as error:
            raise DataError(
                f"cannot write the encoded corpus to {folder}: {error.strerror}; "
                "choose another folder with --data.cache"
            ) from None
    return EncodedPairs(folder)


def cache_folder(configured: str | None) -> Path:
    """Return where encoded corpora are kept: `data.cache`, or the user's cache folder."""
    if configured is not None:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"


def text_fingerprint(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 of raw pairs, in hexadecimal."""
    digest = hashlib.sha256()
    for source, target in pairs:
        # A sentence holds no line feed, so no two corpora give the same bytes.
        digest.update(f"{source}\n{target}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _write(
    folder: Path,
    pairs: Iterable[tuple[str, str]],
    tokenizer: Tokenizer,
    max_length: int,
    fingerprint: str,
) -> None:
    import pyarrow as arrow

    ids = arrow.list_(arrow.int32())
    schema = arrow.schema({"source": ids, "target": ids})
    seen = kept = empty = source_tokens = target_tokens = 0
    with arrow.ipc.new_stream(str(folder / _PAIRS), schema) as stream:
        for chunk in _chunks(pairs):
            sources = tokenizer.source.encode([source for source, _ in chunk])
            targets = tokenizer.target.encode([target for _, target in chunk])
            whole = [pair for pair in zip(sources, targets, strict=True) if all(pair)]
            short = [pair for pair in whole if max(map(len, pair)) <= max_length]
            seen += len(chunk)
            empty += len(chunk) - len(whole)
            kept += len(short)
            source_tokens += sum(len(source) + 1 for source, _ in short)
            target_tokens += sum(len(target) + 1 for _, target in short)
            columns = [[source for source, _ in short], [target for _, target in short]]
            stream.write_batch(arrow.record_batch(columns, schema=schema))
    if kept == 0:
        raise DataError(
            f"no pair of the training split is left of {seen:,}: {empty:,} have an empty side and "
            f"{seen - empty:,} are longer than data.max_length {max_length} tokens"
        )
    facts = Facts(fingerprint, seen, kept, empty, seen - empty - kept, source_tokens, target_tokens)
    (folder / _FACTS).write_text(json.dumps(asdict(facts), indent=2))


def _chunks(pairs: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    iterator = iter(pairs)
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield chunk
