"""Translates files: one output line for each input line, in order, also if a line fails."""

import contextlib
import dataclasses
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import IO, Any, Literal

from nmt.config import SearchOptions
from nmt.errors import DataError, counted
from nmt.inference.search import Candidate, Translation
from nmt.inference.translator import CHUNK, Translator
from nmt.inference.workers import TranslatorPool
from nmt.log import ProgressBar, log
from nmt.text.lines import open_output

_CHARACTERS = 2**21  # a chunk exceeds this by at most one line
_REPLACED = "bytes that are not UTF-8 were replaced by U+FFFD"
_NAMED = 10  # problems listed on standard error if there is no file for them
_FIRST_CHUNK = 1000  # lines, before the speed is known
_SECONDS = 10  # time that a chunk should take

Format = Literal["text", "tsv", "jsonl"]
Item = tuple[str, str]
"""A line, and the prefix of its translation."""


class LineWriter:
    """Writes translations line by line, and collects their problems.

    Args:
        stream: receives the lines.
        layout: text (the best translation), tsv (line, rank, rank score, text) or jsonl; the latter
            two also hold alignments if requested.
    """

    def __init__(self, stream: IO[bytes], layout: Format):
        self.stream = stream
        self.layout = layout
        self.lines = 0
        self.problems: list[tuple[int, str]] = []
        self.failed = 0
        self.replaced: Set[int] = frozenset()
        """Numbers of the input lines with bytes that are not UTF-8, from 1."""

    def resume(self, items: Iterator[Item]) -> Iterator[Item]:
        """Skip the items that an earlier call translated; called before the first write."""
        return items

    def write(self, chunk: Sequence[Item], translations: Sequence[Translation]) -> None:
        """Write the translations of the next input lines."""
        output = b"".join(self._row(translation).encode("utf-8") for translation in translations)
        self.stream.write(output)
        self.flush(chunk, output)

    def flush(self, chunk: Sequence[Item], output: bytes) -> None:
        """Flush the output of a chunk, before the next lines are read."""
        self.stream.flush()

    def _row(self, translation: Translation) -> str:
        self.lines += 1
        if self.lines in self.replaced:
            problem = "; ".join(filter(None, (_REPLACED, translation.problem)))
            translation = dataclasses.replace(translation, problem=problem)
        if translation.problem is not None:
            self.problems.append((self.lines, translation.problem))
            self.failed += translation.failed
        return self._format(translation)

    def _format(self, translation: Translation) -> str:
        if self.layout == "text":
            return f"{translation.text}\n"
        if self.layout == "tsv":
            return "".join(
                f"{self.lines}\t{rank}\t{each.rank_score:.6f}\t{each.text}{_links(each)}\n"
                for rank, each in enumerate(translation.n_best, start=1)
            )
        row = {
            "line": self.lines,
            "text": translation.text,
            "score": translation.score,
            "n_best": [_present(candidate) for candidate in translation.n_best],
        }
        if translation.problem is not None:
            row["problem"] = translation.problem
        if translation.failed:
            row["failed"] = True
        return json.dumps(row, ensure_ascii=False) + "\n"


def _present(candidate: Candidate) -> dict[str, Any]:
    """Return the JSON of a candidate, with its alignment if requested."""
    values = vars(candidate).items()
    return {name: value for name, value in values if name != "tokens" and value is not None}


def _links(candidate: Candidate) -> str:
    """Return a column of links `source-target` in Pharaoh's format; empty without alignments."""
    if candidate.alignment is None:
        return ""
    return "\t" + " ".join(f"{source}-{target}" for source, target in candidate.alignment)


def translate_lines(
    translator: Translator | TranslatorPool,
    lines: Iterable[str],
    writer: LineWriter,
    options: SearchOptions,
    *,
    prefixes: Sequence[str] | None = None,
    total: int | None = None,
    line_buffered: bool = False,
) -> None:
    """Translate a stream of lines in bounded memory; the writer may skip lines done earlier.

    Args:
        translator: the model, in this process or in several.
        lines: raw text.
        writer: receives the translations, in order.
        options: from `Translator.options`.
        prefixes: of each line's translation; see `Translator.translate`.
        total: number of lines, for the progress bar.
        line_buffered: write each translation before the next line is read.
    """
    paired = itertools.repeat("") if prefixes is None else prefixes
    items = writer.resume(zip(lines, paired, strict=False))
    before, started = writer.lines, time.perf_counter()
    most = CHUNK * (translator.workers if isinstance(translator, TranslatorPool) else 1)
    with ProgressBar("line", total, before, shown=not line_buffered) as bar:
        for chunk in _chunks(items, 1 if line_buffered else most):
            texts = [text for text, _ in chunk]
            starts = [prefix for _, prefix in chunk]
            writer.write(chunk, translator.translate(texts, options, prefixes=starts))
            bar.advance(len(chunk))
            bar.log_pace()
    if not line_buffered:
        seconds, done = time.perf_counter() - started, writer.lines - before
        rate = f"{done / seconds:,.0f}"
        log.info("%s in %.1f s, %s lines/s", counted(done, "line"), seconds, rate)


def _chunks(items: Iterator[Item], most: int) -> Iterator[list[Item]]:
    """Group at most so many items into chunks that take about `_SECONDS` to translate.

    A stop may lose one chunk. The number of characters in a chunk is bounded. Lines before an error
    of reading are yielded before it is raised.
    """
    size = min(most, _FIRST_CHUNK)
    while True:
        chunk: list[Item] = []
        try:
            chunk.extend(take(items, size))  # keeps those before an error
        except DataError:
            if chunk:
                yield chunk
            raise
        if not chunk:
            return
        started = time.perf_counter()
        yield chunk
        pace = len(chunk) / (time.perf_counter() - started)
        size = max(1, min(most, round(pace * _SECONDS)))


def take(items: Iterator[Item], most: int) -> Iterator[Item]:
    """Yield the next items: at most so many, and fewer where their texts are long."""
    characters = 0
    for item in itertools.islice(items, most):
        yield item
        characters += len(item[0])
        if characters >= _CHARACTERS:
            return


@contextlib.contextmanager
def line_writer(output: Path | None, layout: Format) -> Iterator[LineWriter]:
    """Open a stream, whose problems are listed on standard error for lack of a side file.

    Args:
        output: a pipe or device; None for standard output.
        layout: see `LineWriter`.

    Raises:
        DataError: the output cannot be written.
    """
    with open_output(output) as stream:
        writer = LineWriter(stream, layout)
        yield writer
    if writer.problems:
        named = [f"line {line}: {reason}" for line, reason in writer.problems[:_NAMED]]
        name_problems(writer, "; ".join(named) + ("; …" if len(writer.problems) > _NAMED else ""))


def write_problems(writer: LineWriter, path: Path) -> None:
    """Write each line's problem to a file; replace the file of an earlier translation."""
    path.unlink(missing_ok=True)
    if writer.problems:
        with open_output(path) as stream:
            rows = (f"{line}\t{reason}\n" for line, reason in writer.problems)
            stream.writelines(row.encode() for row in rows)
        name_problems(writer, f"see {path}")


def name_problems(writer: LineWriter, where: str) -> None:
    """Warn of lines with problems."""
    lines = counted(writer.lines, "line")
    log.warning("%d of %s had problems: %s", len(writer.problems), lines, where)
