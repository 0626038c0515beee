"""What a pair's text alone tells the filters; the tests that need neither tokens nor settings."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.columns import Pair

CONTROL, UNTRANSLATED, OVERLAP, DUPLICATE = 1, 2, 4, 8
"""Bits of a pair's mark; `DUPLICATE` is set once all pairs are known (`nmt.data.duplicates`)."""

_RARE = 0.01  # of a language's letters; names in other scripts are no script of its own
_ALL = 100
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # category Cc without the tab


class Scripts:
    """The scripts that a language is written in, learned from sample text.

    Args:
        sample: texts in the language. Scripts of at least 1 % of its letters count; where it has no
            letter, all do.
    """

    def __init__(self, sample: Iterable[str]):
        letters = Counter(letter for text in sample for letter in text if letter.isalpha())
        found: Counter[str] = Counter()
        for letter, count in letters.items():
            found[script_of(letter)] += count
        self.names = frozenset(n for n, count in found.items() if count >= _RARE * found.total())
        self._right: set[str] = set()

    def share(self, text: str) -> int:
        """Return the share of a text's letters that are of these scripts, in percent, rounded down.

        It is 100 where the text has no letter.
        """
        if self._right.issuperset(text):  # the common case, at the speed of C
            return _ALL
        letters = [letter for letter in text if letter.isalpha()]
        wrong = {letter for letter in letters if not self._is_right(letter)}
        self._right.update(set(text) - wrong)
        right = sum(letter not in wrong for letter in letters)
        return _ALL * right // len(letters) if letters else _ALL

    def _is_right(self, letter: str) -> bool:
        return letter in self._right or not self.names or script_of(letter) in self.names


def script_of(letter: str) -> str:
    """Return a letter's script as Unicode's names spell it, such as LATIN or CJK.

    It is the first word of the name, of the compatibility form: a full-width A is LATIN.
    """
    name = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "")
    return re.split("[ -]", name)[0].replace("IDEOGRAPHIC", "CJK")


class Marker:
    """Tests the texts of pairs, for the filters.

    Args:
        held_out: pairs of every other split than train; the scripts are those of `validation`.
    """

    def __init__(self, held_out: Mapping[str, Sequence[Pair]]):
        validation = held_out.get("validation", ())
        self.scripts = tuple(Scripts(pair[side] for pair in validation) for side in (0, 1))
        self._held_out = tuple(
            {folded(pair[side]) for pairs in held_out.values() for pair in pairs} - {""}
            for side in (0, 1)
        )

    def marks(self, pairs: Sequence[Pair]) -> NDArray[np.uint8]:
        """Return the bits of each pair that its own text decides, `(pairs,)`."""
        return np.fromiter((self._mark(*pair) for pair in pairs), np.uint8, len(pairs))

    def shares(self, pairs: Sequence[Pair]) -> NDArray[np.uint8]:
        """Return the percentage of letters in the right script, of the worse side, `(pairs,)`."""
        source, target = self.scripts
        shares = (min(source.share(pair[0]), target.share(pair[1])) for pair in pairs)
        return np.fromiter(shares, np.uint8, len(pairs))

    def _mark(self, source: str, target: str) -> int:
        mark = CONTROL if _CONTROL.search(source) or _CONTROL.search(target) else 0
        source, target = folded(source), folded(target)
        if source == target != "":
            mark |= UNTRANSLATED
        if source in self._held_out[0] or target in self._held_out[1]:
            mark |= OVERLAP
        return mark


def folded(text: str) -> str:
    """Return a text without its outer white space, and with one space for each other run of it."""
    return " ".join(text.split())


def text_hashes(pairs: Sequence[Pair]) -> NDArray[np.uint64]:
    """Return 64 bits of BLAKE2b of each pair's text, `(pairs,)`.

    Among 50 million pairs, two different ones share them with a probability of 1 in 15,000.
    """
    digests = (
        hashlib.blake2b(f"{source}\n{target}".encode("utf-8", "surrogatepass"), digest_size=8)
        for source, target in pairs
    )
    return np.frombuffer(b"".join(digest.digest() for digest in digests), np.uint64)
