"""What callers in Python give: texts in any iterable."""

import re
from collections.abc import Iterable

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
