"""Detects references with misleading scores, before translation or training."""

from collections.abc import Sequence

from nmt.errors import DataError
from nmt.evaluation.breakdowns import text_lengths
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric

_STOPS = (".", "。", "．", "｡", "।", "۔")


def scoring_warnings(references: Sequence[str], target: TargetLanguage) -> list[str]:
    """Return warnings about the scores, a line each.

    Args:
        references: raw human translations.
        target: their language.
    """
    warnings = [target.note] if target.note is not None else []
    try:
        bleu_metric(target)
    except DataError as error:
        warnings.append(f"BLEU is left out: {error}")
    if look_tokenized(references):
        warnings.append(
            "the references look tokenised (full stops stand alone): BLEU is not comparable with "
            "published figures, which are taken of raw text"
        )
    elif (target.bleu_tokenizer, target.tokenizer) == (None, "13a") and _korean(references):
        warnings.append(
            f"the references are Korean, and {target.tag} is another language: BLEU's tokenizer is "
            "13a; give the tag ko, or set data.bleu_tokenizer: ko-mecab"
        )
    elif target.tokenizer in ("13a", "intl") and text_lengths(references)[0] == "characters":
        warnings.append(
            f"the references have few spaces, and BLEU's tokenizer {target.tokenizer} takes what "
            "stands between spaces for words: set data.bleu_tokenizer: char"
        )
    return warnings


def look_tokenized(references: Sequence[str]) -> bool:
    """Return whether most full stops at the ends of lines are separate tokens."""
    ends = [text.rstrip() for text in references]
    stopped = [text[:-1] for text in ends if text.endswith(_STOPS) and len(text) > 1]
    return 2 * sum(text.endswith(" ") for text in stopped) > len(stopped)


def _korean(references: Sequence[str]) -> bool:
    letters = [one for text in references for one in text if one.isalpha()]
    return 2 * sum("\uac00" <= one <= "\ud7a3" for one in letters) > len(letters)
