"""`nmt translate MODEL [FILE …]`: raw text in, raw text out."""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nmt import __version__
from nmt.cli.arguments import load_translator, refuse_overwriting, refuse_unequal, search_settings
from nmt.cli.flags import ModelFlags, add_flags, add_search_flags, flag_name, option, positional
from nmt.config import SearchOptions
from nmt.config.values import Range
from nmt.errors import DataError, UsageError
from nmt.log import log
from nmt.storage import is_stream, side_files
from nmt.text.lines import decode_lines, read_lines, writing_to

Job = tuple[Path | None, Path | None]
"""An input and its output; None for a standard stream."""
_Count = Annotated[int, Range(1, 1_000_000)]

if TYPE_CHECKING:
    from nmt.inference.translator import Translator
    from nmt.inference.workers import TranslatorPool
    from nmt.text.lines import Replaced


@dataclasses.dataclass
class _Flags(ModelFlags):
    files: list[str] = positional("FILE", nargs="*", action="store")
    """text, also .gz (default: stdin)"""
    output: str | None = option(names=["-o", "--output"])
    """file, or folder for several (default: stdout)"""
    format: Literal["text", "tsv", "jsonl", "parquet"] = "text"
    """form of the output; tsv has line, rank, ranking score (log-probability in nats, divided as
    --length-penalty says) and text; jsonl and parquet hold both scores"""
    prefix_file: Path | None = option(metavar="F")
    """file with the whole words that begin each line's translation (empty: no prefix); prefixed
    lines ignore --shortlist, and all lines are held in memory"""
    alignments: bool | None = None
    """with attention: also write the source word of each target word, counted from 0, as a further
    column SOURCE-TARGET … of tsv, or field of jsonl"""
    invalid_utf8: Literal["error", "replace"] = "error"
    """treatment of invalid UTF-8"""
    resume: bool = False
    """keep complete outputs that are not older than their input (needs -o); MODEL and other
    options are not compared; interrupted ones always continue"""
    line_buffered: bool = False
    """write each translation before reading the next line (default at a terminal); slower, for
    programs that write a line and wait for its translation"""
    engine: Literal["local", "ray"] = "local"
    """ray: translate on the Ray cluster at RAY_ADDRESS, or on this machine. FILEs are text, .jsonl,
    .parquet or folders. -o is a folder for rows with scores and, with --format text, for plain
    text. All may be URLs"""
    workers: _Count | None = None
    """processes, each with one model and --threads threads (default: 1; ray: fill the cluster)"""
    block_lines: _Count | None = None
    """ray: lines per output file (default: 4,000)"""
    column: str | None = None
    """ray: source column of tables (default: the source language's tag)"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and translate."""
    add_flags(parser, words, _Flags)
    add_search_flags(parser, words)
    arguments = parser.parse_intermixed_args(words)
    settings = search_settings(arguments)
    _refuse_engine_options(arguments)
    if arguments.engine == "ray":
        return _translate_on_cluster(arguments, settings)
    arguments.files = [Path(file) for file in arguments.files]
    arguments.output = None if arguments.output is None else Path(arguments.output)
    jobs = _jobs(arguments)
    _refuse_overwriting(arguments, jobs)

    totals = [_count(source, arguments) for source, _ in jobs]
    translator = load_translator(arguments)
    options = translator.options(**settings)  # before anything is written
    arguments.precision = translator.precision  # results of "auto" depend on the device
    if len(jobs) > 1:
        with writing_to(arguments.output):
            arguments.output.mkdir(parents=True, exist_ok=True)
    key = functools.cache(functools.partial(_key, arguments, options))  # may ask the hub
    failed = 0
    with _several(translator, arguments) as translators:
        for (source, output), total in zip(jobs, totals, strict=True):
            failed += _translate(translators, source, output, arguments, options, key, total)
    return 1 if failed else 0


