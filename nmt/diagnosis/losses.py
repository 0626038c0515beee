"""Where the remaining loss lies: by place in the target sentence, and by how rare a token is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.bundle import Bundle
from nmt.diagnosis.handed_over import translator_of
from nmt.diagnosis.records import FrequencyLoss, PositionLoss
from nmt.errors import DataError


@dataclass(frozen=True)
class TokenLosses:
    """The loss of every target token of some sentences, sentence by sentence.

    Attributes:
        tokens: ids, the end tokens among them, `(tokens,)`.
        positions: places in their sentences, from 1, `(tokens,)`.
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

    Raises:
        DataError: there are no pairs.
    """
    if not pairs:
        raise DataError("there is no loss to look at: the split has no sentences")
    target = bundle.tokenizer.target
    references = [reference for _, reference in pairs]
    scores = translator_of(bundle).token_scores([source for source, _ in pairs], references)
    ids = [target.input_ids(row) for row in target.encode(references)]
    return TokenLosses(
        tokens=torch.tensor([token for row in ids for token in row]),
        positions=torch.tensor([place for row in ids for place in range(1, len(row) + 1)]),
        losses=-torch.tensor([score for row in scores for score in row], dtype=torch.float64),
    )


def position_losses(found: TokenLosses) -> list[PositionLoss]:
    """Return the mean loss at each place that there is, the first first."""
    counts = found.positions.bincount().tolist()
    totals = found.positions.bincount(found.losses).tolist()
    return [
        PositionLoss(place, totals[place] / counts[place], counts[place])
        for place in range(1, len(counts))
    ]


def frequency_losses(found: TokenLosses, counts: Tensor) -> list[FrequencyLoss]:
    """Return the mean loss of tokens by how often they came in training, the rarest first.

    Bands are 0, 1 to 9, 10 to 99 and so on, those that hold tokens.

    Args:
        found: the losses.
        counts: of the targets of training, `(vocabulary,)`; such as `decoder.token_counts`.

    Returns:
        Nothing where nobody counted.
    """
    if not bool(counts.any()):
        return []
    seen = counts.cpu()[found.tokens]
    records, first, last = [], 0, 0
    while first <= int(counts.max()):
        losses = found.losses[(seen >= first) & (seen <= last)]
        if len(losses):
            records.append(FrequencyLoss(first, last, float(losses.mean()), len(losses)))
        first, last = last + 1, 10 * (last + 1) - 1
    return records
