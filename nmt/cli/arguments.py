"""Work that several verbs share: checks of paths, models, splits, search settings, results."""

import argparse
import contextlib
import dataclasses
import gc
import glob
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.cli.flags import flag_name
from nmt.config import Config, SearchOptions, load_stored_config
from nmt.config.options import refuse_unused
from nmt.errors import DataError, UsageError, counted
from nmt.log import log
from nmt.storage import is_stream
from nmt.text.lines import open_output, read_lines

if TYPE_CHECKING:
    from nmt.inference.translator import Translator
    from nmt.report.blocks import Report


def refuse_output(out: str | Path | None, *inputs: str | Path | None) -> None:
    """Check, before any work, that a file can be written; `-` is standard output.

    Raises:
        DataError: there is no folder for it.
        UsageError: it is a folder, or an input of the same call.
    """
    if out in (None, "-"):
        return
    out = Path(str(out))
    if not out.parent.is_dir():
        raise DataError(f"cannot write {out}: there is no folder {out.parent}")
    refuse_overwriting({out: ""}, [Path(path) for path in inputs if path is not None])


def corpus_files(config: Config) -> list[Path]:
    """Return the files of a corpus, inputs of every call that reads a split."""
    from nmt.data.corpus import corpus_places, place_parts

    if config.data.corpus != "files":
        return []
    parts = itertools.chain(*map(place_parts, corpus_places(config.data).values()))
    places = [Path(part.place) for part in parts]
    sides = (place.parent.glob(f"{glob.escape(place.name)}.*") for place in places)
    return [*places, *itertools.chain(*sides)]


def refuse_overwriting(outputs: Mapping[Path, str], inputs: Iterable[Path]) -> None:
    """Refuse outputs that are folders, inputs of the same call, or files of its models.

    Args:
        outputs: files that will be written or removed, each with a remark for the error.
        inputs: files, runs and bundles. The standard streams are added where they are files.
    """
    files = [file for path in inputs for file in _own_files(path)]
    taken = {_identity(file): file for file in files if file.exists()}
    for number, stream in enumerate(("standard input", "standard output", "standard error")):
        with contextlib.suppress(OSError):
            taken.setdefault(_identity(number), Path(stream))
    for path, remark in outputs.items():
        if path.is_dir():
            raise UsageError(f"cannot write {path}{remark}: it is a folder; choose another output")
        if path.is_file() and not is_stream(path) and _identity(path) in taken:
            other = taken[_identity(path)]
            same = "the input itself" if path == other else f"{other}, an input or stream"
            raise UsageError(f"{path}{remark} is {same}; choose another output")


def _identity(file: Path | int) -> tuple[int, int]:
    status = os.stat(file)
    return status.st_dev, status.st_ino


def _own_files(path: Path) -> Iterator[Path]:
    """Yield an input file, or the files of a run or bundle except its results."""
    if not path.is_dir():
        yield path
    elif (path / "bundle.json").exists():
        yield from path.iterdir()
    else:
        yield from (path / name for name in ("config.yaml", "environment.json", "metrics.csv"))
        for name in ("model", "tokenizer", "checkpoints"):
            yield from path.glob(f"{name}/*")


def refuse_unequal(one: object, count: int, other: object, other_count: int) -> None:
    """Require equal line counts; the error names both files.

    Raises:
        DataError: unequal numbers of lines.
    """
    if count != other_count:
        counts = f"{one} has {counted(count, 'line')}, and {other} {other_count:,}"
        raise DataError(f"{counts}; they must match line by line")


def read_parallel(source: Path, target: Path) -> list[tuple[str, str]]:
    """Read two files that must match line by line.

    Raises:
        DataError: unequal numbers of lines, or a file that cannot be read.
    """
    sources, targets = list(read_lines(source)), list(read_lines(target))
    refuse_unequal(source, len(sources), target, len(targets))
    return list(zip(sources, targets, strict=True))


def write_json(out: str, values: dict[str, Any]) -> None:
    """Write JSON to a file, or to standard output if `out` is `-`."""
    with open_output(None if out == "-" else out) as stream:
        stream.write(json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n")


def print_result(out: str | None, report: "Report", record: Any) -> None:
    """Print a report; as JSON, print its record where `out` is `-`, or write it to `out`."""
    from nmt.cli.terminal import print_report

    if out != "-":
        print_report(report)
    if out is not None:
        write_json(out, dataclasses.asdict(record))


def search_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the given search options; refuse combinations that exclude each other."""
    names = [field.name for field in dataclasses.fields(SearchOptions)]
    given = {name: getattr(arguments, name, None) for name in names}
    settings = {name: value for name, value in given.items() if value is not None}
    refuse_unused(settings, flag_name)
    n_best = settings.get("n_best", 1)
    if n_best > 1 and getattr(arguments, "format", "text") == "text":
        raise UsageError(
            f"--n-best {n_best}: text has one line for each sentence; use --format tsv or jsonl"
        )
    if settings.get("alignments") and arguments.format == "text":
        raise UsageError("--alignments: text holds translations alone; use --format tsv or jsonl")
    return settings


def load_translator(arguments: argparse.Namespace) -> "Translator":
    """Load the model, or the ensemble, on the requested device."""
    gc.disable()  # a tenth of the time to import torch, and it frees nothing
    import torch

    from nmt.inference.translator import Translator

    gc.freeze()
    gc.enable()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    return Translator.load(
        arguments.model,
        ensemble=arguments.ensemble,
        device=arguments.device,
        precision=arguments.precision,
    )


def model_config(model: str) -> Config:
    """Return a model's config; only that of a run has the places of its data."""
    from nmt.bundle import find_bundle

    bundle = find_bundle(model)
    return load_stored_config((run_of(model, bundle) or bundle) / "config.yaml")


def run_of(model: str, bundle: Path) -> Path | None:
    """Return the run folder if the argument names one; None for a bundle."""
    return Path(model) if bundle == Path(model) / "model" else None


def read_run_split(model: str, config: Config, split: str) -> list[tuple[str, str]]:
    """Read a split of the corpus that a model was trained on.

    Args:
        model: as it was named, for the error.
        config: see `model_config`.
        split: its name.

    Raises:
        UsageError: the place of the corpus is unknown.
        DataError: the split is missing or empty.
    """
    from nmt.data.corpus import open_corpus

    refuse_placeless(model, config, "give --source and --reference")
    pairs = list(open_corpus(config.data, only=split).pairs(split))
    _warn_of_other_text(Path(model), split, pairs)
    return pairs


def _warn_of_other_text(run: Path, split: str, pairs: list[tuple[str, str]]) -> None:
    """Warn if a split is not the text that a run was validated or scored on."""
    from nmt.card import Environment
    from nmt.data.scan import text_fingerprint
    from nmt.evaluation.translations import read_translations
    from nmt.reading import read_record

    earlier = None
    if split == "validation" and (path := run / "environment.json").exists():
        earlier = read_record(path, Environment).get("data", {}).get("validation")
    elif (path := run / f"translations.{split}.jsonl").exists():
        texts = read_translations(path)
        earlier = text_fingerprint(zip(texts.sources, texts.references, strict=True))
    if earlier not in (None, text_fingerprint(pairs)):
        fault = "it is not the text that the run used; a cut of train may hold what it learnt"
        log.warning("data.splits.%s: %s", split, fault)


def refuse_placeless(model: str, config: Config, remedy: str) -> None:
    """Refuse the config of a bundle, unless its corpus is found without a place."""
    if config.data.corpus == "files" and config.data.splits is None:
        raise UsageError(f"{model} is a bundle, which does not say where its data lies; {remedy}")