def _refuse_engine_options(arguments: argparse.Namespace) -> None:
    """Refuse options of the engine that is not used, and more processes than the machine holds."""
    ray = arguments.engine == "ray"
    names = ("prefix_file", "line_buffered") if ray else ("block_lines", "column")
    given = [flag_name(name) for name in names if getattr(arguments, name)]
    if arguments.format == ("tsv" if ray else "parquet"):
        given.append(f"--format {arguments.format}")
    if given:
        raise UsageError(f"{given[0]} does not go with --engine {arguments.engine}; leave it out")
    cores = os.cpu_count() or 1
    if not ray and (arguments.workers or 1) > max(4, cores):
        raise UsageError(f"--workers: {arguments.workers} exceeds the {cores} CPU cores; lower it")


def _several(
    translator: "Translator", arguments: argparse.Namespace
) -> contextlib.AbstractContextManager["Translator | TranslatorPool"]:
    """Return a context of the translator, or of a pool of `--workers` processes in its place."""
    workers = arguments.workers or 1
    if workers == 1:
        return contextlib.nullcontext(translator)
    import torch

    from nmt.inference.workers import ModelCopy, TranslatorPool

    models = [arguments.model, *arguments.ensemble]
    threads = arguments.threads or max(1, torch.get_num_threads() // workers)
    copy = ModelCopy.of(models, arguments.device, arguments.precision, threads)
    return TranslatorPool(copy, workers)


def _translate_on_cluster(arguments: argparse.Namespace, settings: dict[str, Any]) -> int:
    """Translate with `--engine ray`; return the exit code."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--engine ray needs the package ray: pip install 'nmt[ray]'")
    if not arguments.files or arguments.output is None:
        raise UsageError("--engine ray needs FILE and -o FOLDER")
    from nmt.inference import corpus_job, ray_engine
    from nmt.inference.workers import ModelCopy

    inputs, folder = corpus_job.find_inputs(arguments.files), arguments.output
    folder = folder if "://" in folder else str(Path(folder).absolute())
    models = [arguments.model, *arguments.ensemble]
    copy = ModelCopy.of(models, arguments.device, arguments.precision, arguments.threads or 1)
    arguments.device, arguments.precision = "cpu", "auto"  # of this process, which checks options
    translator = load_translator(arguments)
    options, layout = translator.options(**settings), arguments.format
    columns = corpus_job.source_columns(translator.config.data, arguments.column)
    size = arguments.block_lines or 4000
    job = corpus_job.CorpusJob(folder, inputs, layout, columns, size, arguments.invalid_utf8)
    needs = _dependencies(arguments, options)
    needs |= {"precision": copy.precision, "column": arguments.column}
    record = corpus_job.job_record(job, needs, resume=arguments.resume)
    failed = ray_engine.translate_corpus(job, copy, options, arguments.workers, record)
    return 1 if failed else 0


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    """Pair inputs with outputs, and refuse invalid pairs before any work."""
    files, output = arguments.files, arguments.output
    if str(output) in ("-", "/dev/stdout"):
        output = None
    if files == [Path("-")]:
        files = []
    if not files and sys.stdin is None:
        raise UsageError("there is no standard input; name a FILE")
    if output is not None and output.suffix == ".gz":
        raise UsageError(f"-o {output}: the output is plain text; leave .gz out")
    if arguments.resume and (output is None or is_stream(output)):
        raise UsageError("--resume: a stream cannot be continued; give -o OUT")
    prefixes = arguments.prefix_file
    if prefixes is not None and len(files) > 1:
        raise UsageError(
            f"--prefix-file: {prefixes} cannot belong to {len(files)} files; translate them one "
            "by one"
        )
    for file in files if prefixes is None else [*files, prefixes]:
        if not file.exists():
            raise DataError(f"cannot read {file}: no such file")
        if file.is_dir():
            raise DataError(f"cannot read {file}: it is a folder")
    if len(files) < 2 and not (output is not None and output.is_dir()):
        if output is not None and not output.parent.is_dir():
            raise DataError(f"cannot write {output}: there is no folder {output.parent}")
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
    return [(file, output / name) for file, name in zip(files, names, strict=True)]


def _refuse_overwriting(arguments: argparse.Namespace, jobs: list[Job]) -> None:
    """Refuse outputs, and files named after them, that are inputs or outputs of the same call."""
    outputs: dict[Path, str] = {}
    for _, output in jobs:
        if output is None or is_stream(output):
            continue
        for path in (output, *side_files(output)):
            if path in outputs:
                raise UsageError(f"{path} is the name of two outputs; rename an input")
            outputs[path] = "" if path == output else f" (beside {output})"
    inputs = [*arguments.files, arguments.prefix_file, arguments.model, *arguments.ensemble]
    refuse_overwriting(outputs, [Path(path) for path in inputs if path is not None])


def _lines(
    source: Path | None, arguments: argparse.Namespace, replaced: "Replaced | None" = None
) -> Iterator[str]:
    """Read the lines of a file, or of standard input."""
    if source is not None:
        return read_lines(source, arguments.invalid_utf8, replaced)
    return decode_lines(sys.stdin.buffer, "standard input", arguments.invalid_utf8, replaced)


def _count(source: Path | None, arguments: argparse.Namespace) -> int | None:
    """Count the lines of an input and find invalid bytes; None for a pipe."""
    if source is not None:
        return sum(1 for _ in _lines(source, arguments)) if source.is_file() else None
    stdin = sys.stdin.buffer
    if not stdin.seekable():
        return None
    start = stdin.tell()
    total = sum(1 for _ in _lines(None, arguments))
    stdin.seek(start)
    return total


def _translate(
    translator: "Translator | TranslatorPool",
    source: Path | None,
    output: Path | None,
    arguments: argparse.Namespace,
    options: SearchOptions,
    key: Callable[[], str],
    total: int | None,
) -> int:
    """Translate one input; return how many of its lines failed."""
    from nmt.inference.file_translation import line_writer, translate_lines
    from nmt.inference.partial import is_unfinished, partial_writer

    replaced: set[int] = set()
    if output is None or is_stream(output):
        writing = line_writer(output, arguments.format)
    else:
        complete = output.exists() and not is_unfinished(output, key())
        if arguments.resume and complete and _is_current(output, source, arguments.prefix_file):
            log.info("%s is there, and is kept; delete it if MODEL or options changed", output)
            return 0
        writing = partial_writer(output, arguments.format, key())
    lines = _lines(source, arguments, replaced.add)
    prefixes = None
    if arguments.prefix_file is not None:  # before anything is written
        every, prefixes = list(lines), list(_lines(arguments.prefix_file, arguments, replaced.add))
        where = f"--prefix-file {arguments.prefix_file}"
        refuse_unequal(source or "standard input", len(every), where, len(prefixes))
        lines = iter(every)
    typed = source is None and sys.stdin.isatty() and prefixes is None
    with writing as writer:
        writer.replaced = replaced
        translate_lines(
            translator,
            lines,
            writer,
            options,
            prefixes=prefixes,
            total=total,
            line_buffered=typed or arguments.line_buffered,
        )
    return writer.failed


def _is_current(output: Path, *inputs: Path | None) -> bool:
    """Return whether no input is newer than an output."""
    return all(path is None or path.stat().st_mtime <= output.stat().st_mtime for path in inputs)


def _key(arguments: argparse.Namespace, options: SearchOptions) -> str:
    """Return a hash of everything that a translation depends on, except the lines."""
    values = _dependencies(arguments, options) | {"format": arguments.format}
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _dependencies(arguments: argparse.Namespace, options: SearchOptions) -> dict[str, Any]:
    """Return the version, the models and the settings that translations depend on."""
    from nmt.bundle import find_bundle
    from nmt.reading import sha256

    paths = [arguments.model, *arguments.ensemble]
    models = [sha256(find_bundle(path) / "bundle.json") for path in paths]
    settings = dataclasses.asdict(options) | {"precision": arguments.precision}
    del settings["batch_size"]
    return {"nmt": __version__, "models": models, **settings}
