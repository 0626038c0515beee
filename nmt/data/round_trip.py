"""Finds text that a tokenizer does not reproduce, which no model with it can write."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config import Config
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.text.lines import one_line
from nmt.text.tokenizer import Vocabulary

_EXAMPLES = 3


@dataclass(frozen=True)
class RoundTrip:
    """Sentences compared with themselves after encoding and decoding.

    Attributes:
        sentences: number of sentences tried; an even sample of a large split.
        changed: number of sentences whose decoded text differs. Joined runs of spaces and stripped
            ends, which SentencePiece causes, do not count.
        bleu: BLEU of the decoded sentences, with the raw ones as references.
        tokenizer: BLEU's tokenizer; `char` if the language's own is not installed.
        examples: up to three changed sentences, each with its decoded text.
    """

    sentences: int
    changed: int
    bleu: float
    tokenizer: str
    examples: list[tuple[str, str]]


def round_trip(
    vocabulary: Vocabulary, texts: Sequence[str], language: TargetLanguage, most: int = 10_000
) -> RoundTrip:
    """Encode and decode the sentences of one side.

    Args:
        vocabulary: of this side.
        texts: raw sentences.
        language: of these sentences, for BLEU.
        most: bound on the sentences tried; of more texts, an even sample is taken.
    """
    from sacrebleu.metrics import BLEU

    texts = texts[:: -(-len(texts) // most) or 1]
    back = vocabulary.decode(vocabulary.encode(texts))
    changed = [pair for pair in zip(texts, back, strict=True) if _join_spaces(pair[0]) != pair[1]]
    metric = find_bleu_metric(language) or BLEU(tokenize="char", force=True)
    bleu = float(metric.corpus_score(back, [list(texts)]).score) if changed else 100.0
    tokenizer = metric.tokenizer.signature()
    return RoundTrip(len(texts), len(changed), bleu, tokenizer, changed[:_EXAMPLES])


def round_trip_warning(trip: RoundTrip, language: str, config: Config) -> str | None:
    """Return a warning about references that no model can write, with its remedy; None if none."""
    if not trip.changed:
        return None
    text, back = trip.examples[0]
    remedy = unknown_remedy(config)
    if config.tokenizer.target_normalization != "identity" and other_tokenizer(config) is None:
        remedy = "set tokenizer.target_normalization: identity"
    return (
        f"the tokenizer changes {trip.changed:,} of {trip.sentences:,} {language} references "
        f"(BLEU {trip.bleu:.2f} at most), such as {first_difference(text, back)}: {remedy}"
    )


def unknown_remedy(config: Config) -> str:
    """Return the remedy for unknown tokens."""
    remedy = "set tokenizer.byte_fallback: true"
    if config.tokenizer.model == "word":
        remedy = "raise tokenizer.vocabulary_size, or use tokenizer.model: unigram"
    return other_tokenizer(config) or remedy


def other_tokenizer(config: Config) -> str | None:
    """Return the remedy for a tokenizer that is not learned, whose keys are fixed; else None."""
    if config.training.init_from is not None:
        return "choose another training.init_from, whose tokenizer it is"
    return None if config.tokenizer.path is None else "choose another tokenizer.path"


def first_difference(text: str, back: str) -> str:
    """Show the first difference of a text and its decoded form, with some context."""
    characters = enumerate(zip(text, back, strict=False))
    start = next((at for at, (a, b) in characters if a != b), min(len(text), len(back)))
    begin = max(0, start - 10)
    return " → ".join(repr(each[begin : begin + 30]) for each in (text, back))


def _join_spaces(text: str) -> str:
    return re.sub(" +", " ", one_line(text)).strip(" ")
