"""What is init over, worked out beside the module."""

import pytest
import torch

from nmt.config import ModelConfig
from nmt.models.bridge import Bridge, pooled
from nmt.models.encoder import Encoded
from nmt.models.stacks import RecurrentState

MASK = torch.tensor([[True, True, True], [True, False, False]])


def encoded(cell: str = "lstm") -> Encoded:
    torch.manual_seed(1)
    hidden = torch.rand(2, 2, 4) - 0.5
    state = RecurrentState(hidden, 5 * hidden.flip(0) if cell == "lstm" else None)
    return Encoded(state, torch.randn(2, 3, 4), MASK)


def bridge(**settings: object) -> Bridge:
    torch.manual_seed(2)
    return Bridge(ModelConfig(**{"hidden_size": 4, "layers": 2, **settings}))  # type: ignore[arg-type]


def test_copy_changes_nothing() -> None:
    given = encoded()
    init = bridge(bridge="copy")(given)
    assert init.state.hidden is not None and torch.equal(init.state.hidden, given.state.hidden)
    assert torch.equal(init.state.cell, given.state.cell)
    assert torch.equal(init.context, given.state.hidden[1])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("pool", ["none", "mean", "max"])
def test_a_wide_bridge_maps_everything_to_everything(cell: str, pool: str) -> None:
    given = encoded(cell)
    module = bridge(bridge="wide", pool=pool, cell=cell)
    init = module(given)
    parts = [given.state.hidden[0], given.state.hidden[1]]
    if cell == "lstm":
        assert given.state.cell is not None
        parts += [given.state.cell[0], given.state.cell[1]]
    if pool == "mean":
        parts.append(torch.stack([given.memory[0].mean(dim=0), given.memory[1, 0]]))
    if pool == "max":
        parts.append(torch.stack([given.memory[0].amax(dim=0), given.memory[1, 0]]))
    read = torch.cat(parts, dim=1)
    states = read @ module.states.weight.T + module.states.bias
    torch.testing.assert_close(init.state.hidden[0], states[:, :4].tanh())
    torch.testing.assert_close(init.state.hidden[1], states[:, 4:8].tanh())
    if cell == "lstm":
        torch.testing.assert_close(init.state.cell[1], states[:, 12:])
    torch.testing.assert_close(init.context[:, :4], given.state.hidden[1])
    if pool != "none":
        torch.testing.assert_close(init.context[:, 4:], parts[-1])


def test_padding_is_not_pooled() -> None:
    memory = torch.tensor([[[1.0, -4.0], [3.0, -2.0], [100.0, 100.0]]])
    mask = torch.tensor([[True, True, False]])
    assert pooled(memory, mask, "mean").tolist() == [[2.0, -3.0]]
    assert pooled(memory, mask, "max").tolist() == [[3.0, -2.0]]
