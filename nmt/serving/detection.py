"""Names of languages, and detection of a text's language."""

import functools
import re
from collections.abc import Iterable
from typing import Any

from nmt.evaluation.languages import primary_language

_READ = 2000  # characters of a text


@functools.cache
def language_name(tag: str) -> str:
    """Return the English name of a language; the tag itself if it is no ISO 639 code."""
    import iso639

    try:
        name = iso639.Language.match(primary_language(tag)).name
    except iso639.LanguageNotFoundError:
        return tag
    return re.sub(r"\s*\(.*\)", "", name)


def detect(text: str, tags: Iterable[str]) -> list[dict[str, Any]]:
    """Detect the language of a text; return candidates as LibreTranslate does, likeliest first.

    Args:
        text: raw text.
        tags: languages to choose from; at least one.

    Returns:
        Dicts of `language` and `confidence`, in percent among all languages of the detector: low
        for a text in none of `tags`. The first tag with 0 if the detector supports none of them.
    """
    tags = list(tags)
    ranks = dict(_identifier().rank(text[:_READ]))
    known = [(100 * ranks[code], tag) for tag in tags if (code := primary_language(tag)) in ranks]
    found = sorted(known, key=lambda one: -one[0]) or [(0.0, tags[0])]
    return [{"confidence": round(share, 1), "language": tag} for share, tag in found]


@functools.cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
