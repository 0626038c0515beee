"""Tables of runs, and the formats of values and names in a report."""

from collections.abc import Sequence

from nmt.evaluation.metrics import Score
from nmt.report.blocks import Table
from nmt.report.runs import Run

RunRow = tuple[Run, Sequence[str]]
"""A row of a table, with the run that it is of."""


def run_table(
    columns: Sequence[str], rows: Sequence[RunRow], *, words: int = 1, title: str = ""
) -> Table:
    """Make a table; with several runs in the report, its first column names the run.

    Args:
        columns: names of the other columns.
        rows: see `RunRow`.
        words: number of the other columns, from the left, that hold words.
        title: of the table.
    """
    if not any(run.compared for run, _ in rows):
        return Table(columns, [row for _, row in rows], range(words), title)
    named = [[run.name, *row] for run, row in rows]
    return Table(["run", *columns], named, range(words + 1), title)


def span(first: int, last: int) -> str:
    """Format the whole numbers from `first` to `last`."""
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def score_text(score: Score | None, digits: int = 2) -> str:
    """Format a score and its 95 % interval; a dash for None."""
    if score is None:
        return "-"
    return f"{score.score:.{digits}f} [{score.low:.{digits}f}, {score.high:.{digits}f}]"
