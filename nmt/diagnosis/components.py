"""Principal components of vectors."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Components:
    """Principal components, in order of decreasing variance.

    Attributes:
        mean: of the vectors, `(width,)`.
        directions: unit vectors, `(components, width)`. The entry of largest absolute value is
            positive, which fixes the sign.
        explained: share of the variance along each, `(components,)`; zeros without variance.
    """

    mean: Tensor
    directions: Tensor
    explained: Tensor

    def coordinates(self, vectors: Tensor, number: int) -> Tensor:
        """Return the coordinates of vectors, `(rows, width)`, on the first components."""
        return (vectors - self.mean) @ self.directions[:number].t()

    def cut(self, vectors: Tensor, number: int) -> Tensor:
        """Project vectors onto the first components through the mean, `(rows, width)`."""
        return self.mean + self.coordinates(vectors, number) @ self.directions[:number]


def principal_components(vectors: Tensor) -> Components:
    """Compute the principal components of vectors, `(rows, width)`."""
    mean = vectors.mean(dim=0)
    _, spread, directions = torch.linalg.svd(vectors - mean, full_matrices=False)
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    variance = spread.square()
    return Components(
        mean, directions * largest.sign(), variance / variance.sum().clamp(min=torch.finfo().tiny)
    )
