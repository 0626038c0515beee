"""Aligns target tokens with source tokens by attention."""

import torch
from torch import Tensor

from nmt.decoding.stepper import Stepper
from nmt.models.batch import Padded

Links = list[tuple[int, int]]
"""(source word, target word), counted from 0."""


def forced_attention(stepper: Stepper, source: Padded, target: Padded) -> Tensor:
    """Return the attention weights of a model over given targets.

    Args:
        stepper: a model that attends.
        source: source sentences.
        target: one target each, start token first, end token last.

    Returns:
        `(batch, time - 1, source)`: for each token after the start, weights over the source tokens.
    """
    state = stepper.start(source)
    coverages = [state.coverage]
    for position in range(target.tokens.shape[1] - 1):
        _, state = stepper.step(target.tokens[:, position], state)
        coverages.append(state.coverage)
    return torch.stack(coverages, dim=1).diff(dim=1)


def word_links(attention: Tensor, source_words: list[int], target_words: list[int]) -> Links:
    """Link each target word to the source word with the most attention.

    A word's attention is the sum over its tokens. A target word has no link if the source's end
    token has the most attention, or if it has no token of its own.

    Args:
        attention: `(target tokens, source tokens)`, the source's end token included.
        source_words: the word of each source token, without the end token.
        target_words: the word of each target token.

    Returns:
        The links in the target's order.

    Source: Luong et al. 2015, section 5.5 (one-sided alignments of attention).
    """
    if not source_words or not target_words:
        return []
    end = source_words[-1] + 1
    columns = torch.tensor([*source_words, end])
    rows = torch.tensor(target_words)
    by_word = torch.zeros(target_words[-1] + 1, end + 1)
    by_word.index_put_(
        (rows[:, None].expand(-1, len(columns)), columns.expand(len(rows), -1)),
        attention[: len(rows), : len(columns)].float().cpu(),
        accumulate=True,
    )
    best = by_word.argmax(dim=1).tolist()
    return [(best[target], target) for target in dict.fromkeys(target_words) if best[target] != end]
