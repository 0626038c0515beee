"""Statistics of one language of a split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.text.tokenizer import Vocabulary

_CHUNK = 10_000
_COMMONEST = 10

Lengths = NDArray[np.integer]


@dataclass(frozen=True)
class SideFacts:
    """One language of a split. Tokens are those of the text, without end tokens.

    Attributes:
        sentences: number in the whole split; of train, the kept ones.
        tokens: number in all of these.
        median: median tokens of a sentence.
        longest: tokens of the longest sentence.
        per_word: tokens per word, separated by white space, in the measured sentences.
        unknown: share of unknown tokens, 0 to 1.
        covered: share of the characters, white space aside, outside unknown tokens.
        used: share of the vocabulary's text pieces that occur, 0 to 1.
        commonest_unknown: texts most often encoded as an unknown token, each with its count.
    """

    sentences: int
    tokens: int
    median: int
    longest: int
    per_word: float
    unknown: float
    covered: float
    used: float
    commonest_unknown: list[tuple[str, int]]


def side_facts(
    vocabulary: Vocabulary, texts: Sequence[str], lengths: Lengths | None = None
) -> SideFacts:
    """Measure one side of a split.

    Args:
        vocabulary: of this side.
        texts: raw sentences, or a sample of them.
        lengths: tokens of each sentence of the whole split without the end token, `(sentences,)`;
            None if `texts` is the whole split.
    """
    sizes: list[int] = []
    pieces: Counter[int] = Counter()
    unknown: Counter[str] = Counter()
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        for text, ids in zip(chunk, vocabulary.encode(chunk), strict=True):
            sizes.append(len(ids))
            pieces.update(ids)
            if vocabulary.unk_id in ids:
                unknown.update(vocabulary.unknown_parts(text))
    words = [word for text in texts for word in text.split()]
    swallowed = sum(len(part.replace(" ", "")) * times for part, times in unknown.items())
    known = vocabulary.text_ids()
    whole = np.array(sizes) if lengths is None else lengths
    return SideFacts(
        sentences=len(whole),
        tokens=int(whole.sum()),
        median=int(np.quantile(whole, 0.5, method="higher")),
        longest=int(whole.max()),
        per_word=sum(sizes) / max(1, len(words)),
        unknown=pieces[vocabulary.unk_id] / max(1, sum(sizes)),
        covered=1 - min(1.0, swallowed / max(1, sum(map(len, words)))),
        used=len(pieces.keys() & known) / max(1, len(known)),
        commonest_unknown=unknown.most_common(_COMMONEST),
    )
