"""The one parser of configs, for commands, Python and bundles; and its way back to YAML."""

import codecs
import dataclasses
import difflib
import functools
import itertools
import math
import re
import typing
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import yaml

from nmt.config.checks import check_config
from nmt.config.sections import Config
from nmt.errors import ConfigError, DataError, shown
from nmt.reading import read_bytes

_MOST = 2**20  # characters of a config


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: a YAML file that holds what differs from the defaults.
        overrides: command-line words, such as `["--model.cell", "gru"]`.

    Raises:
        ConfigError: unreadable file, unknown key, wrong type, or values that make no sense
            together; the message names the key.
    """
    return parse_config(_read(path, regular=False), overrides, origin=str(path))


def load_stored_config(path: Path) -> Config:
    """Read what `dump_config` wrote, from a regular file. See `load_config`."""
    return parse_config(_read(path), origin=str(path))


def parse_config(text: str, overrides: Sequence[str] = (), origin: str = "config") -> Config:
    """Parse the YAML text of a config; `origin` names it in errors. See `load_config`."""
    values = _parse_yaml(text, origin)
    config = _build(values, origin)
    if overrides:
        for path, value in _read_words(overrides):
            values = _replace(values, path, value)
        config = _build(values, "command line")
    check_config(config, f"{origin} or the command line" if overrides else origin)
    return config


def _build(values: dict[str, Any], origin: str) -> Config:
    """Make a config of nested mappings, and refuse unknown keys and wrong types."""
    _refuse_unknown_keys(values, Config, origin)
    parser = config_parser()
    try:
        return Config(**vars(parser.instantiate(parser.parse_object(values))))
    except jsonargparse.ArgumentError as error:
        raise ConfigError(f"{origin}: {_one_line(error)}") from None


def _read_words(words: Sequence[str]) -> Iterator[tuple[list[str], Any]]:
    """Yield the path of each key on the command line, and its value."""
    rest = iter(words)
    for word in rest:
        key, is_set, value = word.removeprefix("--").partition("=")
        if not is_set:
            value = next(rest, "--")
        if not word.startswith("--") or value.startswith("--"):
            raise ConfigError(f"command line: {word}: give --KEY VALUE")
        try:
            # Other text is read by the type of its key.
            structured = value.startswith(("{", "[")) or value == "null"
            yield key.split("."), _load_yaml(value) if structured else value
        except yaml.YAMLError as error:
            told = f"{_cut(key)}: not valid YAML: {_cut(str(error))}"
            raise ConfigError(f"command line: {told}") from None


def _replace(values: object, path: Sequence[str], value: object) -> dict[str, Any]:
    """Return a copy of nested mappings with another value at a path."""
    key, *rest = path
    old = values if isinstance(values, dict) else {}
    return {**old, key: _replace(old.get(key), rest, value) if rest else value}


def _read(path: str | Path, *, regular: bool = True) -> str:
    try:
        data = read_bytes(path, _MOST, regular=regular)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            told = "it is UTF-16, not UTF-8; convert it, as with iconv -f UTF-16 -t UTF-8"
            raise ConfigError(f"cannot read the config {path}: {told}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from None
    except DataError as error:
        raise ConfigError(f"config: {error}") from None


@functools.cache
def config_parser() -> jsonargparse.ArgumentParser:
    """Return the parser of all keys, whose help lists each with its default and its unit."""
    jsonargparse.set_loader("nmt", _load_yaml, exceptions=(yaml.YAMLError,))
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(
        exit_on_error=False, parser_mode="nmt", prog="nmt train CONFIG", allow_abbrev=False
    )
    parser.add_class_arguments(Config)
    return parser


def dump_config(config: Config, *, portable: bool = False) -> str:
    """Write a config as YAML with every key.

    Args:
        config: what to write.
        portable: leave out what belongs to this machine: `data.splits`, `data.distill` and all
            paths.
    """
    values = dataclasses.asdict(config)
    if portable:
        values["data"] |= {"splits": None, "distill": {}, "cache": None}
        values["tokenizer"]["path"] = None
        values["training"]["init_from"] = None
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def changed_keys(old: Config, new: Config) -> list[str]:
    """Return the paths of the keys whose values differ between two configs."""
    before, after = flat_config(old), flat_config(new)
    return sorted(key for key in before | after if before.get(key) != after.get(key))


def flat_config(config: Config) -> dict[str, Any]:
    """Return every key's value by the key's path, such as `model.cell`."""
    return _flatten(dataclasses.asdict(config))


class _YamlLoader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: `no` is Norwegian, `1e-3` is a number, dates are text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice, of which YAML would keep the last."""
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for name, times in names.items():
            if times > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(name)} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag.endswith((":null", ":merge"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _rule, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
]:
    _YamlLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_rule})$"), list(_first)
    )


