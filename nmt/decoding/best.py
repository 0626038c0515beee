"""Selects the best tokens of a wide vocabulary.

Selecting among thousands of numbers costs more than computing them. So groups of tokens are ranked
by their maxima first; the best tokens all lie in the best groups, and only those are searched.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_GROUP, _WIDE = 32, 512


def grouped(values: Tensor) -> Tensor:
    """Return the columns in groups of neighbours, `(rows, groups, size)`, padded with -inf.

    In narrow rows, where grouping does not pay, every column is a group of its own.

    Args:
        values: `(rows, vocabulary)`.
    """
    size = _GROUP if values.shape[1] >= _WIDE else 1
    spare = -values.shape[1] % size
    if spare:
        values = F.pad(values, (0, spare), value=float("-inf"))
    return values.view(len(values), -1, size)


def whole_groups(size: int) -> int:
    """Round a vocabulary size up to one that `grouped` need not pad: padding copies all values."""
    return size if size < _WIDE else size + -size % _GROUP


def likeliest(values: Tensor) -> Tensor:
    """Return the column of each row's largest value, `(rows,)`; see `grouped`."""
    groups = grouped(values)
    group = groups.amax(dim=2).argmax(dim=1)
    rows = torch.arange(len(values), device=values.device)
    return group * groups.shape[2] + groups[rows, group].argmax(dim=1)
