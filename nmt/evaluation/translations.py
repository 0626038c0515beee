"""The translations behind a score, kept beside it: one JSON object a line."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.errors import DataError
from nmt.reading import parse_json, read_bytes
from nmt.storage import atomic_write


@dataclass(frozen=True)
class Translations:
    """A test split's sentences, as long as each other."""

    sources: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]


def write_translations(path: Path, translations: Translations) -> None:
    """Write them, whole or not at all.

    Raises:
        OSError: as of `open` and `write`.
    """
    rows = zip(translations.sources, translations.references, translations.hypotheses, strict=True)
    with atomic_write(path) as stream:
        for source, reference, hypothesis in rows:
            row = {"source": source, "reference": reference, "hypothesis": hypothesis}
            stream.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def read_translations(path: Path) -> Translations:
    """Read them back.

    Raises:
        DataError: the file does not hold translations, naming the line.
    """
    sides: tuple[list[str], ...] = ([], [], [])
    for number, line in enumerate(read_bytes(path, 2**30).splitlines(), start=1):
        try:
            row = parse_json(line, "line")
            for side, key in zip(sides, ("source", "reference", "hypothesis"), strict=True):
                side.append(_text(row[key]))
        except (DataError, KeyError, TypeError) as error:
            raise DataError(f"{path}: line {number} is no translation: {error!r}") from None
    return Translations(*sides)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value
