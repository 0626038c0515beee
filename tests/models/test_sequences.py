"""Stacks over sentences, against torch's own modules and packed sequences."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.models.sequences import run_stack
from nmt.models.stacks import RecurrentState, stack_layers
from tests.models.made import made_stack

CELLS = ["lstm", "gru", "tanh", "relu"]
LENGTHS = torch.tensor([6, 1, 4, 9])


def made(
    cell: str, layers: int, *, bidirectional: bool = False, dropout: float = 0.0
) -> nn.RNNBase:
    torch.manual_seed(0)
    settings = {"layers": layers, "bidirectional": bidirectional, "dropout": dropout}
    stack = made_stack(cell, input_size=5, hidden_size=7, **settings)
    for parameter in stack.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    return stack


def gradients(stack: nn.RNNBase, inputs: Tensor, *outputs: Tensor | None) -> list[Tensor]:
    """Differentiate a fixed random sum of everything that came out."""
    generator = torch.Generator().manual_seed(3)
    total = torch.zeros(())
    for output in outputs:
        if output is not None:
            total = total + (output * torch.randn(output.shape, generator=generator)).sum()
    return list(torch.autograd.grad(total, [inputs, *stack.parameters()]))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("locked", [False, True])
def test_unequal_sentences_run_as_torchs_packed_ones(
    cell: str, bidirectional: bool, layers: int, locked: bool
) -> None:
    """Outputs, last states, every gradient; what stands at padding changes nothing.

    Locked dropout, here too small to strike, takes the way layer by layer.
    """
    stack = made(cell, layers, bidirectional=bidirectional, dropout=1e-9)
    real = (torch.arange(9) < LENGTHS[:, None])[:, :, None]
    inputs = torch.where(real, torch.randn(4, 9, 5), 50.0).requires_grad_()
    packed = pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    outputs, last = stack(packed)
    expected, _ = pad_packed_sequence(outputs, batch_first=True)
    hidden, cells = last if cell == "lstm" else (last, None)

    found, state = run_stack(stack, inputs, lengths=LENGTHS, locked_dropout=locked)
    found = torch.where(real, found, 0.0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(state.hidden, hidden)
    assert (state.cell is None) == (cells is None)
    if cells is not None:
        torch.testing.assert_close(state.cell, cells)
    ours = gradients(stack, inputs, found, state.hidden, state.cell)
    for one, other in zip(ours, gradients(stack, inputs, expected, hidden, cells), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert not ours[0][~real.expand_as(inputs)].any()


@pytest.mark.parametrize("cell", CELLS)
def test_layer_by_layer_starts_where_it_is_told(cell: str) -> None:
    stack = made(cell, 2, dropout=1e-9)
    hidden = torch.randn(2, 4, 7)
    start = RecurrentState(hidden, hidden * 0.5 if cell == "lstm" else None)
    inputs = torch.randn(4, 6, 5)
    expected, ends = run_stack(stack, inputs, start)
    found, state = run_stack(stack, inputs, start, locked_dropout=True)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(state.hidden, ends.hidden)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_locked_dropout_drops_the_same_units_at_every_step(lengths: Tensor | None) -> None:
    """Equal to the two layers by hand, with one mask for each sentence between them."""
    stack = made("gru", 2, dropout=0.5)
    inputs = torch.randn(4, 9, 5)
    torch.manual_seed(7)
    _, state = run_stack(stack, inputs, lengths=lengths, locked_dropout=True)
    torch.manual_seed(7)
    mask = nn.functional.dropout(torch.ones(4, 1, 7), 0.5)
    assert set(mask.unique().tolist()) == {0.0, 2.0}
    for row, length in enumerate([9] * 4 if lengths is None else lengths.tolist()):
        (lower,), (upper,) = stack_layers(stack)
        below = above = lower.zero(inputs[:1])
        for step in range(length):
            below = lower.step(inputs[row : row + 1, step], below)
            above = upper.step(below[0] * mask[row], above)
        torch.testing.assert_close(state.hidden[:, row], torch.cat([below[0], above[0]]))
