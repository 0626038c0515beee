"""Reads configs from YAML and the command line, and writes them as YAML."""

import codecs
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from nmt.config.checks import check_combinations
from nmt.config.dialect import LARGEST, dump_yaml, load_yaml
from nmt.config.sections import Config
from nmt.config.values import Word, read_section
from nmt.errors import ConfigError, DataError, shorten, shown
from nmt.reading import read_bytes

_MACHINE = ("data.cache", "tokenizer.path", "training.init_from")
"""Keys that a bundle omits, beside `data.distill` and the places of files."""

Overrides = Sequence[str] | Mapping[str, Any]
"""Words of the command line, as `["--model.layers", "3"]`, or values, as `{"model.layers": 3}`."""

Base = Callable[[Config], Config] | None
"""Maps a config to another one, which replaces the defaults of keys that nobody has set."""


def load_config(path: str | Path, overrides: Overrides = (), *, base: Base = None) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: a YAML file of the keys that differ from the defaults.
        overrides: see `Overrides`.
        base: see `Base`.

    Raises:
        ConfigError: unreadable file, unknown key, wrong type or range, or values that contradict
            each other; the message names the key.
    """
    return parse_config(_read(path, regular=False), overrides, str(path), base=base)


def load_stored_config(path: Path) -> Config:
    """Read a regular file written by `dump_config`. See `load_config`."""
    return parse_config(_read(path), origin=str(path))


def parse_config(
    text: str, overrides: Overrides = (), origin: str = "config", *, base: Base = None
) -> Config:
    """Parse the YAML text of a config; `origin` is its name in errors. See `load_config`."""
    values = load_yaml(text, origin)
    if not isinstance(values, dict):
        raise ConfigError(f"{origin}: a config is a mapping of sections, not {shown(values)}")
    config = _build(values, origin)
    if overrides:
        pairs = overrides.items() if isinstance(overrides, Mapping) else _read_words(overrides)
        place = "overrides" if isinstance(overrides, Mapping) else "command line"
        for key, value in pairs:
            values = _replace(values, str(key).split("."), value)
        config = _build(values, place)
        origin = f"{origin} or the {place}"
    if base is not None:
        config = _build(values, origin, base(config))
    check_combinations(config, origin)
    return config


def check_config(config: Config, origin: str) -> None:
    """Check types, ranges and combinations of a config made in Python.

    Raises:
        ConfigError: the first fault, with its key.
    """
    check_combinations(_build(dataclasses.asdict(config), origin), origin)


def _build(values: dict[str, Any], origin: str, defaults: Config | None = None) -> Config:
    try:
        config: Config = read_section(Config, values, "", defaults or Config())
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from None
    return config


def _read_words(words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield each key on the command line and its value."""
    rest = iter(words)
    for word in rest:
        key, is_set, value = word.removeprefix("--").partition("=")
        if not is_set:
            value = next(rest, "--")
        if not word.startswith("--") or value.startswith("--"):
            raise ConfigError(f"command line: {shorten(word)}: give --KEY VALUE")
        # Other text is converted later, by the type of its key.
        structured = value.startswith(("{", "[")) or value == "null"
        origin = f"command line: {shorten(key)}"
        yield key, load_yaml(value, origin) if structured else Word(value)


def _replace(values: object, path: Sequence[str], value: object) -> dict[str, Any]:
    """Return a copy of nested mappings with a new value at a path."""
    key, *rest = path
    old = values if isinstance(values, dict) else {}
    return {**old, key: _replace(old.get(key), rest, value) if rest else _plain(value)}


def _plain(value: Any) -> Any:
    """Return a value with paths and tuples as YAML would have them."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def _read(path: str | Path, *, regular: bool = True) -> str:
    try:
        data = read_bytes(path, LARGEST, regular=regular)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            fault = "it is UTF-16, not UTF-8; convert it, as with iconv -f UTF-16 -t UTF-8"
            raise ConfigError(f"cannot read the config {path}: {fault}")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read the config {path}: {error}") from None
    except DataError as error:
        raise ConfigError(f"config: {shorten(str(error))}") from None


def dump_config(config: Config, *, portable: bool = False) -> str:
    """Write a config as YAML with every key.

    Args:
        config: the config.
        portable: omit the keys of this machine: `data.distill`, all paths, and `data.splits` of
            files; a corpus in a folder, `hub:FOLDER`, becomes `files`.
    """
    values = dataclasses.asdict(config)
    if portable:
        values["data"]["distill"] = {}
        values["data"]["corpus"] = config.data.public_corpus
        if config.data.public_corpus == "files":
            values["data"]["splits"] = None
        for section, name in (key.split(".") for key in _MACHINE):
            values[section][name] = None
    return dump_yaml(values)


def changed_keys(old: Config, new: Config) -> list[str]:
    """Return the paths of the keys whose values differ between two configs."""
    before, after = flat_config(old), flat_config(new)
    return sorted(key for key in before | after if before.get(key) != after.get(key))


def flat_config(config: Config) -> dict[str, Any]:
    """Return the value of every key by its path, such as `model.cell`."""
    return _flatten(dataclasses.asdict(config))


def _flatten(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat
