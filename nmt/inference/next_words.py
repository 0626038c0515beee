"""What comes next: the likeliest next words after the beginning of a translation.

`nmt.text.words` says what a word is. Its probability is that the model writes exactly this word
next, in whatever pieces: the product of the probabilities of its pieces and of the word ending
behind them, summed over its spellings in pieces.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nmt.config.sections import Count
from nmt.config.values import read_value
from nmt.errors import NmtError, UsageError
from nmt.inference.device import arithmetic
from nmt.inference.prefixes import Prefix, encode_prefixes
from nmt.inference.translator import Translator
from nmt.models.batch import pad
from nmt.text.lines import is_blank
from nmt.text.tokenizer import Vocabulary
from nmt.text.words import WordPieces

_LEAST = 1e-6  # beginnings of words that are less likely are left alone
_NUMBERS = 2**21  # beginnings of words looked at together × pieces that may follow each
_LONGEST = 50  # pieces of a word


@dataclass(frozen=True)
class Guess:
    """One word, or one piece, that may come next."""

    text: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What a model expects after a prefix. All that may come next has probability 1 together.

    Attributes:
        prefix: the beginning, as it was read.
        prefix_score: its log-probability in nats; 0 where it is empty.
        guesses: the likeliest words, or pieces, the best first.
        end: probability that the sentence ends here.
        goes_on: that the prefix's last word goes on, where words are asked for.
        others: that something else comes.
        unexplored: the part of `others` that was too unlikely to be looked into; no word's
            probability is too small by more.
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
        sentence: raw text; None for the decoder alone, which starts at zero states and with a zero
            context, as a language model.
        prefix: whole words with which the translation begins.
        top: how many words to return, at most.
        pieces: return single pieces instead.

    Raises:
        UsageError: a blank sentence, no number of words, or a model that needs a sentence.
    """
    top = read_value(Count, top, "top")
    target, device = translator.tokenizer.target, translator.device
    (given,) = encode_prefixes(target, [prefix])
    with arithmetic(translator.precision, device):
        state = _start(translator, sentence)
        tokens = torch.tensor([target.bos_id, *given.tokens], device=device)
        score = 0.0
        for last, token in itertools.pairwise(tokens):
            log_probs, state = translator.stepper.step(last[None], state)
            score += float(log_probs[0, token])
        log_probs, state = translator.stepper.step(tokens[-1:], state)
        first = _probabilities(log_probs)[0]
        if not bool(first.isfinite().all()):
            raise NmtError("the model gives no finite probability: its weights are damaged")
        found = _Found(end=float(first[target.eos_id]))
        if pieces:
            found.guesses.update(_pieces(target, first))
        else:
            _search_words(translator, given, first, state, found)
    return found.prediction(given.text, score, top)


@dataclass
class _Found:
    """What was found so far; see `Prediction`."""

    end: float
    goes_on: float = 0.0
    unexplored: float = 0.0
    guesses: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def prediction(self, prefix: str, score: float, top: int) -> Prediction:
        """Keep the likeliest, and add up the rest."""
        ranked = sorted(self.guesses.items(), key=lambda item: (-item[1], item[0]))[:top]
        guesses = [Guess(text, probability) for text, probability in ranked]
        shown = sum(guess.probability for guess in guesses)
        others = max(1 - shown - self.end - self.goes_on, 0.0)
        return Prediction(
            prefix=prefix,
            prefix_score=score,
            guesses=guesses,
            end=self.end,
            goes_on=self.goes_on,
            others=others,
            unexplored=min(self.unexplored, others),  # it is more by rounding alone
        )


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
        raise UsageError(f"{sentence!r} holds nothing to translate; leave it out, or give words")
    ids = source.input_ids(ids, translator.config.decoding.max_source_length)
    return translator.stepper.start(pad([ids], translator.device))


def _pieces(vocabulary: Vocabulary, probabilities: Tensor) -> Iterator[tuple[str, float]]:
    """Yield all pieces but the end token, with their probabilities, `(vocabulary,)`."""
    names = vocabulary.pieces(range(len(vocabulary)))
    for id_, pair in enumerate(zip(names, probabilities.tolist(), strict=True)):
        if id_ != vocabulary.eos_id:
            yield pair


def _search_words(
    translator: Translator, prefix: Prefix, first: Tensor, state: Any, found: _Found
) -> None:
    """Follow all beginnings of words that are likely enough, a piece at a time.

    Args:
        translator: the model.
        prefix: what was read.
        first: the next piece's probabilities, `(vocabulary,)`.
        state: after the prefix, one row.
        found: takes what is found.
    """
    target = translator.tokenizer.target
    kinds = WordPieces.of(target)
    begins, goes_on, stays_open, blank = (
        torch.tensor(flags, device=first.device)
        for flags in (kinds.begins, kinds.goes_on, kinds.stays_open, kinds.blank)
    )
    if prefix.open_ended:
        found.goes_on = float(first[goes_on].sum())
    allowed = begins if prefix.open_ended else begins | goes_on
    grown = (first * allowed)[None]  # (beginnings, vocabulary)
    width = max(_NUMBERS // len(target), 100)
    written: list[list[int]] = [[]]
    for _ in range(_LONGEST):
        best, index = grown.flatten().topk(min(width, grown.numel()))
        index, best = index[best >= _LEAST], best[best >= _LEAST]
        found.unexplored += float(grown.sum() - best.sum())
        rows, tokens = index // grown.shape[1], index % grown.shape[1]
        written = [
            [*written[row], token]
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True)
        ]
        going = stays_open[tokens] | blank[tokens]
        _count(found, target, written, torch.where(going, 0.0, best))
        kept = going.nonzero().squeeze(1)
        written = [written[row] for row in kept.tolist()]
        if not written:
            return
        log_probs, state = translator.stepper.step(tokens[kept], state.select(rows[kept]))
        reached = _probabilities(log_probs) * best[kept, None]
        # Behind spaces alone every piece begins the word.
        spaces = blank[tokens[kept]]
        found.end += float(reached[spaces, target.eos_id].sum())
        ended = reached[:, begins].sum(dim=1) + reached[:, target.eos_id]
        _count(found, target, written, ended.masked_fill(spaces, 0.0))
        grown = reached * (goes_on | (spaces[:, None] & begins))
    found.unexplored += float(grown.sum())


def _count(
    found: _Found, vocabulary: Vocabulary, written: list[list[int]], probabilities: Tensor
) -> None:
    """Add the probabilities of words, `(words,)`, to those of the same spelling."""
    for text, probability in zip(vocabulary.decode(written), probabilities.tolist(), strict=True):
        if probability > 0:
            found.guesses[text.strip()] += probability


def _probabilities(log_probs: Tensor) -> Tensor:
    """Return probabilities that sum to 1, `(rows, vocabulary)`, as those of an ensemble do not."""
    return log_probs.double().softmax(dim=-1)
