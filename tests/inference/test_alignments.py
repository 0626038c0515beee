"""Alignments from raw text to raw text: which words they name, whatever the pieces."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from nmt.config import Config, TokenizerConfig
from nmt.inference.translator import Translator
from nmt.models.batch import Padded
from nmt.text.tokenizer import Tokenizer, train_tokenizer

PAIRS = [("heute sieht ein hund das haus", "today a dog sees the house")] * 20


@dataclass(frozen=True)
class State:
    """Attention so far, `(rows, source)`, and tokens written."""

    coverage: Tensor
    step: int = 0

    def select(self, rows: Tensor) -> "State":
        return replace(self, coverage=self.coverage[rows])


class Writer:
    """Writes given tokens, each while it looks at the source token of the same number."""

    attends = True

    def __init__(self, tokens: list[int], vocabulary: int):
        self.tokens, self.vocabulary = tokens, vocabulary

    def start(self, source: Padded) -> State:
        return State(torch.zeros(source.tokens.shape))

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        log_probs = torch.full((len(tokens), self.vocabulary), -9.0)
        log_probs[:, self.tokens[state.step]] = -0.1
        looked = torch.zeros_like(state.coverage)
        looked[:, min(state.step, looked.shape[1] - 1)] = 1
        return log_probs, State(state.coverage + looked, state.step + 1)


def tokenizer(model: str) -> Tokenizer:
    config = TokenizerConfig(model=model, vocabulary_size=40)  # type: ignore[arg-type]
    return train_tokenizer(config, PAIRS)[0]


def links(tokens: Tokenizer, written: list[int], source: str, prefix: str = "") -> object:
    stepper = Writer([*written, tokens.target.eos_id], len(tokens.target))
    translator = Translator(stepper, tokens, Config())
    settings = {"alignments": True, "greedy": True}
    (found,) = translator.translate([source], prefixes=[prefix], **settings)
    return found.n_best[0].alignment


def test_an_unknown_token_that_stands_for_several_words_is_counted_as_these() -> None:
    tokens = tokenizer("word")
    (written,) = tokens.target.encode(["today a dog sees the house"])
    source = "heute sieht Ulla Müller ein haus"  # five tokens: the names have one
    assert len(tokens.source.encode([source])[0]) == 5
    expected = [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4)]
    assert links(tokens, written, source) == expected
    (begun,) = tokens.target.encode(["today Ulla Müller"])
    source = "heute hund ein hund sieht"
    # Words of the text: today, Ulla, Müller, a, dog, sees.
    found = links(tokens, [*begun, *written[1:4]], source, "today Ulla Müller")
    assert found == [(0, 0), (1, 1), (2, 3), (3, 4), (4, 5)]


@pytest.mark.parametrize("prefix", ["", "a"])
def test_a_translation_without_words_has_no_links(prefix: str) -> None:
    tokens = tokenizer("char")
    space = tokens.target.encode(["a"])[0][0]
    begun = tokens.target.encode([prefix])[0]
    assert links(tokens, [*begun, space, space], "ein hund") == ([(0, 0)] if prefix else [])
