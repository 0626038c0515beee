"""Forced prefixes of translations, from text to tokens and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.prefix import Prefixed
from nmt.decoding.stepper import Limits, Stepper
from nmt.errors import counted
from nmt.models.batch import pad
from nmt.text.lines import is_blank, one_line
from nmt.text.tokenizer import Vocabulary
from nmt.text.words import WordPieces, ends_open


@dataclass(frozen=True)
class Prefix:
    """The forced prefix of one translation.

    Attributes:
        text: raw text, stripped; empty for a free translation.
        tokens: its token ids.
        words: the word of the text that each token belongs to, counted from 0.
        open_ended: whether a piece could continue its last word. The search forbids such pieces,
            since a prefix is whole words.
    """

    text: str
    tokens: list[int]
    words: list[int]
    open_ended: bool


def encode_prefixes(vocabulary: Vocabulary, texts: Sequence[str]) -> list[Prefix]:
    """Encode prefixes; a blank one, or one without tokens, leaves its translation free."""
    texts = ["" if is_blank(text) else one_line(text).strip() for text in texts]
    return [
        Prefix(
            text if tokens else "",
            tokens,
            vocabulary.spelled_words(text),
            ends_open(vocabulary.spelled(text)),
        )
        for text, tokens in zip(texts, vocabulary.encode(texts), strict=True)
    ]


def refusals(
    prefixes: Mapping[int, Prefix], source_lengths: Sequence[int], limits: Limits
) -> dict[int, str]:
    """Return the sentences whose prefix is impossible, each with its problem.

    Args:
        prefixes: by sentence.
        source_lengths: tokens of all sentences, without the end token.
        limits: of the search.
    """
    if not prefixes:
        return {}
    lengths = torch.tensor(source_lengths) + 1
    longest = limits.max_lengths(lengths).tolist()
    problems = {}
    for row, prefix in prefixes.items():
        if source_lengths[row] == 0:
            problems[row] = "the source is empty: its translation is empty and has no prefix"
        elif len(prefix.tokens) >= longest[row]:
            problems[row] = (
                f"a prefix of {counted(len(prefix.tokens), 'token')} leaves no room: the "
                f"translation may have {longest[row]}, its end included; raise max_length_ratio"
            )
    return problems


def followers(vocabulary: Vocabulary) -> list[bool]:
    """Return for each token whether it may follow a whole word: a beginning, or the end token."""
    begins = WordPieces.of(vocabulary).begins
    return [begin or id_ == vocabulary.eos_id for id_, begin in enumerate(begins)]


def prefixed(stepper: Stepper, prefixes: Sequence[Prefix], allowed: Tensor) -> Prefixed:
    """Return a stepper that forces the prefixes of a batch.

    Args:
        stepper: the model.
        prefixes: one for each sentence.
        allowed: `followers`, `(vocabulary,)`, on the model's device.
    """
    return Prefixed(
        stepper,
        pad([prefix.tokens for prefix in prefixes], allowed.device),
        open_ended=torch.tensor([p.open_ended for p in prefixes], device=allowed.device),
        followers=allowed,
    )


def completed(prefix: Prefix, tokens: Sequence[int], vocabulary: Vocabulary) -> str:
    """Return a translation as text: the prefix as given, then the decoded rest.

    Args:
        prefix: not empty.
        tokens: of the whole translation.
        vocabulary: of the target.
    """
    rest = tokens[len(prefix.tokens) :]
    (text,) = vocabulary.decode([rest])  # decoding drops a space in front
    apart = any(piece.startswith("▁") for piece in vocabulary.pieces(rest[:1]))
    return f"{prefix.text} {text}" if apart else prefix.text + text


def completed_words(prefix: Prefix, tokens: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Return the word of `completed` that each token belongs to, counted from 0."""
    ends = range(len(prefix.tokens) + 1, len(tokens) + 1)
    words = [len(completed(prefix, tokens[:end], vocabulary).split()) - 1 for end in ends]
    return prefix.words + words
