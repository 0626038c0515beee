"""`builtin:phrases`: a German-English corpus made by a grammar, one translation each way."""

from nmt.data.phrases.splits import LANGUAGES, SPLITS, read_split

__all__ = ["LANGUAGES", "SPLITS", "read_split"]
