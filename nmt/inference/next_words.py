"""Predicts the likeliest next words after a prefix of a translation.

`nmt.text.words` defines words. A word's probability is the product of the probabilities of its
pieces and of the word ending after them, summed over its spellings in pieces.
"""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nmt.config.sections import Count
from nmt.config.values import read_value
from nmt.errors import UsageError, counted
from nmt.inference.device import arithmetic
from nmt.inference.prefixes import Prefix, encode_prefixes
from nmt.inference.search import refuse_infinite_score
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from nmt.text.lines import is_blank
from nmt.text.tokenizer import Vocabulary
from nmt.text.words import WordPieces

_LEAST = 1e-6  # less likely partial words are not extended
_NUMBERS = 2**21  # partial words of one step × vocabulary
_LONGEST = 50  # pieces of a word


@dataclass(frozen=True)
class Guess:
    """A possible next word or piece."""

    text: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """A model's predictions after a prefix; all probabilities sum to 1.

    Attributes:
        prefix: the prefix, as it was read.
        prefix_score: its log-probability in nats; 0 for an empty prefix.
        guesses: the likeliest words, or pieces, the best first.
        end: probability that the sentence ends here.
        goes_on: probability that the prefix's last word continues; 0 for pieces.
        others: probability of everything else.
        unexplored: the part of `others` that was too unlikely to search; a bound on the error of
            every word's probability.
    """

    prefix: str
    prefix_score: float
    guesses: list[Guess]
    end: float
    goes_on: float
    others: float
    unexplored: float


@torch.inference_mode()
def predict(
    translator: Translator,
    sentence: str | None,
    prefix: str = "",
    *,
    top: int = 10,
    pieces: bool = False,
) -> Prediction:
    """Predict the next word.

    Args:
        translator: the model.
        sentence: raw text; None for the decoder alone, as a language model: it starts at zero
            states and a zero context.
        prefix: whole words that begin the translation.
        top: number of words to return, at most.
        pieces: return single pieces instead.

    Raises:
        UsageError: a blank sentence, a prefix that is too long, an illegal `top`, or a model that
            needs a sentence.
        NmtError: a probability is not finite.
    """
    top = read_value(Count, top, "top")
    target, device = translator.tokenizer.target, translator.device
    (encoded,) = encode_prefixes(target, [prefix])
    length, most = len(encoded.tokens), translator.config.decoding.max_source_length
    if length > most:
        fault = f"{counted(length, 'token')} exceed the {most} of decoding.max_source_length"
        raise UsageError(f"prefix: {fault}; shorten it")
    with arithmetic(translator.precision, device):
        state = _start(translator, sentence)
        tokens = torch.tensor([target.bos_id, *encoded.tokens], device=device)
        score = 0.0
        for last, token in itertools.pairwise(tokens):
            log_probs, state = translator.stepper.step(last[None], state)
            score += float(log_probs[0, token])
        log_probs, state = translator.stepper.step(tokens[-1:], state)
        first = _probabilities(log_probs)[0]
        refuse_infinite_score(float(first.sum()))
        masses = _Masses(end=float(first[target.eos_id]))
        if pieces:
            names = target.pieces(range(len(target)))
            masses.guesses.update(zip(names, first.tolist(), strict=True))
            del masses.guesses[names[target.eos_id]]
        else:
            _search_words(translator, encoded, first, state, masses)
    return masses.prediction(encoded.text, score, top)


@dataclass
class _Masses:
    """The probabilities found so far; see `Prediction`."""

    end: float
    goes_on: float = 0.0
    unexplored: float = 0.0
    guesses: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def prediction(self, prefix: str, score: float, top: int) -> Prediction:
        """Return the likeliest words, and the sum of the others."""
        ranked = sorted(self.guesses.items(), key=lambda item: (-item[1], item[0]))[:top]
        guesses = [Guess(text, probability) for text, probability in ranked]
        shown = sum(guess.probability for guess in guesses)
        others = max(1 - shown - self.end - self.goes_on, 0.0)
        unexplored = min(self.unexplored, others)  # rounding could make it larger
        return Prediction(prefix, score, guesses, self.end, self.goes_on, others, unexplored)


def _start(translator: Translator, sentence: str | None) -> Any:
    """Return the state of one row from which decoding starts."""
    if sentence is None:
        try:
            return translator.stepper.start(pad([[]], translator.device))
        except ValueError:
            raise UsageError("TEXT: a model with attention needs a sentence; give one") from None
    source = translator.tokenizer.source
    (ids,) = source.encode([sentence])
    if not ids or is_blank(sentence):
        raise UsageError(f"TEXT: {sentence!r} has no words; give some, or leave it out")
    ids = source.input_ids(ids, translator.config.decoding.max_source_length)
    return translator.stepper.start(pad([ids], translator.device))


def _search_words(
    translator: Translator, prefix: Prefix, first: Tensor, state: Any, masses: _Masses
) -> None:
    """Extend all partial words that are likely enough, a piece at a time.

    Args:
        translator: the model.
        prefix: the encoded prefix.
        first: the next piece's probabilities, `(vocabulary,)`.
        state: after the prefix, one row.
        masses: updated with the probabilities.
    """
    target = translator.tokenizer.target
    kinds = WordPieces.of(target)
    begins, goes_on, stays_open, blank = (
        torch.tensor(flags, device=first.device)
        for flags in (kinds.begins, kinds.goes_on, kinds.stays_open, kinds.blank)
    )
    if prefix.open_ended:
        masses.goes_on = float(first[goes_on].sum())
    allowed = begins if prefix.open_ended else begins | goes_on
    extended = (first * allowed)[None]  # (partial words, vocabulary)
    width = max(_NUMBERS // len(target), 100)
    words: list[list[int]] = [[]]
    for _ in range(_LONGEST):
        best, index = extended.flatten().topk(min(width, extended.numel()))
        index, best = index[best >= _LEAST], best[best >= _LEAST]
        masses.unexplored += float(extended.sum() - best.sum())
        rows, tokens = index // extended.shape[1], index % extended.shape[1]
        words = [
            [*words[row], token] for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        is_open = stays_open[tokens] | blank[tokens]
        _count(masses, target, words, torch.where(is_open, 0.0, best))
        alive = is_open.nonzero().squeeze(1)
        words = [words[row] for row in alive.tolist()]
        if not words:
            return
        log_probs, state = translator.stepper.step(tokens[alive], state.select(rows[alive]))
        joint = _probabilities(log_probs) * best[alive, None]
        # After spaces alone every piece begins the word.
        spaces = blank[tokens[alive]]
        masses.end += float(joint[spaces, target.eos_id].sum())
        ended = joint[:, begins].sum(dim=1) + joint[:, target.eos_id]
        _count(masses, target, words, ended.masked_fill(spaces, 0.0))
        extended = joint * (goes_on | (spaces[:, None] & begins))
    masses.unexplored += float(extended.sum())


def _count(
    masses: _Masses, vocabulary: Vocabulary, words: list[list[int]], probabilities: Tensor
) -> None:
    """Add the probabilities of words, `(words,)`, to those of the same spelling."""
    for text, probability in zip(vocabulary.decode(words), probabilities.tolist(), strict=True):
        if probability > 0:
            masses.guesses[text.strip()] += probability


def _probabilities(log_probs: Tensor) -> Tensor:
    """Return probabilities that sum to 1, `(rows, vocabulary)`, as an ensemble's do not."""
    return log_probs.double().softmax(dim=-1)
