"""What callers in Python give: texts in any iterable, and settings by name."""

import difflib
import numbers
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from nmt.config import SearchOptions
from nmt.errors import UsageError, shown


def read_texts(name: str, texts: Iterable[str]) -> list[str]:
    """Return texts as a list, whatever holds them: a generator, an array, a table's column.

    Args:
        name: of the argument, for errors.
        texts: strings, in order.

    Raises:
        UsageError: a single string, no iterable, or an item that is no text; its row is counted
            from 0.
    """
    if isinstance(texts, str | bytes):
        raise UsageError(
            f"{name}: {shown(texts)} is one text; give a list of texts, such as [text]"
        )
    if not isinstance(texts, Iterable):
        raise UsageError(f"{name}: {shown(texts)} is no list of texts")
    rows = list(texts)
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise UsageError(f"{name}: row {row} is {shown(text)}, not text; leave it out")
        if re.search("[\ud800-\udfff]", text):
            raise UsageError(f"{name}: row {row} is no valid Unicode: {shown(text)}")
    return rows


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse names that are no field of `SearchOptions`, and values of another type.

    Raises:
        UsageError: the first of them, with what may be given.
    """
    kinds = typing.get_type_hints(SearchOptions)
    for name, value in settings.items():
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds)}"
            raise UsageError(f"{name} is no setting of the search; {hint}")
        if not any(_fits(value, kind) for kind in typing.get_args(kinds[name]) or [kinds[name]]):
            raise UsageError(f"{name}: {shown(value)} is not {_KINDS[_main(kinds[name])]}")


_KINDS = {int: "a whole number", float: "a number", bool: "True or False"}


def _main(kind: Any) -> Any:
    """Return the type of a field that may also be None."""
    return next(iter(typing.get_args(kind)), kind)


def _fits(value: object, kind: type) -> bool:
    if kind in (int, float):
        number = numbers.Integral if kind is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool)
    return isinstance(value, kind)
