"""The blocks of a report, independent of their output as a page or in a terminal."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nmt.diagnosis.records import Verdict

if TYPE_CHECKING:  # matplotlib takes a while to import
    from matplotlib.axes import Axes

Mark = Literal["", "insert", "delete"]
Draw = Callable[["Axes"], None]
Span = tuple[Mark, str]
"""A part of a sentence; marked if only this sentence has it, or only the one compared."""


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of text; columns hold numbers unless `words` contains their index."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[int] = (0,)
    title: str = ""
    languages: Mapping[int, str] = field(default_factory=dict)
    """Language tags of the columns that hold sentences."""


@dataclass(frozen=True)
class Figure:
    """A plot, drawn on demand."""

    name: str
    """Of its files, without the ending; unique in the report."""
    title: str
    draw: Draw
    size: tuple[float, float] = (4.2, 2.7)
    """Width and height in inches."""


@dataclass(frozen=True)
class Sentences:
    """Versions of one sentence below each other, each with a label; the source comes first."""

    lines: Sequence[tuple[str, Sequence[Span]]]
    languages: tuple[str, str] | None = None
    """Language tags of the source and of the other versions."""


@dataclass(frozen=True)
class Code:
    """Preformatted text; too long for a terminal."""

    text: str


@dataclass(frozen=True)
class Details:
    """Blocks under a title, collapsed until a reader opens them."""

    title: str
    blocks: Sequence["Block"]


Block = Paragraph | Verdict | Table | Figure | Sentences | Code | Details


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A report: its title and its sections."""

    title: str
    sections: Sequence[Section]

    def figures(self) -> list[Figure]:
        """Return every figure, also those in details."""
        return [figure for section in self.sections for figure in _figures(section.blocks)]


def printable(text: str) -> str:
    """Replace control characters, line breaks among them, and lone surrogates by U+FFFD."""
    odd = ("Cc", "Cs")
    return "".join("\ufffd" if unicodedata.category(char) in odd else char for char in text)


def file_name(*words: object) -> str:
    """Make the name of a figure's files."""
    return "-".join(re.sub(r"[^\w.]+", "-", str(word)).strip("-.") for word in words)


def _figures(blocks: Sequence[Block]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Details):
            yield from _figures(block.blocks)
