import math

import pytest
import torch

from nmt.models.attention import Attention

MEMORY = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]]])  # the third is padding
MASK = torch.tensor([[True, True, False]])
QUERY = torch.tensor([[[1.0, 0.5]]])


def weights_for(scores: list[float]) -> list[float]:
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def test_dot_by_hand() -> None:
    attention = Attention("dot", 2)
    context, weights = attention(QUERY, MEMORY, attention.keys(MEMORY), MASK)
    first, second = weights_for([1.0, 1.0])
    assert weights[0, 0].tolist() == pytest.approx([first, second, 0.0])
    assert context[0, 0].tolist() == pytest.approx([first, 2 * second])


def test_general_by_hand() -> None:
    attention = Attention("general", 2)
    with torch.no_grad():
        attention.key.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
    _, weights = attention(QUERY, MEMORY, attention.keys(MEMORY), MASK)
    # keys (2, 0) and (0, 6); query (1, 0.5)
    assert weights[0, 0].tolist() == pytest.approx([*weights_for([2.0, 3.0]), 0.0])


def test_additive_by_hand() -> None:
    attention = Attention("additive", 2)
    with torch.no_grad():
        attention.key.weight.copy_(torch.eye(2))
        attention.query.weight.copy_(torch.eye(2))
        attention.query.bias.zero_()
        attention.score.weight.copy_(torch.tensor([[1.0, -1.0]]))
    _, weights = attention(QUERY, MEMORY, attention.keys(MEMORY), MASK)
    scores = [math.tanh(2.0) - math.tanh(0.5), math.tanh(1.0) - math.tanh(2.5)]
    assert weights[0, 0].tolist() == pytest.approx([*weights_for(scores), 0.0], abs=1e-6)


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
def test_many_queries_equal_one_at_a_time(kind: str) -> None:
    torch.manual_seed(0)
    attention = Attention(kind, 4)
    queries, memory = torch.randn(3, 5, 4), torch.randn(3, 6, 4)
    mask = torch.arange(6) < torch.tensor([[6], [2], [4]])
    keys = attention.keys(memory)
    together, _ = attention(queries, memory, keys, mask)
    for step in range(5):
        alone, _ = attention(queries[:, step : step + 1], memory, keys, mask)
        torch.testing.assert_close(alone[:, 0], together[:, step])
