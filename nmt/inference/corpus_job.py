"""A corpus as blocks of lines, each translated into a file of its own, on any file system.

A file appears in one step and holds a whole block, so its presence is the only record of progress:
any worker may translate any block, and a job that was stopped at any moment goes on.
"""

import contextlib
import io
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import IO, Any, Literal

import fsspec
from fsspec.implementations.local import LocalFileSystem

from nmt.config import DataConfig, SearchOptions
from nmt.config.sections import ColumnsConfig
from nmt.data.files import read_file_pairs
from nmt.errors import DataError, NmtError, UsageError, counted, shown
from nmt.inference.file_translation import MOST_CHARACTERS, REPLACED, LineWriter
from nmt.inference.translator import Translator
from nmt.reading import parse_json
from nmt.text.lines import InvalidUtf8, open_output, read_lines, reason, writing_to

_REMEDY = "delete the input's files and continue with --resume"
_TABLES = (".jsonl", ".parquet")
_OTHERS = (
    ".arrow",
    ".bz2",
    ".csv",
    ".json",
    ".lz4",
    ".tar",
    ".tsv",
    ".xlsx",
    ".xz",
    ".zip",
    ".zst",
)


@dataclass(frozen=True)
class Block:
    """Consecutive lines of one input.

    Attributes:
        index: of the input.
        number: of the block in its input, from 0.
        first: number of its first line in its input, from 1.
        texts: raw text.
        notes: problems of the lines themselves, by line number.
    """

    index: int
    number: int
    first: int
    texts: list[str]
    notes: dict[int, str] = field(default_factory=dict)


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

    @property
    def record(self) -> str:
        """Path or URL of the file that identifies the job."""
        return f"{self.folder}/job.json"

    def blocks(self, index: int) -> Iterator[Block]:
        """Read an input; an empty one is one empty block.

        Raises:
            DataError: it cannot be read.
        """
        place, notes = list(self.inputs.values())[index], dict[int, str]()
        if _suffix(place) in _TABLES:
            lines: Iterator[str] = (text for text, _ in read_file_pairs(place, self.columns))
        else:
            lines = read_lines(
                place, self.invalid_utf8, lambda line: notes.update({line: REPLACED})
            )
        first = 1
        for number in itertools.count():
            texts = _take(lines, self.block_lines)
            if number and not texts:
                return
            yield Block(index, number, first, texts, dict(notes))
            notes.clear()
            first += len(texts)

    def translate(self, block: Block, translator: Translator, options: SearchOptions) -> bool:
        """Translate a block into its file; return False if the file is there."""
        suffix = "jsonl" if self.layout == "jsonl" else "parquet"
        part = f"{self._output(block.index)}.{suffix}/{block.number:08}.{suffix}"
        file_system, path = file_system_of(part)
        if file_system.exists(path):
            return False
        stream = io.BytesIO()
        writer = LineWriter(stream, "jsonl")
        writer.lines, writer.notes = block.first - 1, block.notes
        writer.write((), translator.translate(block.texts, options))
        data = stream.getvalue()
        with open_place(part) as output:
            output.write(data if suffix == "jsonl" else _parquet(data))
        return True

    def finish(self, index: int, lines: int) -> tuple[int, int]:
        """Check that the files of an input hold all lines; write its text and its problems.

        Args:
            index: of the input.
            lines: their number.

        Returns:
            Numbers of lines with problems, and of lines that failed.

        Raises:
            NmtError: a line is missing or stands twice.
        """
        output = self._output(index)
        problems = failed = count = 0
        with contextlib.ExitStack() as stack:
            text = stack.enter_context(open_place(output)) if self.layout == "text" else None
            named = None
            for count, (part, row) in enumerate(self._rows(output), start=1):
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

    def _output(self, index: int) -> str:
        return f"{self.folder}/{list(self.inputs)[index]}"

    def _rows(self, output: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the rows of an input's files, each with the name of its file."""
        import pyarrow.parquet

        suffix = "jsonl" if self.layout == "jsonl" else "parquet"
        file_system, path = file_system_of(f"{output}.{suffix}")
        for part in sorted(file_system.glob(f"{path}/*.{suffix}")):
            with file_system.open(part, "rb") as stream:
                if suffix == "jsonl":
                    yield from ((part, json.loads(row)) for row in stream)
                else:
                    columns = ["line", "text", "problem", "failed"]
                    table = pyarrow.parquet.read_table(stream, columns=columns)
                    yield from ((part, row) for row in table.to_pylist())


def find_inputs(places: Sequence[str]) -> dict[str, str]:
    """Find the files of a corpus.

    Args:
        places: paths or URLs of files, folders and patterns.

    Returns:
        Path or URL of each, by the name of its outputs: its own, or that inside its folder,
        without `.gz`, `.jsonl` and `.parquet`.

    Raises:
        DataError: a file is missing, or neither text nor a table that can be read.
        UsageError: two inputs have one name.
    """
    found: dict[str, str] = {}
    for place in places:
        file_system, path = file_system_of(place)
        try:
            folder = path if file_system.isdir(path) else None
            if folder is not None:
                files = sorted(file for file in file_system.find(path) if "/." not in file)
            else:
                files = [path] if file_system.exists(path) else sorted(file_system.glob(path))
        except Exception as error:  # each store has exceptions of its own
            raise DataError(f"cannot read {place}: {reason(error)}") from None
        if not files:
            raise DataError(f"cannot read {place}: no such file")
        for file in files:
            name = file.rpartition("/")[2] if folder is None else file[len(folder) :].strip("/")
            stem, suffix = name.removesuffix(".gz"), _suffix(name)
            if suffix in _OTHERS:
                raise DataError(
                    f"{file}: {suffix} is not an input format; convert it to text, .jsonl or "
                    ".parquet, each also .gz"
                )
            stem = stem.removesuffix(suffix) if suffix in _TABLES else stem
            if stem in found:
                raise UsageError(
                    f"{found[stem]} and {file} would be written to one name, {stem}; rename one"
                )
            found[stem] = file_system.unstrip_protocol(file) if "://" in place else file
    return found


def source_columns(config: DataConfig, column: str | None) -> DataConfig:
    """Return where the source sentences stand in tables: both sides of a pair are this side.

    Args:
        config: of the model.
        column: set by the user; None for the model's own.
    """
    columns = config.columns
    if column is not None:
        columns = ColumnsConfig(source=column, target=column)
    elif columns is not None:
        columns = replace(columns, target=columns.source)
    return replace(config, columns=columns, target_language=config.source_language)


def job_record(job: CorpusJob, settings: Mapping[str, Any], *, resume: bool) -> bytes:
    """Check that a job may write into its folder.

    Args:
        job: the job.
        settings: all that the translations depend on besides the job.
        resume: continue where the folder has this job.

    Returns:
        The content of the job's record, to be written before the first block.

    Raises:
        UsageError: the folder has another job, or other files.
    """
    states = {f"input {name}": _state(place) for name, place in job.inputs.items()}
    own = {"format": job.layout, "block_lines": job.block_lines, **states}
    record = json.dumps({**settings, **own}, indent=2).encode()
    place = job.record
    file_system, path = file_system_of(place)
    if not file_system.exists(path):
        folder = path.rpartition("/")[0]
        if file_system.exists(folder) and file_system.find(folder):
            raise UsageError(f"-o {job.folder} holds other files; choose a new or an empty folder")
        return record
    before, now = (parse_json(data, place) for data in (file_system.cat_file(path), record))
    for key in now | before:
        if now.get(key) != before.get(key):
            raise UsageError(
                f"-o {job.folder} holds another job, with {key}: {shown(before.get(key))} instead "
                f"of {shown(now.get(key))}; choose another folder"
            )
    if not resume:
        raise UsageError(f"-o {job.folder} holds this job already; continue it with --resume")
    return record


def absolute(place: str) -> str:
    """Return a URL as it is, and a path from the root."""
    return place if "://" in place else os.path.abspath(place)


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
    with writing_to(place):
        file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
    if isinstance(file_system, LocalFileSystem):
        with open_output(path) as stream:
            yield stream
        return
    stream = file_system.open(path, "wb", autocommit=False)
    try:
        with stream:
            yield stream
    except BaseException:
        stream.discard()
        raise
    stream.commit()


def _state(place: str) -> str:
    """Return what changes with the content of a file."""
    file_system, path = file_system_of(place)
    values = file_system.info(path)
    return " ".join(
        str(values[key]) for key in ("size", "mtime", "ETag", "LastModified") if key in values
    )


def _take(lines: Iterator[str], most: int) -> list[str]:
    """Return the next lines: at most so many, and fewer where they are long."""
    texts, characters = list[str](), 0
    while len(texts) < most and characters < MOST_CHARACTERS:
        if (text := next(lines, None)) is None:
            break
        texts.append(text)
        characters += len(text)
    return texts


def _suffix(place: str) -> str:
    return PurePosixPath(place.removesuffix(".gz")).suffix


def _parquet(rows: bytes) -> bytes:
    """Convert lines of JSON to a Parquet file."""
    import pyarrow.parquet

    stream = io.BytesIO()
    table = pyarrow.Table.from_pylist(
        [json.loads(row) for row in rows.split(b"\n")[:-1]], _schema()
    )
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()


def _schema() -> Any:
    import pyarrow as pa

    candidate = {"text": pa.string(), "score": pa.float64(), "rank_score": pa.float64()}
    candidate["alignment"] = pa.list_(pa.list_(pa.int64()))
    fields = {"line": pa.int64(), "text": pa.string(), "score": pa.float64()}
    fields["n_best"] = pa.list_(pa.struct(list(candidate.items())))
    return pa.schema(fields | {"problem": pa.string(), "failed": pa.bool_()})
