"""Random choices that depend on the seed alone."""

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A source of choices, the same for a seed on every platform and Python version.

    Only `random.Random.random` is used: of all methods, Python promises to keep its sequence.

    Args:
        seed: any text.
    """

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def happens(self, probability: float) -> bool:
        """Return True with this probability."""
        return self._random.random() < probability

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices, all equally likely."""
        return choices[int(self._random.random() * len(choices))]

    def weigh(self, weights: Mapping[str, float]) -> str:
        """Return a key, with a probability in proportion to its weight."""
        point = self._random.random() * sum(weights.values())
        *others, last = weights
        for key in others:
            point -= weights[key]
            if point < 0:
                return key
        return last
