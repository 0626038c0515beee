"""Arguments that several verbs share: config, model, device, search options, JSON output."""

import argparse
import contextlib
import dataclasses
import gc
import glob
import itertools
import json
import os
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.config import Config, SearchOptions, load_stored_config
from nmt.config.options import refuse_unused
from nmt.config.sections import Threads
from nmt.config.values import describe, field_texts, field_types, word_reader
from nmt.errors import DataError, UsageError, counted
from nmt.storage import is_stream

if TYPE_CHECKING:
    from nmt.inference.translator import Translator


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Separate a command's own words from config keys (`--seed` or with a dot) and their values.

    Args:
        words: what follows the verb.
    """
    own: list[str] = []
    keys: list[str] = []
    rest = iter(words)
    for word in rest:
        if not re.match(r"--(\w*\.|seed(=|$))", word):
            own.append(word)
        else:
            keys += [word] if "=" in word else [word, *itertools.islice(rest, 1)]
    return own, keys


def add_config_argument(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Add CONFIG and, for help and suggestions, every config key; `split_words` reads their values.

    Args:
        parser: takes them.
        words: the command line; its help alone needs the keys' docstrings.
    """
    parser.allow_abbrev = False  # it would take `--see` for `--seed`
    parser.add_argument("config", metavar="CONFIG", help="YAML file; every key is also an option")
    _add_keys(parser, Config(), "", "-h" in words or "--help" in words)


def _add_keys(parser: argparse.ArgumentParser, section: Any, prefix: str, asked: bool) -> None:
    texts = _help_texts(type(section)) if asked else {}
    for name, kind in field_types(type(section)).items():
        default, key = getattr(section, name), f"{prefix}{name}"
        if dataclasses.is_dataclass(default):
            _add_keys(parser, default, f"{key}.", asked)
        else:
            choices = kind.__args__ if typing.get_origin(kind) is typing.Literal else None
            rule = "" if choices else f"{describe(kind)}; "
            parser.add_argument(
                f"--{key}",
                choices=choices,
                metavar=None if choices else name.upper(),
                help=f"{texts.get(name, '')} ({rule}default: {json.dumps(default)})",
            )


def _help_texts(kind: type) -> dict[str, str]:
    return {name: text.replace("%", "%%") for name, text in field_texts(kind).items()}


def refuse_output(out: str | Path | None, *inputs: str | Path | None) -> None:
    """Check, before any work, that a file can be written; `-` is standard output.

    Raises:
        DataError: there is no folder for it.
        UsageError: it is an input of the same call.
    """
    if out in (None, "-"):
        return
    out = Path(str(out))
    if not out.parent.is_dir():
        raise DataError(f"cannot write {out}: there is no folder {out.parent}")
    refuse_overwriting({out: ""}, [Path(path) for path in inputs if path is not None])


def refuse_overwriting(outputs: Mapping[Path, str], inputs: Iterable[Path]) -> None:
    """Refuse outputs that are inputs of the same call, or files of its models.

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
        told = f"{one} has {counted(count, 'line')}, and {other} {other_count:,}"
        raise DataError(f"{told}; they must match line by line")


def write_json(out: str, values: dict[str, Any]) -> None:
    """Write JSON to a file, or to standard output if `out` is `-`."""
    from nmt.text.lines import open_output

    with open_output(None if out == "-" else out) as stream:
        stream.write(json.dumps(values, indent=2, ensure_ascii=False).encode() + b"\n")


def add_model_arguments(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the arguments of every command that loads a model."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?" if optional else None,
        help="run folder, bundle folder, or hf://owner/name[@revision]",
    )
    parser.add_argument(
        "--ensemble",
        metavar="MODEL",
        nargs="+",
        action="extend",
        default=[],
        help="more models with the same tokenizers, whose log-probabilities are averaged with "
        "MODEL's; takes every word up to the next option, so put it last or repeat it",
    )
    add_device_arguments(parser)


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the device, precision and threads with which models compute."""
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "int8"],
        default="auto",
        help="auto is int8 if all weights are int8, else fp32; with bf16 a translation may depend "
        "on the rest of its batch, with int8 it does not (with attention: up to rounding)",
    )
    parser.add_argument(
        "--threads",
        type=word_reader(Threads, "--threads"),
        help="CPU threads (default: torch's default)",
    )


def add_search_arguments(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Add the fields of `SearchOptions`; an option that is not given is the model's own.

    Args:
        parser: takes them.
        words: the command line; its help alone needs the fields' docstrings.
    """
    asked = "-h" in words or "--help" in words
    texts = _help_texts(SearchOptions) if asked else {}
    way = parser.add_mutually_exclusive_group()
    for name, kind in field_types(SearchOptions).items():
        if name in ("max_source_length", "alignments"):
            continue
        group = way if name in ("beam_size", "greedy", "sample") else parser
        flag, text = f"--{name.replace('_', '-')}", texts.get(name)
        if kind is bool:
            group.add_argument(flag, action="store_true", default=None, help=text)
        else:
            group.add_argument(flag, type=word_reader(kind, flag), help=text)


def search_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the given search options; refuse combinations that exclude each other."""
    names = [field.name for field in dataclasses.fields(SearchOptions)]
    given = {name: getattr(arguments, name, None) for name in names}
    settings = {name: value for name, value in given.items() if value is not None}
    refuse_unused(settings, lambda name: f"--{name.replace('_', '-')}")
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
    gc.disable()  # a tenth of torch's import goes into looking for garbage, and there is none
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


def read_split(model: str, config: Config, split: str) -> list[tuple[str, str]]:
    """Read a split of the corpus that a model was trained on.

    Args:
        model: as it was named, for the error.
        config: see `model_config`.
        split: its name.

    Raises:
        UsageError: the place of the corpus is unknown.
        DataError: the split is missing or empty, or its path is relative to another folder.
    """
    from nmt.data.corpus import open_corpus

    if config.data.corpus == "files" and config.data.splits is None:
        raise UsageError(
            f"{model} is a bundle, which does not say where its data lies; "
            "give --source and --reference"
        )
    _refuse_elsewhere(model, config, split)
    return list(open_corpus(config.data, only=split).pairs(split))


def _refuse_elsewhere(model: str, config: Config, split: str) -> None:
    """Refuse relative places if the current folder is not the one they are relative to."""
    from nmt.data.corpus import corpus_places, place_parts

    places = corpus_places(config.data)
    place = places.get(split)
    if config.data.corpus != "files" or place is None:
        return
    for part, _ in place_parts(places["train"] if isinstance(place, dict) else place):
        prefix = Path(part)
        siblings = prefix.parent.glob(f"{glob.escape(prefix.name)}*")
        if not prefix.is_absolute() and next(siblings, None) is None:
            raise DataError(
                f"there is no {part} in {Path.cwd()}: the places of {model} are relative to the "
                "folder in which training began; go there, or give --source and --reference"
            )
