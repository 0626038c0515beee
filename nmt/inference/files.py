"""Translating files: as many lines out as came in, in order, whatever happens to one of them."""

import contextlib
import dataclasses
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from nmt.config import SearchOptions
from nmt.errors import counted
from nmt.inference.search import Candidate, Translation
from nmt.inference.translator import CHUNK, Translator
from nmt.log import PROGRESS, ProgressBar
from nmt.text.lines import open_output

_log = logging.getLogger("nmt")
_CHARACTERS = 2**21  # in a chunk, and those of one more line
_NAMED = 10  # problems named on standard error where there is no file for them

Format = Literal["text", "tsv", "jsonl"]


class LineWriter:
    """Writes translations line by line and counts what went wrong.

    Args:
        stream: where the lines go.
        layout: text (the best translation), tsv (line, rank, rank score, text) or jsonl; the latter
            two also hold alignments, where there are some.
    """

    def __init__(self, stream: IO[bytes], layout: Format):
        self.stream = stream
        self.layout = layout
        self.lines = 0
        self.problems: list[tuple[int, str]] = []
        self.failed = 0
        self.notes: dict[int, str] = {}
        """What is wrong with input lines by themselves, by their numbers from 1 on."""
        self.keep: Callable[[], None] = lambda: None
        """Called after every chunk: makes what was written so far last, where that is wanted."""

    def write(self, translation: Translation) -> None:
        """Write what became of the next input line."""
        self.lines += 1
        if (note := self.notes.get(self.lines)) is not None:
            problem = "; ".join(filter(None, (note, translation.problem)))
            translation = dataclasses.replace(translation, problem=problem)
        if translation.problem is not None:
            self.problems.append((self.lines, translation.problem))
            self.failed += translation.failed
        self.stream.write(self._format(translation).encode("utf-8"))

    def _format(self, translation: Translation) -> str:
        if self.layout == "text":
            return f"{translation.text}\n"
        if self.layout == "tsv":
            return "".join(
                f"{self.lines}\t{rank}\t{one.rank_score:.6f}\t{one.text}{_links(one)}\n"
                for rank, one in enumerate(translation.n_best, start=1)
            )
        row = {
            "line": self.lines,
            "text": translation.text,
            "score": translation.score,
            "n_best": [_present(candidate) for candidate in translation.n_best],
        }
        if translation.problem is not None:
            row["problem"] = translation.problem
        return json.dumps(row, ensure_ascii=False) + "\n"


def _present(candidate: Candidate) -> dict[str, Any]:
    """Return what users read of a candidate, without an alignment that nobody asked for."""
    present = {"text": candidate.text, "score": candidate.score}
    present |= {"rank_score": candidate.rank_score, "alignment": candidate.alignment}
    return {name: value for name, value in present.items() if value is not None}


def _links(candidate: Candidate) -> str:
    """Return a column of links `source-target`, as Pharaoh writes them; none where none are."""
    if candidate.alignment is None:
        return ""
    return "\t" + " ".join(f"{source}-{target}" for source, target in candidate.alignment)


def translate_lines(
    translator: Translator,
    lines: Iterable[str],
    writer: LineWriter,
    options: SearchOptions,
    *,
    prefixes: Sequence[str] | None = None,
    total: int | None = None,
) -> None:
    """Translate a stream of lines in bounded memory, from where the writer stands.

    Args:
        translator: the model.
        lines: raw text.
        writer: takes the translations, in order.
        options: from `Translator.options`.
        prefixes: how each line's translation begins; see `Translator.translate`.
        total: how many lines there are, for the progress bar.
    """
    started = time.perf_counter()
    before = writer.lines
    bar = ProgressBar("line", total, before)
    iterator = itertools.islice(lines, before, None)
    try:
        for chunk in _chunks(iterator):
            begun = prefixes and prefixes[writer.lines : writer.lines + len(chunk)]
            for translation in translator.translate(chunk, options, prefixes=begun):
                writer.write(translation)
            writer.keep()
            bar.advance(len(chunk))
            _log.log(PROGRESS, "%s, %s", counted(writer.lines, "line"), bar.pace())
    finally:
        bar.stop()
    seconds = time.perf_counter() - started
    count = writer.lines - before
    _log.info(
        "%s in %.1f s, %s lines/s", counted(count, "line"), seconds, f"{count / seconds:,.0f}"
    )


def _chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Group lines, as many as are searched at once and no more characters than memory holds."""
    chunk: list[str] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if len(chunk) == CHUNK or size >= _CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def translate_as_typed(
    translator: Translator, lines: Iterable[str], writer: LineWriter, options: SearchOptions
) -> None:
    """Answer each line before the next is read."""
    for line in lines:
        writer.write(translator.translate([line], options)[0])
        writer.stream.flush()


@contextlib.contextmanager
def line_writer(output: Path | None, layout: Format) -> Iterator[LineWriter]:
    """Open an output that appears whole, and name its problems beside it.

    Args:
        output: the file; standard output where it is None.
        layout: see `LineWriter`.

    Raises:
        DataError: it cannot be written; it then holds what it held before.
    """
    with open_output(output) as stream:
        writer = LineWriter(stream, layout)
        yield writer
    # A device has no place beside it.
    name_problems(writer, output if output is not None and output.is_file() else None)


def name_problems(writer: LineWriter, output: Path | None) -> None:
    """Write each line's problem beside the output, and their number to standard error."""
    if output is not None:
        path = output.with_name(f"{output.name}.problems.tsv")
        path.unlink(missing_ok=True)  # those of an older translation
        where = f"see {path}"
        if writer.problems:
            with open_output(path) as stream:
                rows = (f"{line}\t{reason}\n" for line, reason in writer.problems)
                stream.writelines(row.encode() for row in rows)
    else:
        named = [f"line {line}: {reason}" for line, reason in writer.problems[:_NAMED]]
        where = "; ".join(named) + ("; …" if len(writer.problems) > _NAMED else "")
    if writer.problems:
        _log.warning(
            "%d of %s had problems: %s", len(writer.problems), counted(writer.lines, "line"), where
        )
