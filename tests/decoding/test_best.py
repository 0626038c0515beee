"""The largest of a wide row, found by way of groups."""

import pytest
import torch

from nmt.decoding.best import best_tokens


@pytest.mark.parametrize("width", [1, 40, 128, 1000, 1024, 4099])
@pytest.mark.parametrize("count", [1, 2, 10])
def test_it_equals_topk(width: int, count: int) -> None:
    if count > width:
        pytest.skip("there are not as many")
    values = torch.randn(50, width, generator=torch.Generator().manual_seed(width))
    found, tokens = best_tokens(values, count)
    expected = values.topk(count, dim=1)
    assert torch.equal(found, expected.values) and torch.equal(tokens, expected.indices)


def test_neighbours_in_one_group_and_the_last_columns_are_found() -> None:
    values = torch.zeros(2, 1003)
    values[0, [5, 6, 7, 1002]] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    values[1, [1000, 1001]] = torch.tensor([1.0, 2.0])
    assert best_tokens(values, 4)[1][0].tolist() == [5, 6, 7, 1002]
    assert best_tokens(values, 2)[1][1].tolist() == [1001, 1000]


def test_impossible_tokens_may_be_among_the_best() -> None:
    values = torch.full((1, 2000), float("-inf"))
    values[0, 700] = -1.0
    found, tokens = best_tokens(values, 3)
    assert tokens[0, 0] == 700 and found[0].tolist() == [-1.0, float("-inf"), float("-inf")]
