"""The loss in blocks equals torch's own, and so do its gradients."""

import pytest
import torch
import torch.nn.functional as F

from nmt.models import loss
from nmt.models.loss import projected_cross_entropy
from tests.conftest import needs_bf16


def material(tokens: int) -> tuple[torch.Tensor, torch.nn.Linear, torch.Tensor]:
    torch.manual_seed(1)
    projection = torch.nn.Linear(7, 30)
    readouts = torch.randn(tokens, 7, requires_grad=True)
    return readouts, projection, torch.randint(0, 30, (tokens,))


@pytest.mark.parametrize("tokens", [1, 5, 6, 17])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_equals_torchs_cross_entropy(
    tokens: int, smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "_ROWS", 6)  # so that there are several blocks
    readouts, projection, targets = material(tokens)
    inputs = (readouts, projection.weight, projection.bias)
    found = projected_cross_entropy(readouts, projection, targets, smoothing)
    expected = F.cross_entropy(
        projection(readouts), targets, reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(found, expected)
    for one, other in zip(
        torch.autograd.grad(found / 3, inputs),
        torch.autograd.grad(expected / 3, inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("tokens", [1, 5, 17])
def test_r_drop_draws_two_passes_together(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "_ROWS", 6)
    _, projection, targets = material(tokens)
    readouts = torch.randn(2, tokens, 7, requires_grad=True)
    inputs = (readouts, projection.weight, projection.bias)
    found = projected_cross_entropy(readouts, projection, targets, 0.1, 5.0)
    one, other = (projection(part).log_softmax(dim=-1) for part in readouts)
    apart = [
        F.kl_div(b, a, reduction="sum", log_target=True) for a, b in [(one, other), (other, one)]
    ]
    losses = [
        F.cross_entropy(part, targets, reduction="sum", label_smoothing=0.1)
        for part in (one, other)
    ]
    expected = (sum(losses) + 5.0 * sum(apart) / 2) / 2  # half of the paper's
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(
        torch.autograd.grad(found / 3, inputs),
        torch.autograd.grad(expected / 3, inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_large_logits_do_not_overflow() -> None:
    readouts, projection, targets = material(4)
    found = projected_cross_entropy(readouts * 1e4, projection, targets)
    expected = F.cross_entropy(projection(readouts * 1e4), targets, reduction="sum")
    assert torch.isfinite(found)
    torch.testing.assert_close(found, expected)


@needs_bf16
def test_under_autocast_it_is_near_the_fp32_loss() -> None:
    readouts, projection, targets = material(9)
    expected = projected_cross_entropy(readouts, projection, targets, 0.1)
    with torch.autocast("cpu", torch.bfloat16):
        found = projected_cross_entropy(readouts, projection, targets, 0.1)
    assert found.dtype == torch.float32
    found.backward()
    assert readouts.grad is not None and readouts.grad.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.0, rtol=0.02)
