"""Losses of single tokens against torch's cross-entropy, and their means by hand."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nmt.diagnosis.records import FrequencyLoss, PositionLoss
from nmt.diagnosis.token_losses import TokenLosses, frequency_losses, position_losses, token_losses
from nmt.models.batch import pad
from tests.diagnosis.made import OPTIONS, PAIRS, TOKENIZER, made


@pytest.mark.parametrize("settings", OPTIONS, ids=str)
@torch.no_grad()
def test_losses_are_torchs_cross_entropies(settings: dict[str, Any]) -> None:
    """In double precision: processors round fp32 differently, and relu states grow with time."""
    bundle = made(**settings)
    bundle.model.double()
    found = token_losses(bundle, PAIRS)
    expected, tokens, positions = [], [], []
    for source, reference in PAIRS:
        read = [*TOKENIZER.source.encode([source])[0], TOKENIZER.source.eos_id]
        written = [*TOKENIZER.target.encode([reference])[0], TOKENIZER.target.eos_id]
        logits = bundle.model(pad([read]), pad([[TOKENIZER.target.bos_id, *written]]))
        expected.append(F.cross_entropy(logits, torch.tensor(written), reduction="none"))
        tokens += written
        positions += range(1, len(written) + 1)
    torch.testing.assert_close(found.losses, torch.cat(expected), atol=1e-9, rtol=1e-9)
    assert (found.tokens.tolist(), found.positions.tolist()) == (tokens, positions)


def test_means_by_place() -> None:
    losses = torch.tensor([1.0, 2.0, 3.0, 5.0, 4.0], dtype=torch.float64)
    found = TokenLosses(torch.tensor([7, 8, 3, 7, 3]), torch.tensor([1, 2, 3, 1, 2]), losses)
    assert position_losses(found) == [
        PositionLoss(1, 3.0, 2),
        PositionLoss(2, 3.0, 2),
        PositionLoss(3, 3.0, 1),
    ]


def test_means_by_frequency() -> None:
    tokens = torch.tensor([0, 1, 2, 3, 4, 5])
    found = TokenLosses(tokens, tokens + 1, torch.tensor([6.0, 5, 3, 2, 1, 0.5]).double())
    counts = torch.tensor([0.0, 1, 9, 10, 100, 1000])
    assert frequency_losses(found, counts) == [
        FrequencyLoss(0, 0, 6.0, 1),
        FrequencyLoss(1, 9, 4.0, 2),
        FrequencyLoss(10, 99, 2.0, 1),
        FrequencyLoss(100, 999, 1.0, 1),
        FrequencyLoss(1000, 9999, 0.5, 1),
    ]
    assert frequency_losses(found, torch.zeros(6)) == []
