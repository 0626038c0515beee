"""Attention read off a model step by step, and words linked by it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.decoding.alignment import forced_attention, word_links
from nmt.decoding.ensemble import Ensemble
from nmt.inference.engine import fast_engine
from nmt.models.batch import Padded, pad
from nmt.models.seq2seq import Seq2Seq
from tests.decoding.scoring import whole_attention

SOURCE = pad([[4, 5, 6, 3], [7, 3]])
TARGET = pad([[2, 4, 3], [2, 5, 6, 7, 3]])


def network(**settings: object) -> tuple[Seq2Seq, ModelConfig]:
    torch.manual_seed(0)
    config = ModelConfig(embedding_size=6, hidden_size=8, **settings)  # type: ignore[arg-type]
    model = Seq2Seq(config, source_size=10, target_size=10, shared=True).eval()
    for parameter in model.parameters():
        parameter.data.mul_(3)
    return model, config


def test_it_is_the_attention_of_the_whole_network() -> None:
    """The network reads all steps at once; engines and ensembles are asked step by step."""
    model, _ = network(attention="general")
    other, _ = network(attention="additive", input_feeding=True)
    with torch.no_grad():
        expected, others = (whole_attention(one, SOURCE, TARGET) for one in (model, other))
        torch.testing.assert_close(forced_attention(model, SOURCE, TARGET), expected)
        engine = fast_engine(model, "fp32")
        torch.testing.assert_close(forced_attention(engine, SOURCE, TARGET), expected)
        both = forced_attention(Ensemble([model, other]), SOURCE, TARGET)
        torch.testing.assert_close(both, (expected + others) / 2)


def test_a_planted_alignment_is_found() -> None:
    """A stand-in that looks at the source backwards, one token a step."""

    @dataclass(frozen=True)
    class State:
        coverage: Tensor
        step: int

    class Backwards:
        attends = True

        def start(self, source: Padded) -> State:
            return State(torch.zeros(source.tokens.shape), 0)

        def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
            looked = torch.zeros_like(state.coverage)
            looked[:, 2 - state.step] = 1
            after = replace(state, coverage=state.coverage + looked, step=state.step + 1)
            return torch.zeros(len(tokens), 10), after

    attention = forced_attention(Backwards(), pad([[4, 5, 6, 3]]), pad([[2, 7, 8, 9, 3]]))
    assert attention[0, :3].argmax(dim=1).tolist() == [2, 1, 0]
    assert word_links(attention[0], [0, 1, 2], [0, 1, 2]) == [(2, 0), (1, 1), (0, 2)]


def test_words_gather_the_attention_of_their_tokens() -> None:
    # Source tokens: words 0, 0, 1 and the end; target tokens: words 0, 1, 1.
    attention = torch.tensor(
        [
            [0.3, 0.3, 0.4, 0.0],  # word 0 got 0.6 in all, though no token of it got most
            [0.0, 0.5, 0.1, 0.4],
            [0.0, 0.0, 0.2, 0.8],  # with the line above: 0.5, 0.3 and 1.2 for the end
            [0.0, 0.0, 0.0, 1.0],  # of the end token
        ]
    )
    assert word_links(attention, [0, 0, 1], [0, 1, 1]) == [(0, 0)]
    assert word_links(attention, [0, 0, 1], [0, 1, 2]) == [(0, 0), (0, 1)]
    # The first target token spells two words.
    assert word_links(attention, [0, 0, 1], [0, 2, 2]) == [(0, 0)]
    assert word_links(attention, [], []) == []
