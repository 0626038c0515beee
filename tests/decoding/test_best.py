"""The likeliest token of a wide row, found by way of groups; see test_search for beams."""

import pytest
import torch

from nmt.decoding.best import grouped, likeliest


@pytest.mark.parametrize("width", [1, 40, 511, 512, 1000, 1024, 4099])
def test_it_equals_argmax(width: int) -> None:
    values = torch.randn(50, width, generator=torch.Generator().manual_seed(width))
    assert torch.equal(likeliest(values), values.argmax(dim=1))
    values[:, -1] = 100.0
    assert likeliest(values).tolist() == [width - 1] * 50


def test_groups_are_neighbours_and_what_is_spare_never_wins() -> None:
    values = torch.arange(1000.0)[None]
    assert grouped(values)[0, 3].tolist() == values[0, 96:128].tolist()
    assert grouped(values)[0, -1, 8:].eq(float("-inf")).all()
    assert grouped(values[:, :100]).shape == (1, 100, 1)
