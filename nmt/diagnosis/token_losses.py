"""The loss by position in the target sentence, and by frequency of the token in training."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.bundle import Bundle
from nmt.diagnosis.decoder_inputs import translator_of
from nmt.diagnosis.records import FrequencyLoss, PositionLoss


@dataclass(frozen=True)
class TokenLosses:
    """The loss of every target token of some sentences, sentence by sentence.

    Attributes:
        tokens: ids, end tokens included, `(tokens,)`.
        positions: positions in their sentences, from 1, `(tokens,)`.
        losses: in nats, without label smoothing, `(tokens,)`, in double precision.
    """

    tokens: Tensor
    positions: Tensor
    losses: Tensor


def token_losses(bundle: Bundle, pairs: Sequence[tuple[str, str]]) -> TokenLosses:
    """Predict every token of the references from those before it, as validation does.

    Args:
        bundle: the model.
        pairs: raw (source, reference).
    """
    target = bundle.tokenizer.target
    references = [reference for _, reference in pairs]
    scores = translator_of(bundle).token_scores([source for source, _ in pairs], references)
    ids = [target.input_ids(row) for row in target.encode(references)]
    return TokenLosses(
        tokens=torch.tensor([token for row in ids for token in row]),
        positions=torch.tensor([position for row in ids for position in range(1, len(row) + 1)]),
        losses=-torch.tensor([score for row in scores for score in row], dtype=torch.float64),
    )


def position_losses(losses: TokenLosses) -> list[PositionLoss]:
    """Return the mean loss at each position, in order."""
    counts = losses.positions.bincount().tolist()
    totals = losses.positions.bincount(losses.losses).tolist()
    return [
        PositionLoss(position, totals[position] / counts[position], counts[position])
        for position in range(1, len(counts))
    ]


def frequency_losses(losses: TokenLosses, counts: Tensor) -> list[FrequencyLoss]:
    """Return the mean loss of tokens in bands of training frequency, the rarest first.

    Bands are 0, 1 to 9, 10 to 99 and so on; empty ones are left out.

    Args:
        losses: of all tokens.
        counts: of each token in the training targets, `(vocabulary,)`; see `decoder.token_counts`.

    Returns:
        An empty list if all counts are 0.
    """
    if not bool(counts.any()):
        return []
    seen = counts[losses.tokens]
    records, first, last = [], 0, 0
    while first <= int(counts.max()):
        band = losses.losses[(seen >= first) & (seen <= last)]
        if len(band):
            records.append(FrequencyLoss(first, last, float(band.mean()), len(band)))
        first, last = last + 1, 10 * (last + 1) - 1
    return records
