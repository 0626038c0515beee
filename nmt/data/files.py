"""Sentence pairs from files: parallel text, or one table.

Plain text and TSV are read by the line contract (`nmt.text.lines`) and without quoting: a stray
quote stays a quote, and `NA` stays text.
"""

import csv
import dataclasses
import itertools
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.config import DataConfig
from nmt.data.columns import (
    NamedRows,
    Pair,
    arrow_rows,
    find_columns,
    join_lines,
    missing_columns,
    read_pairs,
    refuse_repeated,
    top_columns,
)
from nmt.errors import DataError, counted
from nmt.reading import parse_json
from nmt.text.lines import one_line, read_lines, reading

_PARQUET_ROWS = 4096  # unpacked at a time
_NO_HEADER = "; if the file has no header line, give their numbers: {source: 1, target: 2}"


def read_file_pairs(place: str, config: DataConfig) -> Iterator[Pair]:
    """Yield the pairs of one place.

    Args:
        place: PREFIX, standing for PREFIX.SOURCE and PREFIX.TARGET, or one file .tsv, .csv, .jsonl
            or .parquet; each may end in `.gz`.
        config: languages and columns.

    Raises:
        DataError: a file is missing, damaged or not UTF-8, the sides have unequal line counts, or a
            column is missing or holds no text.
    """
    kind = Path(place.removesuffix(".gz")).suffix
    if kind not in _TABLES:
        return _read_parallel(place, config)
    if "://" not in place and not Path(place).exists():
        raise DataError(f"there is no file {place}; {_check_splits(place)}")
    pairs = read_pairs(_TABLES[kind](place, config), config)
    return pairs if kind == ".tsv" else join_lines(pairs)


def _read_parallel(prefix: str, config: DataConfig) -> Iterator[Pair]:
    paths = [_side(prefix, tag) for tag in config.languages]
    sides = [read_lines(path) for path in paths]
    for count, (source, target) in enumerate(itertools.zip_longest(*sides)):
        if source is None or target is None:
            longer = count + 1 + sum(1 for side in sides for _ in side)
            lines = (count, longer) if source is None else (longer, count)
            raise DataError(
                f"{paths[0]} has {counted(lines[0], 'line')} but {paths[1]} has {lines[1]}; "
                "line by line, one must be the translation of the other"
            )
        yield source, target


def _side(prefix: str, tag: str) -> str:
    """Find one language's file of a prefix."""
    path = f"{prefix}.{tag}"
    for name in (path, f"{path}.gz"):
        if Path(name).exists():
            return name
    if Path(prefix).is_file():
        kinds = " ".join(_TABLES)
        raise DataError(f"{prefix} is neither a prefix of two text files nor one of {kinds}")
    siblings = Path(prefix).parent.glob("*")
    starts = [p.name.removesuffix(".gz").rpartition(".") for p in siblings]
    tags = sorted(
        {t for stem, _, t in starts if stem == Path(prefix).name and f".{t}" not in _TABLES}
    )
    remedy = f"{prefix} has the languages {', '.join(tags)}" if tags else _check_splits(path)
    raise DataError(f"there is no file {path}; {remedy}")


def _check_splits(path: str) -> str:
    """Return the remedy for a missing file."""
    if Path(path).is_absolute():
        return "check data.splits"
    return f"check data.splits, which is relative to the working folder, {Path.cwd()}"


def _tsv_rows(path: str, config: DataConfig) -> NamedRows:
    """Read a TSV, without quoting."""
    lines = enumerate(read_lines(path), start=1)
    return _table_rows(((f"{path}: line {n}", line.split("\t")) for n, line in lines), config)


def _csv_rows(path: str, config: DataConfig) -> NamedRows:
    """Read a CSV; a quoted cell may hold line breaks, which become spaces."""
    # The csv module refuses a lone carriage return, and lines without an end run together.
    reader = csv.reader((one_line(line) + "\n" for line in read_lines(path)), strict=True)
    csv.field_size_limit(2**31 - 1)  # the module's own limit is below the length of a document
    rows = ((f"{path}: line {reader.line_num}", cells) for cells in filter(None, reader))
    try:
        yield from _table_rows(rows, config)
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num} is not valid CSV: {error}") from None


def _table_rows(lines: Iterable[tuple[str, list[str]]], config: DataConfig) -> NamedRows:
    """Name the cells of a table: by its header, or by number if `data.columns` has numbers.

    Args:
        lines: the cells of each line, with the line's name in errors.
        config: languages and columns.

    Raises:
        DataError: named columns and no header or one that has a column twice, numbered columns and
            a header, or lines with unequal numbers of cells.
    """
    header: list[str] = []
    numbered = config.columns is not None and config.columns.numbered
    by_tags = dataclasses.replace(config, columns=None)
    for where, cells in lines:
        if not header:
            is_header = find_columns(dict.fromkeys(cells), by_tags if numbered else config)
            if numbered and is_header:
                raise DataError(
                    f"{where}: a header with {cells!r}, but data.columns has numbers; give names"
                )
            if not numbered and not is_header:
                raise missing_columns(where, cells, config, _NO_HEADER)
            refuse_repeated([name for name in cells if name in (is_header or ())], where)
            header = [str(number) for number in range(1, len(cells) + 1)] if numbered else cells
            if not numbered:
                continue
        if len(cells) != len(header):
            names = ", ".join(map(reprlib.repr, header))
            raise DataError(
                f"{where}: number of cells is {len(cells)}, not {len(header)} ({names})"
            )
        yield where, dict(zip(header, cells, strict=True))


def _jsonl_rows(path: str, config: DataConfig) -> NamedRows:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        yield where, parse_json(line, where)


def _parquet_rows(path: str, config: DataConfig) -> NamedRows:
    """Read a Parquet file some rows at a time.

    A `.parquet.gz` must fit into memory, unpacked: Parquet is read from its end, which gzip reaches
    only by unpacking everything before it.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        with reading(path) as stream:
            packed = path.endswith(".gz")
            table = pyarrow.parquet.ParquetFile(
                pyarrow.BufferReader(stream.read()) if packed else stream,
                # Otherwise the columns of a row group would be read whole.
                buffer_size=2**20,
                pre_buffer=False,
            )
            columns = top_columns(table.schema_arrow.names, config, path)
            batches = table.iter_batches(_PARQUET_ROWS, columns=columns)
            yield from arrow_rows(batches, f"{path}:")
    except pyarrow.ArrowException as error:
        raise DataError(f"cannot read {path}: {error}") from None


_TABLES = {".tsv": _tsv_rows, ".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
