"""Where words begin and end, as pieces have it.

A word is a run of letters, digits and the marks on them, or one piece of anything else, such as a
full stop. It goes on as long as the next piece, without a space before it, starts with a letter or
digit. Scripts that put no spaces between words have no such runs: there every piece is a word.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from nmt.text.tokenizer import Vocabulary

_SPACE = "▁"
_BYTE = re.compile("<0x[0-9A-F]{2}>")  # a part of a rare character, which is taken for a letter
_SPACELESS = re.compile(  # Thai, Lao, Tibetan, Burmese, Khmer, kana, Chinese characters
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class WordPieces:
    """What each piece of a vocabulary is to words; one entry for each id.

    Attributes:
        begins: whether it begins a word, also right behind a letter.
        goes_on: whether it goes on with a word that stands right before it; pieces that spell
            nothing, such as the end token, do neither.
        stays_open: whether a word may go on behind it.
        blank: whether it is spaces alone.
    """

    begins: list[bool]
    goes_on: list[bool]
    stays_open: list[bool]
    blank: list[bool]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "WordPieces":
        """Look at all pieces of a vocabulary."""
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


def ends_open(pieces: Iterable[str]) -> bool:
    """Tell whether a text ends in a word that another piece could go on with."""
    last = next(reversed(list(pieces)), "")
    return _BYTE.fullmatch(last) is not None or _is_letter(last[-1:])


def _is_letter(character: str) -> bool:
    """Tell whether words of several characters hold this one; not so for an empty text."""
    return (
        character != ""
        and unicodedata.category(character)[0] in "LMN"
        and not _SPACELESS.match(character)
    )
