"""Signs of a badly assembled corpus: swapped or shifted sides, headers, tokenized text."""

from collections.abc import Iterator, Sequence

import langcodes
import numpy as np

from nmt.config import DataConfig
from nmt.data.columns import Pair
from nmt.errors import counted
from nmt.evaluation.languages import primary_language
from nmt.evaluation.references import look_tokenized

_COMMON = {
    "de": "der die und in den von zu das mit ist ein eine",
    "en": "the of and to in is that it for was a",
    "es": "de la que el en y los se del las un una",
    "fr": "de la le et les des en un est que une",
    "it": "di che la il e un per in una non",
    "nl": "de het een van en in is dat op te",
    "pl": "w i na z się do nie to że jest",
    "pt": "de que o e a do da em um para uma",
    "ro": "de și în a la pe cu o nu că",
    "sv": "och i att en det som på är av för",
    "tr": "ve bir bu için de da ile ne çok",
    "vi": "và của có không cho một được trong người là",
}
"""The commonest words of languages in Latin script."""
_HEADERS = {"source", "target", "src", "tgt", "trg", "text", "sentence", "translation"}
_MARGIN = 0.05
_LEAST_PAIRS = 30
_BLOCK, _SHIFTS = 1000, (-3, -2, -1, 1, 2, 3)


def suspicions(
    name: str, pairs: Sequence[Pair], config: DataConfig, first: int = 1
) -> Iterator[str]:
    """Yield a warning with its remedy for each suspicion about consecutive raw pairs.

    Args:
        name: of their split.
        pairs: in the order of the split.
        config: the `data` section.
        first: position of the first pair in the split, counted from 1.
    """
    tags = config.languages
    if first == 1 and pairs and all(map(_is_header, pairs[0], tags)):
        yield f"the first pair of {name} looks like a header: {pairs[0]}; delete that line"
    if len(pairs) < _LEAST_PAIRS:
        return
    sides = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    pulls = [
        _likeness(sides[1 - side], tag) - _likeness(sides[side], tag)
        for side, tag in enumerate(tags)
        if _is_known(tag)
    ]
    if pulls and min(pulls) > _MARGIN:
        yield (
            f"the source of {name} looks like {tags[1]} and its target like {tags[0]}: swap the "
            "files, or data.source_language and data.target_language"
        )
    if look_tokenized(sides[0]):
        yield (
            f"the {tags[0]} side of {name} looks tokenised (full stops stand alone), so the model "
            "would need tokenised input: give raw text"
        )
    for start in range(0, len(pairs), _BLOCK):
        shift = _find_shift(pairs[start : start + _BLOCK])
        if shift:
            yield (
                f"the {tags[1]} side of {name} seems to be {counted(abs(shift), 'line')} "
                f"{'late' if shift > 0 else 'early'} "
                f"from about pair {first + start:,} on: align the files"
            )
            return


def _is_header(text: str, tag: str) -> bool:
    return text.strip().casefold() in {tag.casefold(), primary_language(tag), *_HEADERS}


def _is_known(tag: str) -> bool:
    valid = langcodes.tag_is_valid(tag)
    script = langcodes.Language.get(tag).maximize().script if valid else None
    return primary_language(tag) in _COMMON or script not in ("Latn", None)


def _likeness(texts: Sequence[str], tag: str) -> float:
    """Return the share of words that are common in a language, or of letters outside Latin."""
    if primary_language(tag) in _COMMON:
        common = set(_COMMON[primary_language(tag)].split())
        words = [word for text in texts for word in text.lower().split()]
        return sum(word in common for word in words) / max(1, len(words))
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    return sum(letter > "\u024f" for letter in letters) / max(1, len(letters))


def _find_shift(pairs: Sequence[Pair]) -> int:
    """Return the shift of the target in lines, by the correlation of the sides' lengths."""
    if len(pairs) < _LEAST_PAIRS:
        return 0
    source, target = (np.array([len(pair[side]) for pair in pairs], float) for side in (0, 1))

    def agreement(shift: int) -> float:
        ours = source[max(0, -shift) : len(source) - max(0, shift)]
        theirs = target[max(0, shift) : len(target) - max(0, -shift)]
        if ours.std() == 0 or theirs.std() == 0:
            return 0.0
        return float(np.corrcoef(ours, theirs)[0, 1])

    best = max(_SHIFTS, key=agreement)
    return best if agreement(best) > 0.4 + max(0.0, agreement(0)) else 0
