"""A corpus as blocks of lines, each translated into a file of its own, on any file system.

A file appears atomically and holds a whole block, so its presence is the only record of progress:
any worker may translate any block, and a job interrupted at any moment can be resumed.
"""

import contextlib
import io
import itertools
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import fsspec
import pyarrow.parquet
from fsspec.implementations.local import LocalFileSystem

from nmt.config import ColumnsConfig, DataConfig, SearchOptions
from nmt.data.files import read_file_pairs
from nmt.errors import DataError, NmtError, UsageError, counted, shown
from nmt.inference.file_translation import LineWriter, take
from nmt.inference.translator import Translator
from nmt.reading import parse_json
from nmt.text.lines import InvalidUtf8, open_output, read_lines, writing_to

RECORD = "job.json"
"""Identifies the job of a folder."""
_TABLES = (".jsonl", ".parquet")
_OTHER_TABLES = (".arrow", ".csv", ".json", ".tsv", ".xlsx")
_ARCHIVES = (".bz2", ".lz4", ".tar", ".xz", ".zip", ".zst")
_NUMBER, _REAL, _TEXT = pyarrow.int64(), pyarrow.float64(), pyarrow.string()
_CANDIDATE = {"text": _TEXT, "score": _REAL, "rank_score": _REAL}
_CANDIDATE["alignment"] = pyarrow.list_(pyarrow.list_(_NUMBER))
_ROW = {"line": _NUMBER, "text": _TEXT, "score": _REAL, "problem": _TEXT, "failed": pyarrow.bool_()}
_ROW["n_best"] = pyarrow.list_(pyarrow.struct(_CANDIDATE))
_STATE = ("size", "mtime", "ETag", "LastModified")  # change with a file's content
_REMEDY = "delete the input's files and continue with --resume"


class Block(NamedTuple):
    """Consecutive lines of one input.

    Attributes:
        name: of the input.
        number: of the block in its input, from 0.
        first: number of its first line in its input, from 1.
        texts: raw text.
        replaced: numbers of its lines with bytes that are not UTF-8.
    """

    name: str
    number: int
    first: int
    texts: list[str]
    replaced: frozenset[int]


