import pytest
import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.models.dropout import InputDropout


def dropped(words: float = 0.0, **settings: float) -> Tensor:
    torch.manual_seed(0)
    config = ModelConfig(**{"dropout": 0.0, **settings})  # type: ignore[arg-type]
    return InputDropout(config, words=words)(torch.ones(50, 60, 8))


def test_word_dropout_takes_whole_tokens_at_their_places() -> None:
    found = dropped(words=0.25)
    assert (found == found[..., :1]).all()  # all units of a token share its fate
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert 0.2 < (found == 0).float().mean().item() < 0.3
    assert (found[:, :-1] != found[:, 1:]).any()  # another place, another fate


def test_locked_dropout_takes_units_for_a_sentence() -> None:
    found = dropped(dropout=0.25, locked_dropout=True)
    assert (found == found[:, :1]).all()
    assert 0.2 < (found == 0).float().mean().item() < 0.3
    assert (found[0] != found[1]).any()


def test_plain_dropout_takes_units_anew_at_every_step() -> None:
    found = dropped(dropout=0.25)
    assert (found[:, 0] != found[:, 1]).any()
    assert 0.24 < (found == 0).float().mean().item() < 0.26


def test_nothing_is_dropped_when_training_is_over() -> None:
    config = ModelConfig(dropout=0.5, locked_dropout=True)
    noise = InputDropout(config, words=0.5).eval()
    values = torch.randn(50, 60, 8)
    assert noise(values) is values
