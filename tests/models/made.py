"""Recurrent stacks for tests, without dropout by default."""

from typing import Any

from torch import nn

from nmt.config import ModelConfig
from nmt.models.stacks import recurrent_stack


def made_stack(
    cell: str, *, input_size: int, hidden_size: int, bidirectional: bool = False, **settings: Any
) -> nn.RNNBase:
    """`settings` are keys of the model's config, such as `layers`."""
    config = ModelConfig(**{"cell": cell, "dropout": 0.0, **settings})
    return recurrent_stack(config, input_size, hidden_size, bidirectional=bidirectional)