@dataclass(frozen=True)
class CorpusJob:
    """The translation of a corpus, as every worker sees it.

    Attributes:
        folder: path or URL of the outputs.
        inputs: path or URL of each input, by the name of its outputs inside `folder`.
        layout: jsonl or parquet; text is parquet and, at the end, a text file for each input.
        columns: languages and columns of tables.
        block_lines: lines in a block, fewer where they are long.
        invalid_utf8: treatment of text that is not UTF-8.
    """

    folder: str
    inputs: Mapping[str, str]
    layout: Literal["text", "jsonl", "parquet"]
    columns: DataConfig
    block_lines: int
    invalid_utf8: InvalidUtf8 = "error"

    def blocks(self, name: str) -> Iterator[Block]:
        """Yield the blocks of an input; an empty input gives one empty block.

        Raises:
            DataError: it cannot be read.
        """
        place, replaced = self.inputs[name], set[int]()
        if place.removesuffix(".gz").endswith(_TABLES):
            items = read_file_pairs(place, self.columns)
        else:
            lines = read_lines(place, self.invalid_utf8, replaced.add)
            items = zip(lines, itertools.repeat(""))
        first = 1
        for number in itertools.count():
            texts = [text for text, _ in take(items, self.block_lines)]
            if number and not texts:
                return
            yield Block(name, number, first, texts, frozenset(replaced))
            replaced.clear()
            first += len(texts)

    def translate(self, block: Block, translator: Translator, options: SearchOptions) -> bool:
        """Translate a block into its file; return False if the file exists."""
        part = f"{self.folder}/{block.name}.{self._suffix}/{block.number:08}.{self._suffix}"
        file_system, path = file_system_of(part)
        if file_system.exists(path):
            return False
        writer = LineWriter(stream := io.BytesIO(), "jsonl")
        writer.lines, writer.replaced = block.first - 1, block.replaced
        writer.write((), translator.translate(block.texts, options))
        with open_place(part) as output:
            if self._suffix == "jsonl":
                output.write(stream.getvalue())
            else:
                rows = [json.loads(row) for row in stream.getvalue().split(b"\n")[:-1]]
                table = pyarrow.Table.from_pylist(rows, pyarrow.schema(_ROW))
                pyarrow.parquet.write_table(table, output)
        return True

    def finish(self, name: str, lines: int) -> tuple[int, int]:
        """Check that the files of an input hold all lines; write its text and its problems.

        Args:
            name: of the input.
            lines: number of lines of the input.

        Returns:
            Numbers of lines with problems, and of lines that failed.

        Raises:
            NmtError: a line is missing or duplicated.
        """
        output = f"{self.folder}/{name}"
        problems = failed = count = 0
        with contextlib.ExitStack() as stack:
            text = stack.enter_context(open_place(output)) if self.layout == "text" else None
            named = None
            for count, (part, row) in enumerate(self._rows(name), start=1):
                if row["line"] != count:
                    raise NmtError(f"{part}: line {row['line']} is not {count}; {_REMEDY}")
                if text is not None:
                    text.write(f"{row['text']}\n".encode())
                if (problem := row.get("problem")) is not None:
                    named = named or stack.enter_context(open_place(f"{output}.problems.tsv"))
                    named.write(f"{count}\t{problem}\n".encode())
                    problems += 1
                    failed += bool(row.get("failed"))
            if count != lines:
                raise NmtError(f"{output}: {count} of {counted(lines, 'line')}; {_REMEDY}")
        return problems, failed

    @property
    def _suffix(self) -> str:
        return "jsonl" if self.layout == "jsonl" else "parquet"

    def _rows(self, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows of an input's files, each with the name of its file."""
        file_system, path = file_system_of(f"{self.folder}/{name}.{self._suffix}")
        parts = (part for part in file_system.find(path) if part.endswith(f".{self._suffix}"))
        for part in sorted(parts):
            with file_system.open(part, "rb") as stream:
                if self._suffix == "jsonl":
                    yield from ((part, json.loads(row)) for row in stream)
                else:
                    table = pyarrow.parquet.read_table(stream, columns=[*_ROW][:-1])
                    yield from ((part, row) for row in table.to_pylist())


def find_inputs(places: Sequence[str]) -> dict[str, str]:
    """Find the files of a corpus.

    Args:
        places: paths or URLs of files and folders.

    Returns:
        Path or URL of each, by the name of its outputs: the file's name, or its path relative to
        the folder, without `.gz`, `.jsonl` and `.parquet`.

    Raises:
        DataError: a file is missing, or its format is unsupported.
        UsageError: two inputs have the same output name.
    """
    found: dict[str, str] = {}
    for place in places:
        file_system, path = file_system_of(place)
        files = sorted(file_system.find(path))  # of a file: the file itself
        if not files:
            raise DataError(f"cannot read {place}: there is no such file")
        for file in files:
            name = file[len(path) :].strip("/") or file.rpartition("/")[2]
            stem, suffix = os.path.splitext(name.removesuffix(".gz"))
            if suffix in (*_OTHER_TABLES, *_ARCHIVES):
                raise DataError(f"{file}: {suffix} is unsupported; use text, .jsonl or .parquet")
            stem += "" if suffix in _TABLES else suffix
            if stem in found:
                raise UsageError(f"{found[stem]} and {file} have one output, {stem}; rename one")
            found[stem] = file_system.unstrip_protocol(file) if "://" in place else file
    return found


def source_columns(config: DataConfig, column: str | None) -> DataConfig:
    """Return a config that reads the source column of tables as both sides of a pair.

    Args:
        config: of the model.
        column: name of the column; None for the model's own.
    """
    name = column or (config.columns and config.columns.source)
    columns = ColumnsConfig(source=name, target=name) if name else None
    return replace(config, columns=columns, target_language=config.source_language)


def job_record(job: CorpusJob, settings: Mapping[str, Any], *, resume: bool) -> bytes:
    """Check that a job may write into its folder.

    Args:
        job: the job.
        settings: everything else that the translations depend on.
        resume: continue if the folder already holds this job.

    Returns:
        The content of the job's record, to be written before the first block.

    Raises:
        UsageError: the folder holds another job, or other files.
    """
    values = {**settings, "format": job.layout, "block_lines": job.block_lines}
    for name, place in job.inputs.items():
        files, path = file_system_of(place)
        state = files.info(path).items()
        values[f"input {name}"] = {key: str(value) for key, value in state if key in _STATE}
    record = json.dumps(values, indent=2).encode()
    place = f"{job.folder}/{RECORD}"
    file_system, path = file_system_of(place)
    if not file_system.exists(path):
        if file_system.find(path.rpartition("/")[0]):
            raise UsageError(f"-o {job.folder} holds other files; choose a new or an empty folder")
        return record
    before, now = (parse_json(text, place) for text in (file_system.cat_file(path), record))
    for key in now | before:
        if now.get(key) != before.get(key):
            change = f"{key}: {shown(before.get(key))} instead of {shown(now.get(key))}"
            fault = f"holds another job, with {change}"
            raise UsageError(f"-o {job.folder} {fault}; choose another folder")
    if not resume:
        raise UsageError(f"-o {job.folder} holds this job already; continue it with --resume")
    return record


def file_system_of(place: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """Return the file system of a path or URL, and the path inside it.

    Raises:
        UsageError: no file system is installed for this kind of URL.
    """
    try:
        return fsspec.core.url_to_fs(place)  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise UsageError(f"{place}: {error}") from None


@contextlib.contextmanager
def open_place(place: str) -> Iterator[IO[bytes]]:
    """Open a file on any file system for writing; it appears when the block ends without error.

    Raises:
        DataError, NmtError: it cannot be written.
    """
    file_system, path = file_system_of(place)
    with tempfile.TemporaryDirectory() as folder, writing_to(place):
        is_local = isinstance(file_system, LocalFileSystem)
        file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with open_output(path if is_local else Path(folder, "file")) as stream:
            yield stream
        if not is_local:  # an object appears only when complete
            file_system.put_file(f"{folder}/file", path)
