"""Reads values by type and range, for config keys, flags and keyword arguments alike."""

import contextlib
import dataclasses
import math
import numbers
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from nmt.errors import ConfigError, shown, suggestion

_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text of 1 to 4,096 characters",
    types.NoneType: "null",
    list: "a list",
    dict: "a mapping",
}
_LONGEST_TEXT = 4096


@dataclasses.dataclass(frozen=True)
class Range:
    """Legal numbers: from `low` to `high`; `above` excludes `low`, `below` excludes `high`."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __contains__(self, value: Any) -> bool:
        excluded = (self.above and value == self.low) or (self.below and value == self.high)
        return bool(self.low <= value <= self.high) and not excluded

    def __str__(self) -> str:
        if not self.above and not self.below:
            return f"from {self.low:,} to {self.high:,}"
        low = f"{'above' if self.above else 'at least'} {self.low:,}"
        if self.high == math.inf:
            return low
        return f"{low} and {'below' if self.below else 'at most'} {self.high:,}"


@dataclasses.dataclass(frozen=True)
class Matches:
    """Legal text: full matches of a regular expression.

    Attributes:
        pattern: the expression.
        what: what it stands for, in errors.
        meant: returns what a user may have meant by other text, or an empty string.
    """

    pattern: str
    what: str
    meant: Callable[[str], str] = lambda text: ""

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.what


class Word(str):
    """A word of the command line; the type of its key decides whether it is a number or switch."""

    def __repr__(self) -> str:
        return str(self) or "''"


class _MisfitError(Exception):
    """The value does not have the type at hand."""


def read_value(kind: Any, value: object, key: str) -> Any:
    """Convert a value to a type: a word to a number, a mapping to a dataclass.

    Args:
        kind: a type hint; `Annotated` holds its `Range` or `Matches`.
        value: from the user.
        key: its name in errors.

    Raises:
        ConfigError: the value, or one inside it, has another type or is out of range.
    """
    try:
        return _convert(kind, value, key)
    except _MisfitError:
        hint = _hint(kind, value) if isinstance(value, str) else ""
        text = "null" if value is None else shown(value)
        raise ConfigError(f"{key}: {text} must be {describe(kind)}{hint}") from None


def field_types(kind: type) -> dict[str, Any]:
    """Return the type hints of a dataclass's fields by name, with their ranges."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def field_texts(kind: type) -> dict[str, str]:
    """Return what stands below each field of a dataclass and of those that it extends."""
    import docstring_parser

    texts: dict[str, str] = {}
    for each in reversed(kind.__mro__[:-1]):
        for entry in docstring_parser.parse_from_object(each).params:
            texts[entry.arg_name] = " ".join(str(entry.description).split())
    return texts


def read_section(kind: Any, values: object, key: str, defaults: object = None) -> Any:
    """Make a dataclass from a mapping, and check its values.

    Args:
        kind: the dataclass.
        values: a mapping; None means an empty one.
        key: path of the section; empty for the whole config.
        defaults: a `kind` with the values of missing keys; None if all keys are required.

    Raises:
        ConfigError: an unknown or missing key, or a wrong value.
    """
    if not isinstance(values, Mapping | None):
        raise ConfigError(f"{key}: {shown(values)} must be a mapping of keys")
    given, hints, prefix = values or {}, field_types(kind), f"{key}." if key else ""
    refuse_unknown(given, hints, prefix)
    read = {}
    for name, hint in hints.items():
        path = f"{prefix}{name}"
        if dataclasses.is_dataclass(hint):
            read[name] = read_section(hint, given.get(name), path, getattr(defaults, name))
        elif name in given:
            read[name] = read_value(hint, given[name], path)
        elif defaults is not None:
            read[name] = getattr(defaults, name)
        else:
            raise ConfigError(f"{path} is missing; give {describe(hint)}")
    return kind(**read)


def refuse_unknown(given: Iterable[object], known: Iterable[str], prefix: str = "") -> None:
    """Refuse unknown names, and suggest a similar known one.

    Raises:
        ConfigError: the first unknown name.
    """
    known = list(known)
    every = f"; known: {', '.join(known)}"
    for name in given:
        if name not in known:
            key = f"{prefix}{name if isinstance(name, str) and len(name) < 100 else shown(name)}"
            near = suggestion(key, [f"{prefix}{other}" for other in known])
            raise ConfigError(f"unknown key {key}{near or every}")


def describe(kind: Any) -> str:
    """Describe a type for users, such as `a whole number from 1 to 64 or null`."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return str(parts[1]) if parts[0] is str else f"{describe(parts[0])} {parts[1]}"
    if origin is Literal:
        return " or ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    if origin in (Union, types.UnionType):
        return " or ".join(map(describe, parts))
    if origin is list:
        return f"a list of {describe(parts[0])}"
    return _NAMES.get(origin or kind, "a mapping of keys")


def _hint(kind: Any, text: str) -> str:
    """Return `; did you mean …?` with what a type has for a text, or nothing."""
    rules = [part.meant(text) for part in get_args(kind) if isinstance(part, Matches)]
    return f"; did you mean {rules[0]}?" if any(rules) else suggestion(text, _choices(kind))


def _choices(kind: Any) -> Iterator[str]:
    """Yield the literal words of a type."""
    for part in get_args(kind):
        if isinstance(part, str):
            yield part
        else:
            yield from _choices(part)


def _convert(kind: Any, value: Any, key: str) -> Any:
    """Convert a value to a type, or raise `_MisfitError`; items are converted with their keys."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        value = _convert(parts[0], value, key)
        if value not in parts[1]:
            raise _MisfitError
        return value
    if origin in (Union, types.UnionType):
        for part in parts:
            with contextlib.suppress(_MisfitError):
                return _convert(part, value, key)
        raise _MisfitError
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return read_section(kind, value, key)
    if origin is Literal and isinstance(value, str) and value in parts:
        return str(value)
    if origin is list and isinstance(value, list):
        return [read_value(parts[0], item, f"{key}[{row}]") for row, item in enumerate(value)]
    if origin is dict and isinstance(value, Mapping):
        names = [read_value(parts[0], name, key) for name in value]
        return {name: read_value(parts[1], value[name], f"{key}.{name}") for name in names}
    return _plain(kind, value)


def _plain(kind: Any, value: Any) -> Any:
    """Convert a value to a number, a switch, text or None."""
    if kind is types.NoneType and value is None:
        return None
    if kind is str and isinstance(value, str):
        if 0 < len(value) <= _LONGEST_TEXT and not re.search("[\0\ud800-\udfff]", value):
            return str(value)
    elif kind is bool:
        if isinstance(value, Word):
            value = {"true": True, "false": False}.get(value.lower())
        if isinstance(value, bool):
            return value
    elif kind in (int, float) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = numbers.Integral if kind is int else numbers.Real
            if isinstance(value, (Word, number)):
                value = kind(value)
                if not math.isnan(value):
                    return value
    raise _MisfitError