def _load_yaml(text: str) -> Any:
    """Parse YAML of bounded depth and size, aliases written out."""
    loader = _YamlLoader(text)
    try:
        node = loader.get_single_node()
        if _size(node, {}) > _MOST:
            raise yaml.YAMLError("its aliases stand for too much; write it without them")
        return None if node is None else loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ValueError, LookupError, AttributeError) as error:  # such as of "!!int x"
        raise yaml.YAMLError(str(error)) from None


def _size(node: yaml.Node | None, sizes: dict[int, float]) -> float:
    """Count the characters and nodes of a document whose aliases are written out."""
    if isinstance(node, yaml.CollectionNode) and id(node) not in sizes:
        sizes[id(node)] = math.inf  # what an alias inside of the node itself finds
        children = itertools.chain.from_iterable(
            child if isinstance(child, tuple) else [child] for child in node.value
        )
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in children)
    return 1 + len(getattr(node, "value", "")) if id(node) not in sizes else sizes[id(node)]


def _parse_yaml(text: str, origin: str) -> dict[str, Any]:
    try:
        values = _load_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {_cut(str(error))}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{origin}: a config is a mapping of sections, not {shown(values)}")
    return values


def _refuse_unknown_keys(values: object, kind: Any, origin: str, path: str = "") -> None:
    """Walk a parsed file beside the dataclasses, and name the first key they do not have."""
    if isinstance(values, Mapping):
        for key in values:
            if not isinstance(key, str):
                raise ConfigError(f"{origin}: {path}{shown(key)}: a key is text; put it in quotes")
    kind = next(filter(dataclasses.is_dataclass, [kind, *typing.get_args(kind)]), None)
    if kind is None or values is None:
        return
    if not isinstance(values, Mapping):
        raise ConfigError(f"{origin}: {path.rstrip('.')} is a section of keys, not {shown(values)}")
    fields = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {path}{near[0]}?" if near else f"known: {', '.join(fields)}"
            raise ConfigError(f"{origin}: unknown key {path}{_cut(key)}; {hint}")
        _refuse_unknown_keys(value, fields[key], origin, f"{path}{key}.")


def _flatten(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat


def _one_line(error: Exception) -> str:
    """Fold the parser's message into one line of plain words."""
    rules = [
        (r"\s+", " "),
        (r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1"),
        (r"typing\.", ""),
        (r"Parser key \"([^\"]*)\": ", r"\1: "),
        (r"unrecognized arguments: --(\S+)", r"unknown key \1:"),
        (r"Does not validate against any of the Union subtypes Subtypes:", "expected one of"),
        (r" Errors: .* Given value type: \S+", "."),
    ]
    message = str(error)
    for pattern, replacement in rules:
        message = re.sub(pattern, replacement, message)
    return _cut(message)


def _cut(message: str) -> str:
    """Put another library's message, or a key, into one line of bounded length."""
    line = " ".join(message.split())
    return line if len(line) <= 500 else f"{line[:300]} … {line[-150:]}"
