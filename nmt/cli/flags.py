"""Flags made from the fields of dataclasses: types parse the values, docstrings are the help."""

import argparse
import itertools
import json
import re
import types
from collections.abc import Container
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from nmt.config import Config, DecodingConfig, SearchOptions
from nmt.config.sections import Threads
from nmt.config.values import Word, describe, field_texts, field_types, read_value

Device = Literal["auto", "cpu", "cuda"]
_WAYS = ("beam_size", "greedy", "sample")


def option(default: Any = None, **keywords: Any) -> Any:
    """Return a field for `add_flags`.

    Args:
        default: value without the flag; a list flag starts empty.
        **keywords: further arguments of `add_argument`; `names` replaces the flag's name.
    """
    return field(default=default, metadata=keywords)


def positional(metavar: str, **keywords: Any) -> Any:
    """Return the field of an argument without a flag; see `option`."""
    return option(metavar=metavar, names=(), **keywords)


@dataclass
class DeviceFlags:
    """The device, precision and CPU threads of a model."""

    device: Device = "auto"
    """device to run on; auto is a GPU if there is one"""
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """auto is int8 if all weights are int8, else fp32; with bf16 a translation may depend on the
    rest of its batch, with int8 it does not (with attention: up to rounding)"""
    threads: Threads | None = None
    """CPU threads (default: torch's default)"""


@dataclass
class ModelFlags(DeviceFlags):
    """A model or an ensemble."""

    model: str = positional("MODEL")
    """run folder, bundle folder, or hf://owner/name[@revision]"""
    ensemble: list[str] = option(metavar="MODEL", nargs="+", action="extend")
    """more models with the same tokenizers, whose log-probabilities are averaged with MODEL's;
    takes every word up to the next option, so put it last or repeat it"""


@dataclass
class JsonFlag:
    """JSON in place of a report, or in a file beside it."""

    json: str | None = option(metavar="OUT", nargs="?", const="-")
    """print JSON instead (-), or also write it to OUT"""


def add_flags(parser: argparse.ArgumentParser, words: list[str], *kinds: type) -> None:
    """Add an argument for each field of some dataclasses, which are never instantiated.

    Args:
        parser: receives the arguments.
        words: the command line; the fields' docstrings are read only if it asks for help.
        kinds: the dataclasses; see `option` and `positional`.
    """
    for kind in kinds:
        hints, texts = field_types(kind), _help_texts(kind, words)
        for each in fields(kind):
            flag, text = flag_name(each.name), texts.get(each.name, "")
            keywords = {"default": each.default, **_reading(hints[each.name], flag)}
            keywords |= each.metadata
            names = keywords.pop("names", [flag])
            text = _with_default(text, keywords["default"])
            parser.add_argument(*names, dest=each.name, help=text, **keywords)


def add_search_flags(
    parser: argparse.ArgumentParser, words: list[str], *, without: Container[str] = ()
) -> None:
    """Add the fields of `SearchOptions`; an option that is not given is the model's own.

    Args:
        parser: receives the arguments.
        words: see `add_flags`.
        without: fields to leave out.
    """
    texts, own = _help_texts(SearchOptions, words), field_types(DecodingConfig)
    way = parser.add_mutually_exclusive_group()
    for name, kind in field_types(SearchOptions).items():
        if name not in ("max_source_length", "alignments") and name not in without:
            group, flag = way if name in _WAYS else parser, flag_name(name)
            default = "the model's" if name in own else getattr(SearchOptions, name)
            text = _with_default(texts.get(name, ""), default)
            keywords = _reading(kind, flag) | {"default": None}
            group.add_argument(flag, help=text, **keywords)


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Separate a command's arguments from config keys (`--seed` or with a dot) and their values.

    Args:
        words: the arguments after the verb.
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
        parser: receives the arguments.
        words: see `add_flags`.
    """
    parser.allow_abbrev = False  # it would take `--see` for `--seed`
    parser.add_argument("config", metavar="CONFIG", help="YAML file; every key is also an option")
    _add_keys(parser, Config(), "", words)


def _add_keys(parser: argparse.ArgumentParser, section: Any, prefix: str, words: list[str]) -> None:
    texts = _help_texts(type(section), words)
    for name, kind in field_types(type(section)).items():
        default, key = getattr(section, name), f"{prefix}{name}"
        if is_dataclass(default):
            _add_keys(parser, default, f"{key}.", words)
        else:
            choices = kind.__args__ if get_origin(kind) is Literal else None
            rule = "" if choices else f"{describe(kind)}; "
            parser.add_argument(
                f"--{key}",
                choices=choices,
                metavar=None if choices else name.upper(),
                help=f"{texts.get(name, '')} ({rule}default: {json.dumps(default)})",
            )


def _help_texts(kind: type, words: list[str]) -> dict[str, str]:
    """Return the docstrings of fields, only if help is requested: parsing them is slow."""
    if not {"-h", "--help"} & set(words):
        return {}
    return {name: text.replace("%", "%%") for name, text in field_texts(kind).items()}


def _with_default(text: str, default: object) -> str:
    """Add a default to a help text that does not state one."""
    return f"{text} (default: {default})".strip() if default and "(default" not in text else text


def flag_name(name: str) -> str:
    """Return the flag of a field."""
    return f"--{name.replace('_', '-')}"


def _reading(kind: Any, flag: str) -> dict[str, Any]:
    """Return the arguments of `add_argument` that parse a value of a type."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _reading(parts[0], flag)  # the rest is None
    if kind is bool:
        return {"action": "store_true"}
    if origin is Literal:
        return {"choices": parts}
    if origin is list:
        return {"action": "append", "default": [], **_reading(parts[0], flag)}
    plain = kind in (str, Path)
    return {"type": kind if plain else lambda word: read_value(kind, Word(word), flag)}
