"""Reads texts from callers in Python: any iterable of strings."""

import re
from collections.abc import Iterable

from nmt.errors import UsageError, shown


def read_texts(name: str, texts: Iterable[str]) -> list[str]:
    """Return texts from any iterable, such as a generator or a table's column, as a list.

    Args:
        name: name of the argument in errors.
        texts: strings, in order.

    Raises:
        UsageError: a single string, not an iterable, or an item that is not text; rows count from
            0.
    """
    if isinstance(texts, str | bytes):
        raise UsageError(
            f"{name}: {shown(texts)} is one text; give a list of texts, such as [text]"
        )
    if not isinstance(texts, Iterable):
        raise UsageError(f"{name}: {shown(texts)} is not a list of texts; give one")
    rows = list(texts)
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise UsageError(f"{name}: row {row} is {shown(text)}, not text; leave it out")
        if re.search("[\ud800-\udfff]", text):
            raise UsageError(f"{name}: row {row} is not valid Unicode: {shown(text)}; leave it out")
    return rows
