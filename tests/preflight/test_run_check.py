"""A check of a small corpus, against numbers worked by hand and against the run itself."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.config import Config, load_config
from nmt.data.phrases import read_split
from nmt.errors import NmtError
from nmt.models.seq2seq import Seq2Seq
from nmt.preflight.check_records import Check
from nmt.preflight.run_check import check
from nmt.training import run as running
from nmt.training.checkpoints import checkpoint_files
from tests.conftest import write_pairs


@pytest.fixture(scope="module")
def tiny_check(tiny_config: Path) -> Check:
    return check(load_config(tiny_config))


def with_splits(config: Config, **places: Any) -> Config:
    splits = {**(config.data.splits or {}), **places}
    return dataclasses.replace(config, data=dataclasses.replace(config.data, splits=splits))


def test_the_numbers_agree_with_each_other(tiny_check: Check) -> None:
    train = tiny_check.splits["train"]
    assert list(tiny_check.splits) == ["train", "validation", "test"]
    assert (train.source.sentences, train.sampled) == (400, 400)
    assert tiny_check.splits["test"].target.sentences == 20
    words = sum(len(source.split()) for source, _ in read_split("train")[:400])
    assert train.source.per_word == pytest.approx(train.source.tokens / words)
    assert train.source.unknown == 0.0 and train.source.used > 0.5
    assert tiny_check.facts.kept == 400
    assert tiny_check.cost.total_updates == 30 and tiny_check.cost.validations == 3
    assert tiny_check.vocabularies == [300]
    tokens = train.target.tokens + 400  # the plan has the end tokens, too
    updates = tiny_check.cost.updates_per_epoch
    assert tiny_check.cost.target_tokens_per_update == pytest.approx(tokens / updates)
    assert tiny_check.cost.sentences_per_update == pytest.approx(400 / updates)


def test_three_pairs_of_each_split_are_shown(tiny_check: Check) -> None:
    for name, size in (("train", 400), ("validation", 20), ("test", 20)):
        pairs = read_split(name)[:size]
        shown = tiny_check.splits[name].examples
        assert len(shown) == 3 and shown[0] == pairs[0]
        assert [pairs.index(pair) for pair in shown] == sorted(pairs.index(pair) for pair in shown)


def test_updates_and_validations_are_those_of_the_run(tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, ["--training.max_epochs", "1"])
    training = dataclasses.replace(config.training, max_updates=None, validate_every=7)
    config = dataclasses.replace(config, training=training)
    found = check(config)
    running.train(config, tmp_path / "run")
    last = checkpoint_files(tmp_path / "run" / "checkpoints")[-1]
    assert last.name == f"update-{found.cost.updates_per_epoch:09d}.ckpt"
    assert found.cost.total_updates == found.cost.updates_per_epoch
    metrics = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    validated = [row for row in metrics[1:] if row.split(",")[6]]
    assert found.cost.validations == len(validated)


def test_an_unknown_character_of_a_held_out_split_is_found(
    tiny_config: Path, tmp_path: Path
) -> None:
    pairs = read_split("test")[:20]
    write_pairs(tmp_path / "test", [(f"{pairs[0][0]} 漢", pairs[0][1]), *pairs[1:]])
    found = check(with_splits(load_config(tiny_config), test=str(tmp_path / "test")))
    side = found.splits["test"].source
    assert side.unknown == pytest.approx(1 / side.tokens)
    assert side.commonest_unknown == [("漢", 1)]
    (warning,) = [line for line in found.warnings if "unknown" in line]
    assert "of the de tokens of test are unknown, such as 漢" in warning
    assert "tokenizer.byte_fallback: true" in warning


def test_leaks_are_found_and_named(tiny_config: Path, corpus_folder: Path, tmp_path: Path) -> None:
    train = read_split("train")
    write_pairs(tmp_path / "leaky", [*train[:3], *read_split("test")[20:37]])
    config = load_config(tiny_config)
    found = check(with_splits(config, validation=str(corpus_folder / "test")))
    (same,) = [one for one in found.overlaps if one.other == "validation"]
    assert same.pairs == same.size == 20
    assert any(
        line.startswith("20 of the 20 pairs of test are also in validation: cut validation")
        for line in found.warnings
    )
    found = check(with_splits(config, test=str(tmp_path / "leaky")))
    (leak,) = [one for one in found.overlaps if (one.split, one.other) == ("test", "train")]
    assert leak.pairs == 3 < leak.size
    (line,) = [line for line in found.warnings if "of test" in line]
    assert line == (
        "3 of the 20 pairs of test are also in train: leave them out of train with "
        "data.filters.overlap: true"
    )


def test_a_cut_validation_does_not_leak(tiny_config: Path) -> None:
    found = check(with_splits(load_config(tiny_config), validation={"cut": 30}))
    assert found.splits["train"].source.sentences == 370
    (overlap,) = [one for one in found.overlaps if one.split == "validation"]
    assert (overlap.other, overlap.pairs, overlap.size) == ("train", 0, 30)


def test_of_a_large_train_every_so_many_pairs_are_measured(
    tiny_config: Path, tiny_check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.preflight.run_check._SAMPLE", 150)
    found = check(load_config(tiny_config)).splits["train"]
    assert found.sampled == 134  # every third of 400
    assert found.examples == [
        read_split("train")[row] for row in (0, 132, 267)
    ]  # thirds of the sample
    whole = tiny_check.splits["train"].source
    assert (found.source.tokens, found.source.longest) == (whole.tokens, whole.longest)


def test_an_update_that_does_not_fit_is_one_line(
    tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **settings: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Seq2Seq, "loss", full)
    with pytest.raises(NmtError, match=r"does not fit into .* lower training\.batch_tokens"):
        check(load_config(tiny_config))
