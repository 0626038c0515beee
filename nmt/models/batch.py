"""Sentences of token ids as one padded tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Padded:
    """Token ids of several sentences, padded to the longest.

    Attributes:
        tokens: `(batch, time)`, int64; padding may have any value and is never read.
        lengths: real tokens of each sentence, `(batch,)`, int64, on the CPU, as packing and loop
            bounds require.
    """

    tokens: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        """True on real tokens, `(batch, time)`."""
        positions = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return positions < self.lengths.to(self.tokens.device)[:, None]

    def to(self, device: torch.device) -> "Padded":
        """Move the tokens to a device."""
        return Padded(self.tokens.to(device, non_blocking=True), self.lengths)

    def repeat(self, times: int) -> "Padded":
        """Repeat all sentences, in order, after the last one."""
        return Padded(self.tokens.repeat(times, 1), self.lengths.repeat(times))

    def select(self, rows: Tensor) -> "Padded":
        """Select sentences, padded to the longest of them; `rows` is `(kept,)`."""
        lengths = self.lengths[rows.cpu()]
        longest = int(lengths.max()) if len(lengths) else 0
        return Padded(self.tokens[rows.to(self.tokens.device), :longest], lengths)


def pad(sentences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Padded:
    """Put sentences of token ids into one tensor.

    Args:
        sentences: token ids of each sentence.
        device: of the tokens.
    """
    lengths = torch.tensor([len(sentence) for sentence in sentences], dtype=torch.int64)
    if not sentences:
        return Padded(torch.zeros((0, 0), dtype=torch.int64, device=device), lengths)
    longest = int(lengths.max())
    rows = [[*sentence, *[0] * (longest - len(sentence))] for sentence in sentences]
    return Padded(torch.tensor(rows, dtype=torch.int64, device=device), lengths)


def reversed_positions(padded: Padded) -> Tensor:
    """Return the original position of each token of the reversed sentences, `(batch, time)`.

    Padding keeps its position. The map is its own inverse.
    """
    positions = torch.arange(padded.tokens.shape[1], device=padded.tokens.device)
    mirrored = padded.lengths.to(positions.device)[:, None] - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)


def last_positions(padded: Padded, window: int) -> tuple[Tensor, Tensor]:
    """Return the positions of the last tokens before each sentence's end token, in order.

    Returns:
        Positions, `(batch, window)`, and the mask of those that exist. In a shorter sentence the
        first ones are missing; their positions are 0.
    """
    steps = torch.arange(-window, 0, device=padded.tokens.device)
    positions = padded.lengths.to(steps.device)[:, None] - 1 + steps
    return positions.clamp(min=0), positions >= 0
