"""Small models that must learn: to copy digits backwards, through the final state alone."""

import random
from pathlib import Path

import pytest

import nmt as package
from tests.conftest import Command


def digit_pairs(seed: int, count: int) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    pairs = []
    for _ in range(count):
        digits = generator.choices("abcdefgh", k=generator.randrange(1, 5))
        pairs.append((" ".join(digits), " ".join(reversed(digits)).upper()))
    return pairs


@pytest.mark.parametrize(
    ("cell", "attention"),
    [
        ("lstm", "none"),
        pytest.param("gru", "none", marks=pytest.mark.slow),
        pytest.param("lstm", "general", marks=pytest.mark.slow),
    ],
)
def test_a_small_model_learns_to_reverse(
    nmt: Command, tmp_path: Path, cell: str, attention: str
) -> None:
    for name, seed, count in [("train", 1, 3000), ("validation", 2, 50)]:
        rows = "".join(f"{s}\t{t}\n" for s, t in digit_pairs(seed, count))
        (tmp_path / f"{name}.tsv").write_text(f"xx\tyy\n{rows}")
    (tmp_path / "config.yaml").write_text(
        f"""
data:
  source_language: xx
  target_language: yy
  splits: {{train: {tmp_path}/train.tsv, validation: {tmp_path}/validation.tsv}}
tokenizer: {{model: word, shared: false}}
model:
  cell: {cell}
  attention: {attention}
  layers: 1
  embedding_size: 32
  hidden_size: 64
  dropout: 0.0
training:
  max_updates: 350
  batch_tokens: 512
  warmup_updates: 20
  learning_rate: 0.01
  validate_every: 350
  log_every: 350
"""
    )
    result = nmt("train", tmp_path / "config.yaml", "--run", tmp_path / "run")
    assert result.code == 0, result.err
    fresh = digit_pairs(3, 100)
    found = package.load(str(tmp_path / "run")).translate([source for source, _ in fresh])
    right = sum(one.text == target for one, (_, target) in zip(found, fresh, strict=True))
    assert right >= 90, f"{right} of 100"
