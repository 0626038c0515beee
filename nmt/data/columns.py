"""Finds the two columns of a table that hold the two sides of a pair.

The columns are those of `data.columns` if given, else those named by the language tags, else
`translation.TAG` (the layout of most translation sets on the hub).
"""

import contextlib
import itertools
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nmt.config import DataConfig
from nmt.errors import DataError
from nmt.text.lines import one_line

Pair = tuple[str, str]
Row = Mapping[str, object]
NamedRows = Iterator[tuple[str, Row]]
"""Rows of a table, each with its name in errors, such as `train.csv: line 7`."""
Read = Callable[[str], Iterator[Pair]]
"""Streams the pairs of one place."""
_SHOWN = 20
"""Column names that an error lists at most."""


def candidate_columns(config: DataConfig) -> list[Pair]:
    """Return pairs of (source, target) columns to look for, in order of preference."""
    if config.columns is not None:
        return [(str(config.columns.source), str(config.columns.target))]
    source, target = config.languages
    return [(source, target), (f"translation.{source}", f"translation.{target}")]


def find_columns(row: Row, config: DataConfig) -> Pair | None:
    """Return the source and target columns of a table with rows like this one; None if absent."""
    for columns in candidate_columns(config):
        with contextlib.suppress(KeyError):
            for column in columns:
                _look_up(row, column)
            return columns
    return None


def top_columns(names: Sequence[str], config: DataConfig, where: str) -> list[str]:
    """Return the columns to read: all of them, for the error message, if none match.

    Args:
        names: of all columns.
        config: languages and columns.
        where: name of the table in errors.

    Raises:
        DataError: a column to read occurs twice.
    """
    for pair in candidate_columns(config):
        tops = [[n for n in names if n == c or c.startswith(f"{n}.")] for c in pair]
        if all(tops):
            for top in tops:
                refuse_repeated(top, where)
            return list(dict.fromkeys(itertools.chain.from_iterable(tops)))
    return list(names)


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Refuse a table in which a column occurs twice, since one of the two would be ignored.

    Raises:
        DataError: with the first such name.
    """
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{where}: the column {twice[0]!r} occurs twice; rename one of them")


def read_pairs(rows: Iterable[tuple[str, Row]], config: DataConfig) -> Iterator[Pair]:
    """Yield the two sides of each row.

    Args:
        rows: each with its name in errors, such as `train.csv: line 7`.
        config: languages and columns.

    Raises:
        DataError: a column is missing, or holds something other than text.
    """
    columns = None
    for where, row in rows:
        columns = columns or find_columns(row, config)
        if columns is None:
            raise missing_columns(where, _names(row), config)
        yield _text(row, columns[0], where), _text(row, columns[1], where)


def missing_columns(
    where: str, names: Iterable[str], config: DataConfig, remedy: str = ""
) -> DataError:
    """Return the error for a table without the columns of the two sides."""
    # A corpus to translate has one side.
    pairs = [dict.fromkeys(pair) for pair in candidate_columns(config)]
    wanted = " or ".join(" and ".join(map(repr, pair)) for pair in pairs)
    return DataError(
        f"{where}: no columns {wanted}; there are {_listed(names)}; "
        "name them with data.columns.source and data.columns.target, or nmt translate's --column"
        f"{remedy}"
    )


def arrow_rows(batches: Iterable[Any], name: str) -> NamedRows:
    """Number the rows of Arrow batches for `read_pairs`; `name` is the table's name in errors."""
    done = 0
    for batch in batches:
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError:
            last = done + batch.num_rows
            raise DataError(
                f"{name} rows {done + 1} to {last} hold text that is not UTF-8"
            ) from None
        yield from ((f"{name} row {number}", row) for number, row in enumerate(rows, done + 1))
        done += len(rows)


def join_lines(pairs: Iterator[Pair]) -> Iterator[Pair]:
    """Turn every text into one line, for tables whose cells can hold line breaks."""
    return ((one_line(source), one_line(target)) for source, target in pairs)


def _look_up(row: object, column: str) -> object:
    """Return the value of a column, or of `a.b` inside column `a`.

    Raises:
        KeyError: there is none.
    """
    if isinstance(row, Mapping):
        if column in row:
            return row[column]
        head, dot, rest = column.partition(".")
        if dot and head in row:
            return None if row[head] is None else _look_up(row[head], rest)
    raise KeyError(column)


def _names(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from (f"{name}.{inner}" for inner in _names(value))
        else:
            yield name


def _listed(names: Iterable[str]) -> str:
    """Format column names; cut long names, and the list of a wide table."""
    shown = [reprlib.repr(name) for name in names]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + more


def _text(row: Row, column: str, where: str) -> str:
    try:
        value = _look_up(row, column)
    except KeyError:
        names = _listed(_names(row))
        raise DataError(f"{where}: no column {column!r}; there are {names}") from None
    if not isinstance(value, str):
        content = "is empty (null)" if value is None else f"holds {reprlib.repr(value)}"
        raise DataError(f"{where}: column {column!r} {content}, not text; leave the row out")
    # JSON can spell half a surrogate pair, which no UTF-8 file could hold.
    if re.search("[\ud800-\udfff]", value):
        raise DataError(f"{where}: column {column!r} holds {value!a}, which is not valid Unicode")
    return value
