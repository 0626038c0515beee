import pytest
import torch
from torch import Tensor

from nmt.config import ModelConfig
from nmt.models.dropout import InputDropout

TOKENS = torch.arange(20).repeat(50, 3)  # (batch, time): each type three times a sentence


def dropped(words: float = 0.0, **settings: float) -> Tensor:
    torch.manual_seed(0)
    config = ModelConfig(**{"dropout": 0.0, **settings})  # type: ignore[arg-type]
    return InputDropout(config, words=words, vocabulary=20)(torch.ones(50, 60, 8), TOKENS)


def test_word_dropout_takes_whole_tokens_at_their_places() -> None:
    found = dropped(words=0.25)
    assert (found == found[..., :1]).all()  # all units of a token share its fate
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert 0.2 < (found == 0).float().mean().item() < 0.3
    assert (found[:, :20] != found[:, 20:40]).any()  # another place, another fate


def test_embedding_dropout_takes_types_wherever_they_come() -> None:
    found = dropped(embedding_dropout=0.25)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (found == found[:1]).all()
    torch.testing.assert_close(found[:, :20], found[:, 20:40])


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
    config = ModelConfig(dropout=0.5, locked_dropout=True, embedding_dropout=0.5)
    noise = InputDropout(config, words=0.5, vocabulary=20).eval()
    values = torch.randn(50, 60, 8)
    assert noise(values, TOKENS) is values
