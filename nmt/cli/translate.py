"""`nmt translate MODEL [FILE …]`: raw text in, raw text out."""

import argparse
import hashlib
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.arguments import (
    add_model_arguments,
    add_search_arguments,
    load_translator,
    refuse_unequal,
    search_settings,
)
from nmt.config import SearchOptions
from nmt.errors import DataError, UsageError

_log = logging.getLogger("nmt")

if TYPE_CHECKING:
    from nmt.inference.translator import Translator
    from nmt.text.lines import Replaced


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and translate."""
    add_model_arguments(parser)
    parser.add_argument(
        "files", metavar="FILE", nargs="*", type=Path, help="text files, also .gz (default: stdin)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="file, or folder for several FILEs (default: stdout)"
    )
    parser.add_argument("--format", choices=["text", "tsv", "jsonl"], default="text")
    add_search_arguments(parser, words)
    parser.add_argument(
        "--prefix-file",
        metavar="F",
        type=Path,
        help="line by line, the whole words with which the translation of a line begins (an empty "
        "line: free); such lines are searched without --shortlist, and all are held in memory",
    )
    parser.add_argument(
        "--alignments",
        action="store_true",
        default=None,
        help="with attention: also which source word each word comes from, counted from 0, as one "
        "more column SOURCE-TARGET … of tsv, or field of jsonl",
    )
    parser.add_argument(
        "--invalid-utf8", choices=["error", "replace"], default="error", help="what to do with it"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep outputs that are there, and go on with one that was stopped (needs -o)",
    )
    arguments = parser.parse_intermixed_args(words)
    settings = search_settings(arguments)
    jobs = _jobs(arguments)
    for _, output in jobs:
        if output is not None and arguments.prefix_file is not None:
            _refuse_same(arguments.prefix_file, output)

    translator = load_translator(arguments)
    options = translator.options(**settings)  # before anything is written
    if len(jobs) > 1:
        arguments.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for source, output in jobs:
        failed += _translate(translator, source, output, arguments, options)
    return 1 if failed else 0


def _jobs(arguments: argparse.Namespace) -> list[tuple[Path | None, Path | None]]:
    """Pair inputs with outputs, and refuse what cannot work before any work is done."""
    files, output = arguments.files, arguments.output
    if files == [Path("-")]:
        files = []
    if not files and sys.stdin is None:
        raise UsageError("there is no standard input; name a FILE")
    if arguments.prefix_file is not None:
        _refuse_prefixes(arguments)
    if output is not None and output.suffix == ".gz":
        raise UsageError(f"-o {output}: the output is plain text; leave .gz out")
    if arguments.resume and output is None:
        raise UsageError("--resume: there is nothing to go on with on standard output; give -o")
    if arguments.resume and not files:
        raise UsageError("--resume: standard input cannot be read again; name a FILE")
    for file in files:
        if not file.exists():
            raise DataError(f"cannot read {file}: no such file")
        if file.is_dir():
            raise DataError(f"cannot read {file}: it is a folder")
        if arguments.resume and not file.is_file():
            raise UsageError(f"--resume: {file} cannot be read again, as a file could")
    if len(files) < 2 and not (output is not None and output.is_dir()):
        if output is not None and not output.parent.is_dir():
            raise DataError(f"cannot write {output}: there is no folder {output.parent}")
        if files and output is not None:
            _refuse_same(files[0], output)
        return [(files[0] if files else None, output)]
    if not files:
        raise UsageError(f"-o {output} is a folder; name a file for what comes from standard input")
    if output is None:
        raise UsageError(f"{len(files)} files need -o FOLDER")
    if output.exists() and not output.is_dir():
        raise UsageError(f"{len(files)} files need a folder, and -o {output} is a file")
    names = [file.name.removesuffix(".gz") for file in files]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UsageError(f"several files would be written to {output / min(twice)}")
    for file, name in zip(files, names, strict=True):
        _refuse_same(file, output / name)
    return [(file, output / name) for file, name in zip(files, names, strict=True)]


def _refuse_prefixes(arguments: argparse.Namespace) -> None:
    """Refuse a file of prefixes that cannot go with the rest of the call."""
    prefixes = arguments.prefix_file
    if not prefixes.exists():
        raise DataError(f"cannot read {prefixes}: no such file")
    if len(arguments.files) > 1:
        raise UsageError(
            f"--prefix-file: {prefixes} cannot belong to {len(arguments.files)} files; translate "
            "them one by one"
        )
    if arguments.resume and not prefixes.is_file():
        raise UsageError(f"--resume: {prefixes} cannot be read again, as a file could")


def _read_prefixes(
    lines: Iterable[str],
    source: Path | None,
    arguments: argparse.Namespace,
    replaced: "Replaced",
) -> tuple[Iterator[str], list[str]]:
    """Read the lines and as many prefixes.

    Raises:
        DataError: their numbers differ.
    """
    from nmt.text.lines import read_lines

    every = list(lines)
    prefixes = list(read_lines(arguments.prefix_file, arguments.invalid_utf8, replaced))
    where = f"--prefix-file {arguments.prefix_file}"
    refuse_unequal(source or "standard input", len(every), where, len(prefixes))
    return iter(every), prefixes


def _refuse_same(source: Path, output: Path) -> None:
    if output.exists() and output.samefile(source):
        raise UsageError(f"{output} is the input itself; choose another output")


def _translate(
    translator: "Translator",
    source: Path | None,
    output: Path | None,
    arguments: argparse.Namespace,
    options: SearchOptions,
) -> int:
    """Translate one input; return how many of its lines failed."""
    from nmt.inference.files import line_writer, translate_as_typed, translate_lines
    from nmt.inference.partial import partial_writer
    from nmt.text.lines import decode_lines, read_lines

    notes: dict[int, str] = {}

    def replaced(line: int) -> None:
        notes[line] = "bytes that are not UTF-8 were replaced by U+FFFD"

    if source is None:
        stdin = sys.stdin.buffer
        lines = decode_lines(stdin, "standard input", arguments.invalid_utf8, replaced)
    else:
        lines = read_lines(source, arguments.invalid_utf8, replaced)
    if arguments.resume and output is not None and output.exists():
        _log.info("%s is there, and is kept", output)
        return 0
    prefixes = None
    if arguments.prefix_file is not None:  # before anything is written
        lines, prefixes = _read_prefixes(lines, source, arguments, replaced)
    if arguments.resume:
        assert source is not None and output is not None
        writing = partial_writer(output, arguments.format, _key(source, arguments, options))
    else:
        writing = line_writer(output, arguments.format)
    with writing as writer:
        writer.notes = notes
        if source is None and sys.stdin.isatty() and prefixes is None:
            translate_as_typed(translator, lines, writer, options)
        else:
            # A pipe can be read only once, and so not be counted first.
            total = None
            if source is not None and source.is_file():
                total = sum(1 for _ in read_lines(source, "replace"))
            translate_lines(translator, lines, writer, options, prefixes=prefixes, total=total)
    return writer.failed


def _key(source: Path, arguments: argparse.Namespace, options: SearchOptions) -> str:
    """Stand for all that the translation of a file depends on."""
    from nmt.bundle import find_bundle
    from nmt.reading import sha256

    paths = [arguments.model, *arguments.ensemble]
    models = [sha256(find_bundle(path) / "bundle.json") for path in paths]
    files = [source] if arguments.prefix_file is None else [source, arguments.prefix_file]
    what: list[object] = [*map(sha256, files), models, options]
    what += [arguments.precision, arguments.format]
    return hashlib.sha256(repr(what).encode()).hexdigest()
