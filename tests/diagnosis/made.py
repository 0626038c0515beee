"""Models of every kind for the tests of diagnosis, with random weights."""

from typing import Any

import torch

from nmt.bundle import Bundle, build_model
from nmt.config import Config, DataConfig, DecodingConfig, ModelConfig, TokenizerConfig
from nmt.data.phrases import read_split
from nmt.text.tokenizer import train_tokenizer

PAIRS = read_split("validation")[:12]
TOKENIZER, _ = train_tokenizer(
    TokenizerConfig(vocabulary_size=150, shared=False), read_split("train")[:200]
)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bridge": "copy", "feed_context": False},
    {"cell": "gru", "bridge": "wide", "pool": "mean", "bidirectional": False},
    {"cell": "tanh", "bridge": "copy", "layers": 1, "reverse_source": True},
    {"cell": "relu", "feed_context": False, "pool": "max", "bridge": "wide"},
    {"bridge": "wide", "pool": "max", "layers": 3},
    {"attention": "dot", "bridge": "linear"},
    {"attention": "additive", "input_feeding": True, "feed_context": False, "cell": "gru"},
]


def made(*, seed: int = 1, **settings: Any) -> Bundle:
    """Make a bundle whose model is far from uniform, so that changes show."""
    torch.manual_seed(seed)
    config = Config(
        data=DataConfig(source_language="de", target_language="en"),
        model=ModelConfig(**{"embedding_size": 10, "hidden_size": 14, "layers": 2, **settings}),
        decoding=DecodingConfig(beam_size=3, max_length_ratio=0.5),
    )
    model = build_model(config, TOKENIZER).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.uniform_(-0.3, 0.3)
            elif config.model.cell != "relu" or "weight_hh" not in name:
                parameter.mul_(2.0)
    return Bundle(model, TOKENIZER, config, {}, "fp32")
