import math

import pytest
import torch
from torch import nn

from nmt.models.sequences import run_stack
from nmt.models.stacks import RecurrentState, stack_layers
from tests.models.made import made_stack

CELLS = ["lstm", "gru", "tanh", "relu"]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("equations", [False, True])
def test_steps_equal_torchs_fused_layers(cell: str, layers: int, equations: bool) -> None:
    """By torch's step kernels, and by the equations of the reference cell."""
    torch.manual_seed(0)
    stack = made_stack(cell, input_size=5, hidden_size=7, layers=layers).double()
    inputs = torch.randn(4, 6, 5, dtype=torch.float64)
    hidden = torch.randn(layers, 4, 7, dtype=torch.float64)
    state = RecurrentState(hidden, hidden * 0.5 if cell == "lstm" else None)
    outputs, last = run_stack(stack, inputs, state)
    states = state.layers()
    for position in range(6):
        output = inputs[:, position]
        for number, (layer,) in enumerate(stack_layers(stack)):
            step = layer.evaluate if equations else layer.step
            after = step(output, states[number])
            states[number] = after[0] if equations else after
            output = states[number][0]
        torch.testing.assert_close(output, outputs[:, position])
    for found, expected in zip(RecurrentState.of(states).tensors, last.tensors, strict=True):
        torch.testing.assert_close(found, expected)
    assert (last.cell is not None) == (cell == "lstm")


def test_an_lstm_step_is_what_the_equations_say() -> None:
    """One unit, worked out with the gates as Hochreiter and Schmidhuber's successors write them."""
    stack = made_stack("lstm", input_size=1, hidden_size=1, layers=1)
    weights = {"i": 0.5, "f": -0.25, "g": 1.0, "o": 2.0}
    with torch.no_grad():
        stack.weight_ih_l0.copy_(torch.tensor([[weights[gate]] for gate in "ifgo"]))
        stack.weight_hh_l0.copy_(torch.tensor([[0.1], [0.2], [0.3], [0.4]]))
        stack.bias_ih_l0.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    x, h, c = 2.0, 0.5, -1.0

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    i = sigmoid(0.5 * x + 0.1 * h)
    f = sigmoid(-0.25 * x + 0.2 * h + 1.0)
    g = math.tanh(1.0 * x + 0.3 * h)
    o = sigmoid(2.0 * x + 0.4 * h)
    new_c = f * c + i * g
    ((layer,),) = stack_layers(stack)
    before, read = (torch.tensor([[h]]), torch.tensor([[c]])), torch.tensor([[x]])
    for output, cell in (layer.step(read, before), layer.evaluate(read, before)[0]):
        assert cell.item() == pytest.approx(new_c, abs=1e-6)
        assert output.item() == pytest.approx(o * math.tanh(new_c), abs=1e-6)


def test_relu_cells_start_as_the_identity_with_zero_biases() -> None:
    stack = made_stack("relu", input_size=3, hidden_size=4, layers=2)
    for layer in range(2):
        assert torch.equal(getattr(stack, f"weight_hh_l{layer}"), torch.eye(4))
        assert not getattr(stack, f"bias_ih_l{layer}").any()
        assert not getattr(stack, f"bias_hh_l{layer}").any()


def test_lstm_forget_gates_start_open() -> None:
    stack = made_stack("lstm", input_size=3, hidden_size=4, layers=2, bidirectional=True)
    for suffix in ("l0", "l1_reverse"):
        bias = getattr(stack, f"bias_ih_{suffix}") + getattr(stack, f"bias_hh_{suffix}")
        assert bias.tolist() == [0] * 4 + [1] * 4 + [0] * 8


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
def test_recurrent_matrices_start_orthogonal(cell: str) -> None:
    stack = made_stack(cell, input_size=3, hidden_size=5, layers=1)
    for gate in stack.weight_hh_l0.split(5):
        torch.testing.assert_close(gate @ gate.T, torch.eye(5))


def test_another_start_of_the_recurrent_matrices_is_what_it_says() -> None:
    def started(cell: str, start: str) -> torch.Tensor:
        torch.manual_seed(3)
        stack = made_stack(cell, input_size=3, hidden_size=5, layers=1, recurrent_init=start)
        return stack.weight_hh_l0.detach()

    assert torch.equal(started("lstm", "identity"), torch.eye(5).repeat(4, 1))
    relu = started("relu", "orthogonal")
    torch.testing.assert_close(relu @ relu.T, torch.eye(5))
    assert not torch.equal(relu, torch.eye(5))
    ours = started("gru", "uniform")
    torch.manual_seed(3)
    assert torch.equal(ours, nn.GRU(3, 5).weight_hh_l0)


def test_the_kinds_are_torchs_own() -> None:
    kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN, "relu": nn.RNN}
    for cell, kind in kinds.items():
        assert type(made_stack(cell, input_size=2, hidden_size=2, layers=1)) is kind
    assert made_stack("relu", input_size=2, hidden_size=2, layers=1).nonlinearity == "relu"
    assert made_stack("tanh", input_size=2, hidden_size=2, layers=1).nonlinearity == "tanh"
