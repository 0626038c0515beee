"""Dropout variants: per step, locked, word, embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig


def drop_units(values: Tensor, share: float, *, locked: bool, training: bool) -> Tensor:
    """Drop units in training: a new set at every step, or one set for a whole sentence.

    Args:
        values: `(batch, time, width)`.
        share: of the units to drop.
        locked: draw once for each sentence.
        training: whether to drop any.

    Source: Srivastava et al. 2014; Gal and Ghahramani 2016 (locked, or variational).
    """
    if not training or share == 0:
        return values
    if locked:
        return values * F.dropout(torch.ones_like(values[:, :1]), share)
    return F.dropout(values, share)


class InputDropout(nn.Module):
    """Drops embeddings: those of whole tokens, and single units.

    Args:
        config: the `model` section.
        words: share of the tokens.

    Source: Iyyer et al. 2015.
    """

    def __init__(self, config: ModelConfig, *, words: float):
        super().__init__()
        self.share, self.locked, self.words = config.dropout, config.locked_dropout, words

    def forward(self, embedded: Tensor) -> Tensor:
        """Drop embeddings, `(batch, time, width)`."""
        if self.training and self.words > 0:
            embedded = embedded * F.dropout(torch.ones_like(embedded[..., :1]), self.words)
        return drop_units(embedded, self.share, locked=self.locked, training=self.training)
