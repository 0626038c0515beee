"""Other cells in a network's place, and a run's start made again."""

import tempfile
from pathlib import Path

import pytest
import torch

from nmt.bundle import load_bundle
from nmt.config import load_config
from nmt.data.corpus import open_corpus
from nmt.diagnosis.collect import MOST_TOKENS, about_to_train, at_start, encoded, flow_of
from nmt.diagnosis.compare import compare_cells
from nmt.training.run import train

STILL = [
    *("--training.learning_rate", "1e-30", "--training.warmup_updates", "0"),
    *("--training.max_updates", "1", "--training.validate_every", "1"),
]


def test_a_start_is_that_of_the_run(tiny_config: Path, tmp_path: Path) -> None:
    """A run that learns nothing leaves the weights it began with."""
    config = load_config(tiny_config, STILL)
    train(config, tmp_path / "run")
    bundle = load_bundle(tmp_path / "run")
    torch.manual_seed(99)
    drawn = torch.rand(1)
    torch.manual_seed(99)
    again = at_start(config, bundle.tokenizer).model
    assert torch.equal(torch.rand(1), drawn)  # what others draw is left alone
    new = about_to_train(config).model
    for (name, weight), one, other in zip(
        bundle.model.named_parameters(), again.parameters(), new.parameters(), strict=True
    ):
        assert torch.allclose(weight, one, atol=1e-7), name
        assert torch.equal(one, other), name


def test_a_fine_tuned_run_starts_with_the_other_models_weights(
    tiny_config: Path, tiny_run: Path
) -> None:
    config = load_config(tiny_config, ["--training.init_from", str(tiny_run)])
    bundle = load_bundle(tiny_run)
    start = at_start(config, bundle.tokenizer).model
    pairs = zip(start.parameters(), bundle.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_cells_are_trained_with_all_else_as_it_is(
    tiny_config: Path, tiny_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = load_config(tiny_config)
    bundle = load_bundle(tiny_run)
    pairs = list(open_corpus(config.data, only="validation").pairs("validation"))
    found = compare_cells(config, bundle.tokenizer, ["lstm", "tanh"], pairs, updates=3, sentences=2)
    assert [(flow.cell, flow.moment, flow.sentences) for flow in found] == [
        ("lstm", "start", 2),
        ("lstm", "after 3 updates", 2),
        ("tanh", "start", 2),
        ("tanh", "after 3 updates", 2),
    ]
    assert found[0] == flow_of(at_start(config, bundle.tokenizer), pairs, "start", 2)
    assert found[0].states != found[1].states and found[2].states != found[3].states
    assert not found[3].gates and {gate.gate for gate in found[1].gates} > {"forget"}
    assert list(tmp_path.iterdir()) == []


def test_sentences_come_from_all_over_the_split_and_have_their_end(tiny_run: Path) -> None:
    bundle = load_bundle(tiny_run)
    tokenizer = bundle.tokenizer
    source, target = encoded(tokenizer, [("Hund " * 200, "dog"), ("", "")])
    assert source.lengths.tolist() == [MOST_TOKENS + 1, 1]
    eos, bos = tokenizer.target.eos_id, tokenizer.target.bos_id
    assert source.tokens[0, -1] == source.tokens[1, 0] == tokenizer.source.eos_id
    assert target.tokens[1, :2].tolist() == [bos, eos]
    pairs = [(f"Wort {number}", f"word {number}") for number in range(10)]
    few = flow_of(bundle, pairs, "trained", 3)
    assert few.sentences == 3
    assert few == flow_of(bundle, [pairs[0], pairs[3], pairs[6]], "trained")
