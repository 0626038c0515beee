"""Stand-ins for a model: small, exact, and known to the last probability."""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nmt.config import SearchOptions
from nmt.models.batch import Padded, pad

BOS, EOS = 2, 3
VOCABULARY = 5


@dataclass(frozen=True)
class TableState:
    """Which sentence a row belongs to and how many steps it has seen."""

    sentences: Tensor
    steps: int
    coverage: None = None

    def select(self, rows: Tensor) -> "TableState":
        return TableState(self.sentences[rows], self.steps)


class TableModel:
    """Looks the next token's probabilities up by sentence, step and last token."""

    attends = False

    def __init__(self, seed: int, sharpness: float = 2.0):
        generator = torch.Generator().manual_seed(seed)
        shape = (50, 20, VOCABULARY, VOCABULARY)  # sentence, step, last token, next token
        logits = torch.randn(shape, generator=generator) * sharpness
        self.table = logits.log_softmax(-1)

    def start(self, source: Padded) -> TableState:
        return TableState(source.tokens[:, 0], 0)  # a sentence's first token is its name

    def step(self, tokens: Tensor, state: TableState) -> tuple[Tensor, TableState]:
        log_probs = self.table[state.sentences, state.steps, tokens]
        return log_probs, TableState(state.sentences, state.steps + 1)

    def score(self, sentence: int, tokens: list[int]) -> float:
        """The log-probability of a hypothesis with its end token, added up one by one."""
        total, last = 0.0, BOS
        for step, token in enumerate([*tokens, EOS]):
            total += self.table[sentence, step, last, token].item()
            last = token
        return total


def search_options(**settings: Any) -> SearchOptions:
    """Options without pruning and length penalty."""
    return SearchOptions(**{"length_penalty": 0.0, "prune": None, **settings})


def sentences(*names: int) -> Padded:
    """Sources that differ in their first token, and a little in length."""
    return pad([[name] + [9] * (name % 3) for name in names])


def every_hypothesis(longest: int) -> list[list[int]]:
    """All token sequences of fewer than `longest` tokens, to which the end token is added."""
    others = [token for token in range(VOCABULARY) if token != EOS]
    return [
        list(tokens)
        for length in range(longest)
        for tokens in itertools.product(others, repeat=length)
    ]
