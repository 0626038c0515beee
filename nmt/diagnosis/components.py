"""Principal components of vectors."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Components:
    """The directions in which vectors vary, those of most variance first.

    Attributes:
        mean: of the vectors, `(width,)`.
        directions: unit vectors, `(components, width)`; of each, the entry that is largest without
            its sign is positive, so that the same vectors always give the same signs.
        explained: share of the variance along each, `(components,)`; zeros where nothing varies.
    """

    mean: Tensor
    directions: Tensor
    explained: Tensor

    def coordinates(self, vectors: Tensor, number: int) -> Tensor:
        """Return where vectors, `(rows, width)`, lie on the first components, `(rows, number)`."""
        return (vectors - self.mean) @ self.directions[:number].t()

    def cut(self, vectors: Tensor, number: int) -> Tensor:
        """Return the mean and what of the vectors lies on the first components, `(rows, width)`."""
        return self.mean + self.coordinates(vectors, number) @ self.directions[:number]


def principal_components(vectors: Tensor) -> Components:
    """Find the principal components of vectors, `(rows, width)`."""
    mean = vectors.mean(dim=0)
    _, spread, directions = torch.linalg.svd(vectors - mean, full_matrices=False)
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    variance = spread.square()
    return Components(
        mean, directions * largest.sign(), variance / variance.sum().clamp(min=torch.finfo().tiny)
    )
