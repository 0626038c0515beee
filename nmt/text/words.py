"""Word boundaries between the pieces of a vocabulary.

A word is a run of letters, digits and the marks on them, or one piece of anything else, such as a
full stop. It continues while the next piece, without a space before it, starts with a letter or
digit. In scripts without spaces between words, every piece is a word.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.text.tokenizer import Vocabulary

_SPACE = "▁"
_BYTE = re.compile("<0x[0-9A-F]{2}>")  # part of a rare character, treated as a letter
_SPACELESS = re.compile(  # Thai, Lao, Tibetan, Burmese, Khmer, kana, Chinese characters
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class WordPieces:
    """The role of each piece of a vocabulary in words; one entry for each id.

    Attributes:
        begins: whether it begins a word, also directly after a letter.
        goes_on: whether it continues a word directly before it; special tokens, such as the end
            token, neither begin nor continue words.
        stays_open: whether a word may continue after it.
        blank: whether it consists of spaces.
    """

    begins: list[bool]
    goes_on: list[bool]
    stays_open: list[bool]
    blank: list[bool]

    @classmethod
    @functools.lru_cache(maxsize=8)
    def of(cls, vocabulary: Vocabulary) -> "WordPieces":
        """Classify all pieces of a vocabulary."""
        pieces = vocabulary.pieces(range(len(vocabulary)))
        spelling = vocabulary.text_ids() | {vocabulary.unk_id}
        spelling |= {id_ for id_, piece in enumerate(pieces) if _BYTE.fullmatch(piece)}
        inside = [_BYTE.fullmatch(piece) or _is_letter(piece[:1]) for piece in pieces]
        return cls(
            begins=[id_ in spelling and not inner for id_, inner in enumerate(inside)],
            goes_on=[id_ in spelling and bool(inner) for id_, inner in enumerate(inside)],
            stays_open=[id_ in spelling and ends_open([piece]) for id_, piece in enumerate(pieces)],
            blank=[not piece.strip(_SPACE) for piece in pieces],
        )


def ends_open(pieces: Sequence[str]) -> bool:
    """Return whether a text ends in a word that another piece could continue."""
    last = pieces[-1] if pieces else ""
    return _BYTE.fullmatch(last) is not None or _is_letter(last[-1:])


def _is_letter(character: str) -> bool:
    """Return whether a character may be part of a longer word; False for an empty string."""
    if character == "" or _SPACELESS.match(character):
        return False
    return unicodedata.category(character)[0] in "LMN"
