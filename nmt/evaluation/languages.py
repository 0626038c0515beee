"""Scoring of a target language: BLEU's tokenizer, TER's kind, and words without spaces."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

from nmt.config import DataConfig
from nmt.config.sections import language_code

_SCRIPTS = {
    "zh": ("Hans", "Hant", "Hani", "Hanb", "Bopo"),
    "ja-mecab": ("Jpan", "Hira", "Kana", "Hrkt"),
    "ko-mecab": ("Kore", "Hang"),
    "char": ("Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Lana", "Talu", "Tavt", "Java", "Bali"),
}
"""Scripts that need a tokenizer of their own; the last are written without spaces."""
_TOKENIZERS = {script: name for name, scripts in _SCRIPTS.items() for script in scripts}


@dataclass(frozen=True)
class TargetLanguage:
    """The language of hypotheses and references, as the metrics need it.

    Attributes:
        tag: a code of ISO 639-1, -2 or -3 such as ja, jpn or zh_Hant, or the English name.
        bleu_tokenizer: sacreBLEU's tokenizer; None takes that of the language.
    """

    tag: str
    bleu_tokenizer: str | None = None

    @classmethod
    def of(cls, config: DataConfig) -> "TargetLanguage":
        """Return the target language of a config, with the config's tokenizer if set."""
        return cls(config.target_language, config.bleu_tokenizer)

    @property
    def tokenizer(self) -> str:
        """The name of sacreBLEU's tokenizer."""
        return self.bleu_tokenizer or _tokenizer(self.tag)

    @property
    def asian(self) -> bool:
        """Whether TER needs sacreBLEU's support for Chinese, Japanese and Korean."""
        return _tokenizer(self.tag) in ("zh", "ja-mecab", "ko-mecab")

    @property
    def unspaced(self) -> bool:
        """Whether the script is written without spaces between words."""
        return _tokenizer(self.tag) in ("zh", "ja-mecab", "char")

    @property
    def note(self) -> str | None:
        """A warning if the tag is no language code; None if it is one."""
        taken = _find_script(self.tag).taken_for
        if taken is None or self.bleu_tokenizer is not None:
            return None
        meant = f"taken for {taken}" if taken else "unknown"
        return (
            f"{self.tag!r} is no ISO 639 language code; it is {meant}, and BLEU's tokenizer is "
            f"{self.tokenizer}: use a code such as de or ja, or set data.bleu_tokenizer"
        )


class _Script(NamedTuple):
    """The ISO 15924 code of a tag's script, and what a tag that is no code is taken for."""

    script: str | None
    taken_for: str | None = None


def _tokenizer(tag: str) -> str:
    return _TOKENIZERS.get(_find_script(tag).script or "", "13a")


@functools.cache
def _find_script(tag: str) -> _Script:
    """Find the script of a code, else of an English name, else of a country's language."""
    import langcodes

    def likely(code: str) -> langcodes.Language | None:
        try:
            language = langcodes.Language.get(code)
        except ValueError:
            return None
        return language.maximize() if language.is_valid() else None

    if (language := likely(tag)) is not None:
        return _Script(language.script)
    if (code := language_code(tag)) and (language := likely(code)) is not None:
        return _Script(language.script)
    country = likely(f"und-{tag}") if len(tag) == 2 else None
    if country is not None and country.script in _TOKENIZERS:
        return _Script(country.script, country.language)
    return _Script(None, "")


def primary_language(tag: str) -> str:
    """Return the language of a tag: `zh` for zh_Hant, and the shortest code, `de` for deu."""
    import langcodes

    try:
        return str(langcodes.Language.get(tag).language or tag)
    except ValueError:
        return tag.replace("_", "-").partition("-")[0].lower()
