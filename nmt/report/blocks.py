"""What a report is made of, before it is a page or lines in a terminal."""

import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # matplotlib takes a while to import
    from matplotlib.axes import Axes

Mark = Literal["", "insert", "delete"]
Span = tuple[Mark, str]
"""A part of a sentence, and whether another sentence has it and this one not, or the reverse."""


@dataclass(frozen=True)
class Paragraph:
    """Plain words."""

    text: str


@dataclass(frozen=True)
class Finding:
    """A verdict."""

    level: Literal["good", "warning", "bad"]
    text: str


@dataclass(frozen=True)
class Numbers:
    """The few numbers that matter most: name, value, and what stands under it in small type."""

    items: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Table:
    """Rows of text; columns hold numbers unless `words` has their index."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[int] = (0,)
    title: str = ""
    languages: Mapping[int, str] = field(default_factory=dict)
    """Tags of those columns that hold sentences."""


@dataclass(frozen=True)
class Figure:
    """A plot, which is drawn when and where it is needed."""

    name: str
    """Of its files, without the ending; no other figure of the report has it."""
    title: str
    draw: Callable[["Axes"], None]
    size: tuple[float, float] = (4.2, 2.7)
    """Width and height in inches."""


@dataclass(frozen=True)
class Sentences:
    """Versions of one sentence below each other, each with a label; a source comes first."""

    lines: Sequence[tuple[str, Sequence[Span]]]
    languages: tuple[str, str] | None = None
    """Tags of the source and of the others."""


@dataclass(frozen=True)
class Code:
    """Text whose line breaks and spaces matter; too long for a terminal."""

    text: str


@dataclass(frozen=True)
class Fold:
    """More of the same, for those who open it."""

    title: str
    blocks: Sequence["Block"]


Block = Paragraph | Finding | Numbers | Table | Figure | Sentences | Code | Fold


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """All of it."""

    title: str
    sections: Sequence[Section]

    def figures(self) -> list[Figure]:
        """Return every figure, the folded ones too."""
        return [figure for section in self.sections for figure in _figures(section.blocks)]


def printable(text: str) -> str:
    """Replace what a line cannot hold: line breaks, a terminal's commands, half characters."""
    odd = ("Cc", "Cs")
    return "".join("\ufffd" if unicodedata.category(one) in odd else one for one in text)


def _figures(blocks: Sequence[Block]) -> list[Figure]:
    found: list[Figure] = []
    for block in blocks:
        if isinstance(block, Figure):
            found.append(block)
        elif isinstance(block, Fold):
            found += _figures(block.blocks)
    return found
