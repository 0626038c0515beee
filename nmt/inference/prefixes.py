"""The beginnings that translations are to have, from text and back to text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.prefix import Prefixed
from nmt.decoding.stepper import Limits, Stepper
from nmt.errors import counted
from nmt.models.batch import Padded, pad
from nmt.text.lines import is_blank, one_line
from nmt.text.tokenizer import Vocabulary
from nmt.text.words import WordPieces, ends_open


@dataclass(frozen=True)
class Prefix:
    """How one translation begins.

    Attributes:
        text: raw text, without space around it; empty where the translation is free.
        tokens: its token ids.
        words: which word of the text each token belongs to, counted from 0.
        open_ended: whether it ends in a word that a piece could go on with. None may: a prefix is
            whole words.
    """

    text: str
    tokens: list[int]
    words: list[int]
    open_ended: bool


def encode_prefixes(vocabulary: Vocabulary, texts: Sequence[str]) -> list[Prefix]:
    """Read prefixes; blank ones, and those without a token, leave a translation free."""
    texts = ["" if is_blank(text) else text for text in texts]
    return [
        Prefix(
            one_line(text).strip() if tokens else "",
            tokens,
            vocabulary.spelled_words(text),
            ends_open(vocabulary.spelled(text)),
        )
        for text, tokens in zip(texts, vocabulary.encode(texts), strict=True)
    ]


def refusals(
    prefixes: Mapping[int, Prefix], source_lengths: Sequence[int], limits: Limits
) -> dict[int, str]:
    """Say which sentences cannot begin as they must, and why.

    Args:
        prefixes: by sentence.
        source_lengths: tokens of all sentences, without the end token.
        limits: how long translations may become.
    """
    if not prefixes:
        return {}
    lengths = torch.tensor(source_lengths) + 1
    longest = limits.max_lengths(Padded(lengths[:, None], lengths)).tolist()
    found = {}
    for row, prefix in prefixes.items():
        if source_lengths[row] == 0:
            found[row] = "the source is empty, and so is the translation: it has no prefix"
        elif len(prefix.tokens) >= longest[row]:
            found[row] = (
                f"a prefix of {counted(len(prefix.tokens), 'token')} leaves no room: the "
                f"translation may have {longest[row]}, its end included; raise max_length_ratio"
            )
    return found


def followers(vocabulary: Vocabulary) -> list[bool]:
    """Return for each token whether it may follow a whole word: it begins another, or the end."""
    begins = WordPieces.of(vocabulary).begins
    return [begin or id_ == vocabulary.eos_id for id_, begin in enumerate(begins)]


def prefixed(stepper: Stepper, prefixes: Sequence[Prefix], allowed: Tensor) -> Prefixed:
    """Return a model that begins one batch's translations as it must.

    Args:
        stepper: the model.
        prefixes: one for each sentence.
        allowed: `followers`, `(vocabulary,)`, where the model is.
    """
    return Prefixed(
        stepper,
        pad([prefix.tokens for prefix in prefixes], allowed.device),
        open_ended=torch.tensor([one.open_ended for one in prefixes], device=allowed.device),
        followers=allowed,
    )


def completed(prefix: Prefix, tokens: Sequence[int], vocabulary: Vocabulary) -> str:
    """Return a translation as text: the prefix as it was given, and what follows it.

    Args:
        prefix: not an empty one.
        tokens: the whole translation's.
        vocabulary: of the target.
    """
    rest = tokens[len(prefix.tokens) :]
    (text,) = vocabulary.decode([rest])  # decoding drops a space in front
    apart = any(piece.startswith("▁") for piece in vocabulary.pieces(rest[:1]))
    return f"{prefix.text} {text}" if apart else prefix.text + text


def completed_words(prefix: Prefix, tokens: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Return which word of `completed` each token belongs to, counted from 0."""
    words = vocabulary.decoded_words(tokens)
    given, last = prefix.words, len(prefix.text.split()) - 1
    shift = words[len(given) - 1] - last  # unknown tokens are words of their own in `words`
    return given + [word - shift for word in words[len(given) :]]
