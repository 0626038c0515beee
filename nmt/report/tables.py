"""Tables of runs, and numbers and names as the report writes them."""

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
    """Make a table whose first column names the run, where there are several.

    Args:
        runs: all runs of the report.
        columns: the others' names.
        rows: each with its run.
        words: how many of the other columns, from the left, hold words.
        title: of the table.
    """
    if len(runs) == 1:
        return Table(columns, [row for _, row in rows], range(words), title)
    named = [[run.name, *row] for run, row in rows]
    return Table(["run", *columns], named, range(words + 1), title)


def of_run(runs: Sequence[Run], run: Run, text: str) -> str:
    """Put a run's name before a heading, where there are several runs."""
    return text if len(runs) == 1 else f"{run.name}: {text}"


def file_name(*words: object) -> str:
    """Make the name of a figure's files."""
    return "-".join(re.sub(r"[^\w.]+", "-", str(word)).strip("-.") for word in words)


def run_file_name(runs: Sequence[Run], run: Run, *words: object) -> str:
    """The same, with the run's number before it where there are several."""
    return file_name(*words) if len(runs) == 1 else file_name(runs.index(run) + 1, *words)


def with_interval(score: Score | None) -> str:
    """Show a score and its 95 % interval; a dash where there is none."""
    return "-" if score is None else f"{score.score:.2f} {interval(score)}"


def interval(score: Score, digits: int = 2) -> str:
    """Show the 95 % interval of a score."""
    return f"[{score.low:.{digits}f}, {score.high:.{digits}f}]"
