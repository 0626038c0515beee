"""The blocks of a report in the terminal; of figures, only their tables."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from nmt.report.blocks import (
    Block,
    Code,
    Figure,
    Finding,
    Fold,
    Numbers,
    Paragraph,
    Report,
    Sentences,
    Span,
    Table,
    printable,
)

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.table import Table as Grid

_FOLDED = 24
_MARKS = {"insert": "{{+{}+}}", "delete": "[-{}-]"}
_COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}


def print_report(report: Report) -> None:
    """Print a report, section by section."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(report.title, style="bold"), end="\n\n")
    for section in report.sections:
        console.print(Text(section.title, style="bold underline"))
        print_blocks(console, section.blocks)


def print_blocks(console: "Console", blocks: Sequence[Block]) -> None:
    """Print blocks with a blank line after each; all text as it is, whatever it holds."""
    from rich.text import Text

    for block in blocks:
        shown: RenderableType
        width = None
        match block:
            case Figure() | Code():
                continue
            case Fold(title, inner):
                if any(not isinstance(one, Figure | Code) for one in inner):
                    console.print(Text(title, style="italic"))
                    print_blocks(console, inner)
                continue
            case Paragraph(text):
                shown = Text(printable(text))
            case Finding(level, text):
                shown = Text.assemble((f"{level}: ", _COLOURS[level]), printable(text))
            case Numbers(items):
                shown = _word_table((name, f"{value}  {note}") for name, value, note in items)
            case Sentences(lines):
                shown = _word_table((label, _marked(spans)) for label, spans in lines)
            case Table():
                shown = _table(block)
                width = max(console.width, _least_width(block))  # nothing is cut off
        console.print(shown, width=width, crop=False)
        console.print()


def _word_table(rows: Iterable[tuple[str, str]]) -> "Grid":
    """Return words, and beside them text that may be longer than a line."""
    from rich.table import Table as Grid
    from rich.text import Text

    table = Grid.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(name, Text(text))
    return table


def _table(table: Table) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for number, (column, least) in enumerate(zip(table.columns, _widths(table), strict=True)):
        justify: JustifyMethod = "left" if number in table.words else "right"
        grid.add_column(Text(column), justify=justify, min_width=least, overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    return Group(Text(table.title, style="dim"), grid) if table.title else grid


def _widths(table: Table) -> list[int]:
    """Return how narrow each column may be: numbers stay on one line, text breaks at spaces."""
    widths = []
    for number, column in enumerate(zip(table.columns, *table.rows, strict=True)):
        widest = max(map(len, column))
        longest_word = max(len(word) for text in column for word in (text or " ").split(" "))
        folded = max(_FOLDED, longest_word)
        widths.append(min(widest, folded) if number in table.words else widest)
    return widths


def _least_width(table: Table) -> int:
    return sum(width + 2 for width in _widths(table))


def _marked(spans: Sequence[Span]) -> str:
    """Mark words as wdiff does, for terminals and files alike."""
    return "".join(_MARKS.get(mark, "{}").format(printable(text)) for mark, text in spans)
