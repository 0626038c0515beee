"""The features of a pair that the filters read: lengths, text flags, shares of the right script."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.data.columns import Pair

Lengths = NDArray[np.uint16]
CONTROL, UNTRANSLATED, OVERLAP, DUPLICATE = 1, 2, 4, 8
"""Bits of a pair's flags; `DUPLICATE` is set once all pairs are known (`nmt.data.duplicates`)."""

_RARE = 0.01  # share of letters below which a script is not one of the language, as in names
_ALL = 100
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # category Cc without the tab


@dataclass(frozen=True)
class PairFeatures:
    """The features of all raw pairs, in their order.

    Attributes:
        lengths: tokens of source and target with the end token, `(2, pairs)`.
        flags: bits such as `CONTROL`, `(pairs,)`.
        script_shares: percentage of letters in the right script, `(pairs,)`.
    """

    lengths: Lengths
    flags: NDArray[np.uint8]
    script_shares: NDArray[np.uint8]

    def __getitem__(self, block: slice) -> "PairFeatures":
        return PairFeatures(self.lengths[:, block], self.flags[block], self.script_shares[block])


class Scripts:
    """The scripts that a language is written in, learned from sample text.

    Args:
        sample: texts in the language. Scripts of at least 1 % of its letters count; where it has no
            letter, all do.
    """

    def __init__(self, sample: Iterable[str]):
        letters = Counter(letter for text in sample for letter in text if letter.isalpha())
        scripts: Counter[str] = Counter()
        for letter, count in letters.items():
            scripts[script_of(letter)] += count
        rare = _RARE * scripts.total()
        self.names = frozenset(name for name, count in scripts.items() if count >= rare)
        self._right: set[str] = set()

    def share(self, text: str) -> int:
        """Return the percentage of a text's letters in these scripts, rounded down.

        A text without letters has 100.
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

    The script is the first word of the compatibility form's name: a full-width A is LATIN.
    """
    name = unicodedata.name(unicodedata.normalize("NFKC", letter)[0], "")
    return re.split("[ -]", name)[0].replace("IDEOGRAPHIC", "CJK")


class PairTests:
    """Computes the features of pairs that depend on their text alone.

    Args:
        held_out: pairs of all splits but train; the scripts are learned from `validation`.
    """

    def __init__(self, held_out: Mapping[str, Sequence[Pair]]):
        validation = held_out.get("validation", ())
        self.scripts = tuple(Scripts(pair[side] for pair in validation) for side in (0, 1))
        self._held_out = tuple(
            {normalize_whitespace(pair[side]) for pairs in held_out.values() for pair in pairs}
            - {""}
            for side in (0, 1)
        )

    def flags(self, pairs: Sequence[Pair]) -> NDArray[np.uint8]:
        """Return the flags of each pair, all but `DUPLICATE`, `(pairs,)`."""
        return np.fromiter((self._flags(*pair) for pair in pairs), np.uint8, len(pairs))

    def script_shares(self, pairs: Sequence[Pair]) -> NDArray[np.uint8]:
        """Return the percentage of letters in the right script, of the worse side, `(pairs,)`."""
        source, target = self.scripts
        shares = (min(source.share(pair[0]), target.share(pair[1])) for pair in pairs)
        return np.fromiter(shares, np.uint8, len(pairs))

    def _flags(self, source: str, target: str) -> int:
        flags = CONTROL if _CONTROL.search(source) or _CONTROL.search(target) else 0
        source, target = normalize_whitespace(source), normalize_whitespace(target)
        if source == target != "":
            flags |= UNTRANSLATED
        if source in self._held_out[0] or target in self._held_out[1]:
            flags |= OVERLAP
        return flags


def normalize_whitespace(text: str) -> str:
    """Strip a text and replace each run of white space with one space."""
    return " ".join(text.split())


def text_hashes(pairs: Sequence[Pair]) -> NDArray[np.uint64]:
    """Return the first 64 bits of BLAKE2b of each pair's text, `(pairs,)`.

    Among 50 million different pairs a collision has a probability of 1 in 15,000.
    """
    digests = (
        hashlib.blake2b(f"{source}\n{target}".encode("utf-8", "surrogatepass"), digest_size=8)
        for source, target in pairs
    )
    return np.frombuffer(b"".join(digest.digest() for digest in digests), np.uint64)
