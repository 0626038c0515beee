"""Gate statistics against numbers worked by hand, and against what torch's cells do."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.diagnosis.gates import LONGEST, gate_statistics, time_constants
from nmt.diagnosis.records import GateStatistics, write_record
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from nmt.models.unrolled import UnrolledLayer, unroll
from nmt.reading import read_record

SOURCE, TARGET = pad([[4, 5, 6, 3], [7, 3]]), pad([[2, 4, 3], [2, 5, 6, 7, 3]])


def layer(lengths: list[int], **gates: Tensor) -> UnrolledLayer:
    """A layer with gates of `(batch, time, units)`."""
    steps = {name: list(values.double().unbind(1)) for name, values in gates.items()}
    rows = torch.arange(len(lengths))
    count = len(next(iter(steps.values())))
    places = [(torch.full_like(rows, step), rows) for step in range(count)]
    return UnrolledLayer("encoder", 2, "", torch.tensor(lengths), places, gates=steps)


def test_means_and_shares_count_real_steps_alone() -> None:
    values = torch.tensor([[[0.05], [0.95], [0.5]], [[0.2], [0.99], [0.99]]])
    (found,) = gate_statistics([layer([3, 1], input=values)])
    assert (found.network, found.layer, found.gate) == ("encoder", 2, "input")
    assert found.mean == pytest.approx((0.05 + 0.95 + 0.5 + 0.2) / 4)
    assert (found.closed, found.open) == (0.25, 0.25)
    assert found.time_constants is None


def test_a_unit_fades_by_the_product_of_its_gates() -> None:
    kept = torch.tensor([[0.9, 0.5], [0.4, 0.5]], dtype=torch.float64)
    found = time_constants(kept)
    assert found.tolist() == pytest.approx([-2 / math.log(0.36), 1 / math.log(2)])
    # so many steps leave 1/e of it
    assert (0.36 ** (found[0] / 2)).item() == pytest.approx(1 / math.e)


def test_gates_that_never_and_always_keep() -> None:
    assert time_constants(torch.tensor([[0.0, 1.0]])).tolist() == [0, pytest.approx(LONGEST)]


def test_percentiles_are_of_the_units() -> None:
    units = torch.exp(-1 / torch.arange(1.0, 102.0))  # unit n fades in n steps
    (found,) = gate_statistics([layer([2], forget=units.expand(1, 2, -1))])
    assert found.time_constants == pytest.approx([6, 26, 51, 76, 96], rel=1e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_what_keeps_is_what_torch_keeps(cell: str) -> None:
    """A stack that only its biases move forgets a state put into it by the keeping gate."""
    settings = {"embedding_size": 6, "hidden_size": 8, "layers": 1, "bidirectional": False}
    model = Seq2Seq(ModelConfig(cell=cell, **settings), source_size=10, target_size=10, shared=True)  # type: ignore[arg-type]
    stack = model.double().encoder.stack
    for parameter in stack.parameters():
        nn.init.zeros_(parameter)
    stack.bias_ih_l0.data[8:16] = torch.linspace(1, 4, 8)  # forget; update
    found = gate_statistics(unroll(model.eval(), SOURCE, TARGET).layers[:1])
    assert [one.gate for one in found] == (
        ["input", "forget", "output"] if cell == "lstm" else ["reset", "update"]
    )
    one = torch.ones(1, 8, dtype=torch.float64)
    last = stack(torch.zeros(5, 6, dtype=torch.float64), (one, one) if cell == "lstm" else one)[1]
    left = (last[1] if cell == "lstm" else last)[0]  # after 5 steps
    expected = torch.quantile(-5 / left.log(), torch.tensor([0.05, 0.5, 0.95]).double())
    (keeping,) = (one for one in found if one.time_constants)
    assert keeping.gate in ("forget", "update") and keeping.time_constants is not None
    assert keeping.time_constants[::2] == pytest.approx(expected.tolist())


def test_gates_of_another_packages_cell_are_read_again(tmp_path: Path) -> None:
    """`nmt report` reads what `nmt diagnose` wrote, whatever a cell calls its gates."""
    (found,) = gate_statistics([layer([2], leak=torch.full((1, 2, 3), 0.5))])
    write_record(tmp_path / "gate.json", found)
    assert read_record(tmp_path / "gate.json", GateStatistics) == found
