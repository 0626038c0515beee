"""A map of sentences: the decoder's inputs of each, on their first principal components."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.bundle import Bundle
from nmt.diagnosis.decoder_inputs import decoder_inputs
from nmt.diagnosis.records import StateMap, StatePoint


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
    explained = variance / variance.sum().clamp(min=torch.finfo().tiny)
    return Components(mean, directions * largest.sign(), explained)


def state_map(bundle: Bundle, sentences: Sequence[str]) -> StateMap | None:
    """Project the decoder's inputs of sentences onto their first two principal components.

    Args:
        bundle: the model.
        sentences: raw source text.

    Returns:
        None for fewer than three sentences of different token ids.

    Raises:
        NmtError: the encoder's states are not finite.

    Source: Sutskever et al. 2014, figure 2.
    """
    inputs = decoder_inputs(bundle, sentences)
    if len(inputs.vectors) < 3:
        return None
    components = principal_components(inputs.vectors)
    coordinates = components.coordinates(inputs.vectors, 2).tolist()
    rows = zip(sentences, inputs.order, strict=True)
    points = [StatePoint(text, *coordinates[row]) for text, row in rows]
    return StateMap(points, components.explained[:2].tolist())
