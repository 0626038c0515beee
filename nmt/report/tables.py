"""Tables of runs, and the formats of numbers and names in a report."""

import re
from collections.abc import Sequence

from nmt.evaluation.metrics import Score
from nmt.report.blocks import Table
from nmt.report.runs import Run


def run_table(
    runs: Sequence[Run],
    columns: Sequence[str],
    rows: Sequence[tuple[Run, Sequence[str]]],
    *,
    words: int = 1,
    title: str = "",
) -> Table:
    """Make a table; with several runs, its first column names the run.

    Args:
        runs: all runs of the report.
        columns: names of the other columns.
        rows: each with its run.
        words: number of the other columns, from the left, that hold words.
        title: of the table.
    """
    if len(runs) == 1:
        return Table(columns, [row for _, row in rows], range(words), title)
    named = [[run.name, *row] for run, row in rows]
    return Table(["run", *columns], named, range(words + 1), title)


def of_run(runs: Sequence[Run], run: Run, text: str) -> str:
    """Prefix a heading with the run's name if there are several runs."""
    return text if len(runs) == 1 else f"{run.name}: {text}"


def file_name(*words: object) -> str:
    """Make the name of a figure's files."""
    return "-".join(re.sub(r"[^\w.]+", "-", str(word)).strip("-.") for word in words)


def run_file_name(runs: Sequence[Run], run: Run, *words: object) -> str:
    """Make the name of a figure's files, with the run's number if there are several runs."""
    return file_name(*words) if len(runs) == 1 else file_name(runs.index(run) + 1, *words)


def with_interval(score: Score | None) -> str:
    """Format a score and its 95 % interval; a dash for None."""
    return "-" if score is None else f"{score.score:.2f} {interval(score)}"


def interval(score: Score, digits: int = 2) -> str:
    """Format the 95 % interval of a score."""
    return f"[{score.low:.{digits}f}, {score.high:.{digits}f}]"
