"""A cell added by its equations and one registration alone runs everywhere."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from nmt.config import CellName, ModelConfig
from nmt.decoding.beam import beam_search
from nmt.decoding.stepper import Limits
from nmt.inference.engine import fast_engine
from nmt.models.batch import pad
from nmt.models.cells import CELLS, Cell, Gates, LayerState
from nmt.models.seq2seq import Seq2Seq
from nmt.models.sequences import run_stack
from nmt.models.stacks import stack_layers
from nmt.models.unrolled import unroll
from tests.decoding.doubles import search_options
from tests.decoding.scoring import forced_scores
from tests.models.made import made_stack

SOURCES = [[4, 5, 6, 3], [7, 3], [8, 9, 3]]
SOURCE = pad(SOURCES)
TARGET = pad([[2, 4, 3], [2, 5, 6, 7, 3], [2, 3]])


def light_gru(inputs: Tensor, recurrent: Tensor, state: LayerState) -> tuple[LayerState, Gates]:
    """A GRU without reset gate; Ravanelli et al. 2018, with tanh."""
    z, candidate = (inputs + recurrent).chunk(2, dim=1)
    z = torch.sigmoid(z)
    return ((1 - z) * torch.tanh(candidate) + z * state[0],), {"update": z}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CELLS, "light", Cell(light_gru, gates=2))
    for name in ("lstm", "gru", "tanh", "relu"):
        slow = replace(CELLS[name], module=None, kernel=None)
        monkeypatch.setitem(CELLS, f"stepped {name}", slow)


def network(cell: str, **settings: object) -> Seq2Seq:
    torch.manual_seed(0)
    config = ModelConfig(
        **{"cell": cell, "embedding_size": 6, "hidden_size": 8, "dropout": 0.0, **settings}
    )  # type: ignore[arg-type]
    return Seq2Seq(config, source_size=10, target_size=10, shared=True)


def test_every_name_in_the_config_is_a_registered_cell() -> None:
    assert {name for name in CELLS if name != "light" and " " not in name} == {*get_args(CellName)}


@pytest.mark.parametrize("cell", get_args(CellName))
@pytest.mark.parametrize("bidirectional", [False, True])
def test_steps_over_sentences_are_torchs_fused_layers(cell: str, bidirectional: bool) -> None:
    """Outputs, last states and all gradients, padded, with the same weights."""
    sizes = {"input_size": 5, "hidden_size": 7, "layers": 2, "bidirectional": bidirectional}
    fused, stepped = (made_stack(kind, **sizes) for kind in (cell, f"stepped {cell}"))  # type: ignore[arg-type]
    stepped.load_state_dict(fused.state_dict())
    lengths, inputs = torch.tensor([2, 6, 4]), torch.randn(3, 6, 5)
    real = (torch.arange(6) < lengths[:, None])[:, :, None]
    found = []
    for stack in (fused, stepped):
        outputs, state = run_stack(stack, inputs, lengths=lengths)
        outputs = outputs.where(real, 0)
        sums = [(one * torch.arange(one.numel()).view_as(one).cos()).sum() for one in state.tensors]
        total = (outputs * inputs.sum(dim=2, keepdim=True)).sum() + sum(sums)
        found.append([outputs, *state.tensors, *torch.autograd.grad(total, [*stack.parameters()])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("settings", [{}, {"attention": "dot", "input_feeding": True}], ids=str)
def test_it_trains_decodes_and_is_diagnosed(settings: dict[str, object]) -> None:
    model = network("light", **settings)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        loss = model.loss(SOURCE, TARGET)
        loss.backward()
        optimizer.step()
    model.eval()
    assert loss.item() < 0.5 and model.loss(SOURCE, TARGET).item() < 0.5
    engine = fast_engine(model, "fp32")
    with torch.inference_mode():
        expected = forced_scores(model, SOURCE, TARGET)
        assert expected.sum().item() == pytest.approx(-model.loss(SOURCE, TARGET).item(), abs=1e-4)
        torch.testing.assert_close(
            forced_scores(engine, SOURCE, TARGET), expected, atol=1e-4, rtol=0
        )
        rounded = forced_scores(fast_engine(model, "int8"), SOURCE, TARGET)
        torch.testing.assert_close(rounded, expected, atol=0.3, rtol=0)
        for stepper in (model, engine):
            found = beam_search(stepper, SOURCE, Limits(2, 3), search_options(beam_size=3))
            assert [some[0].tokens for some in found] == [[4], [5, 6, 7], []]
    trace = unroll(model, SOURCE, TARGET)
    assert torch.stack(trace.losses).sum().item() == pytest.approx(loss.item(), rel=0.5)
    assert all([*layer.gates] == ["update"] for layer in trace.layers)


def test_one_step_is_what_its_equations_say() -> None:
    """One unit, by hand: z = σ(0.5 · 2 + 0.1 · 0.5), n = tanh(1 · 2 - 0.3 · 0.5)."""
    stack = made_stack("light", input_size=1, hidden_size=1, layers=1)
    for name, values in {"weight_ih_l0": [[0.5], [1.0]], "weight_hh_l0": [[0.1], [-0.3]]}.items():
        nn.init.zeros_(getattr(stack, name)).data.add_(torch.tensor(values))
    ((layer,),) = stack_layers(stack)
    (hidden,) = layer.step(torch.tensor([[2.0]]), (torch.tensor([[0.5]]),))
    z, n = 0.740774899, 0.951745957
    assert hidden.item() == pytest.approx((1 - z) * n + z * 0.5, abs=1e-5)
