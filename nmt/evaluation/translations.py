"""The translations behind a score, stored next to it: one JSON object per line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from nmt.reading import parse_record, read_bytes
from nmt.storage import atomic_write


@dataclass(frozen=True)
class Translations:
    """A test split's sentences, in lists of equal length."""

    sources: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]


@dataclass(frozen=True)
class _Row:
    source: str
    reference: str
    hypothesis: str


def write_translations(path: Path, translations: Translations) -> None:
    """Write translations atomically.

    Raises:
        OSError: as of `open` and `write`.
    """
    rows = zip(translations.sources, translations.references, translations.hypotheses, strict=True)
    with atomic_write(path) as stream:
        for row in rows:
            stream.write(json.dumps(vars(_Row(*row)), ensure_ascii=False).encode() + b"\n")


def read_translations(path: Path) -> Translations:
    """Read translations from a file.

    Raises:
        DataError: the file does not hold translations, naming the line.
    """
    lines = enumerate(read_bytes(path, 2**30).splitlines(), start=1)
    rows = [parse_record(line, f"{path}: line {number}", _Row) for number, line in lines]
    sides = ([getattr(row, field.name) for row in rows] for field in fields(_Row))
    return Translations(*sides)
