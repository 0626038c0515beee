"""Prints the blocks of a report in the terminal, without figures."""

import textwrap
from collections.abc import Sequence

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from nmt.diagnosis.records import Verdict
from nmt.report.blocks import (
    Block,
    Code,
    Details,
    Figure,
    Paragraph,
    Report,
    Sentences,
    Span,
    Table,
    printable,
)

_FOLDED = 24
_MARKS = {"insert": "{{+{}+}}", "delete": "[-{}-]"}
_COLOURS = {"good": "green", "warning": "yellow", "bad": "red"}


def print_report(report: Report) -> None:
    """Print a report, section by section."""
    console = Console(highlight=False)
    console.print(Text(report.title, style="bold"), end="\n\n")
    for section in report.sections:
        console.print(Text(section.title, style="bold underline"))
        print_blocks(console, section.blocks)


def print_blocks(console: Console, blocks: Sequence[Block]) -> None:
    """Print blocks with a blank line after each; their text is never read as markup."""
    for block in blocks:
        shown: RenderableType
        match block:
            case Figure() | Code():
                continue
            case Details(title, inner):
                if any(not isinstance(block, Figure | Code) for block in inner):
                    console.print(Text(title, style="italic"))
                    print_blocks(console, inner)
                continue
            case Paragraph(text):
                shown = Text(printable(text))
            case Verdict(level, text):
                shown = Text.assemble((f"{level}: ", _COLOURS[level]), printable(text))
            case Sentences(lines, _):
                shown = versions = Grid.grid(padding=(0, 2, 0, 0))
                versions.add_column(style="bold", no_wrap=True)
                versions.add_column()
                for label, spans in lines:
                    versions.add_row(Text(printable(label)), Text(_marked(spans)))
            case Table(title=title):
                parts = [_grid(block, columns) for columns in _parts(block, console.width)]
                shown = Group(*([Text(title, style="dim")] if title else []), *parts)
        console.print(shown, crop=False)
        console.print()


def _grid(table: Table, columns: Sequence[int]) -> RenderableType:
    """Lay out some of a table's columns."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    widths = _widths(table)
    for column in columns:
        justify: JustifyMethod = "left" if column in table.words else "right"
        name = Text(table.columns[column])
        grid.add_column(name, justify=justify, min_width=widths[column])
    for row in table.rows:
        grid.add_row(*(Text(_broken(row[column]), overflow="fold") for column in columns))
    return grid


def _broken(cell: str) -> str:
    """Break a sacreBLEU signature between its fields."""
    if "|" not in cell or " " in cell:
        return printable(cell)
    return "\n".join(textwrap.wrap(printable(cell).replace("|", "| "), 56)).replace("| ", "|")


def _parts(table: Table, width: int) -> list[list[int]]:
    """Divide the columns into tables that fit into a width; each repeats the columns of words."""
    widths = [least + 2 for least in _widths(table)]
    words = [column for column in range(len(widths)) if column in table.words]
    parts = [words]
    for column in sorted({*range(len(widths))} - {*words}):
        used = sum(widths[other] for other in parts[-1])
        if parts[-1] != words and used + widths[column] > width:
            parts.append(words)
        parts[-1] = sorted([*parts[-1], column])
    return parts


def _widths(table: Table) -> list[int]:
    """Return the minimum width of each column: numbers stay on one line, text wraps."""
    columns = enumerate(zip(table.columns, *table.rows, strict=True))
    widest = {number: max(map(len, column)) for number, column in columns}
    return [min(w, _FOLDED) if number in table.words else w for number, w in widest.items()]


def _marked(spans: Sequence[Span]) -> str:
    """Mark words as wdiff does, for terminals and files alike."""
    return "".join(_MARKS.get(mark, "{}").format(printable(text)) for mark, text in spans)
