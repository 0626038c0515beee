"""Dropout variants: per step, locked, word, embedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import ModelConfig


class UnitDropout(nn.Module):
    """Drops units: a new set at every step, or one set for a whole sentence.

    Args:
        share: of the units to drop.
        locked: draw once for each sentence.

    Source: Srivastava et al. 2014; Gal and Ghahramani 2016 (locked, or variational).
    """

    def __init__(self, share: float, *, locked: bool):
        super().__init__()
        self.share, self.locked = share, locked

    def forward(self, values: Tensor) -> Tensor:
        """Drop units of `(batch, time, width)`."""
        if not self.training or self.share == 0:
            return values
        return drop_units(values, self.share, locked=self.locked)


def drop_units(values: Tensor, share: float, *, locked: bool) -> Tensor:
    """Drop units of `(batch, time, width)`; locked, the same at all steps of a sentence."""
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
        self.units = UnitDropout(config.dropout, locked=config.locked_dropout)
        self.words = words

    def forward(self, embedded: Tensor) -> Tensor:
        """Drop embeddings, `(batch, time, width)`."""
        if self.training and self.words > 0:
            embedded = embedded * F.dropout(torch.ones_like(embedded[..., :1]), self.words)
        dropped: Tensor = self.units(embedded)
        return dropped
