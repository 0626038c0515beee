"""The best of many: what a search asks of every row of a wide vocabulary."""

import torch
from torch import Tensor

_GROUP = 32
"""Columns that compete as one at first."""


def best_tokens(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the largest values of each row, largest first, and where they stand.

    Equal to `values.topk(count)` but for ties. Selecting among thousands of columns costs more
    than computing them: so first the groups with the largest maxima are found, which hold all that
    is wanted, then the largest of their columns.

    Args:
        values: `(rows, vocabulary)`.
        count: how many of each row, at most `vocabulary`.

    Returns:
        Values and token ids, `(rows, count)` both.
    """
    rows, width = values.shape
    groups = width // _GROUP
    if groups < 4 * count:
        best = values.topk(count, dim=1)
        return best.values, best.indices
    grouped = values[:, : groups * _GROUP].unflatten(1, (groups, _GROUP))
    chosen = grouped.amax(dim=2).topk(count, dim=1).indices  # (rows, count)
    within = torch.arange(_GROUP, device=values.device)
    columns = (chosen[:, :, None] * _GROUP + within).flatten(1)
    left = torch.arange(groups * _GROUP, width, device=values.device).expand(rows, -1)
    columns = torch.cat([columns, left], dim=1)
    best = values.gather(1, columns).topk(count, dim=1)
    return best.values, columns.gather(1, best.indices)
