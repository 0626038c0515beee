"""A check of a small corpus, against numbers worked by hand and against the run itself."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.config import Config, load_config
from nmt.data.phrases import read_split
from nmt.errors import NmtError
from nmt.training import run as running
from nmt.training.check import Check, check
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
    assert (train.pairs, train.sampled, tiny_check.splits["test"].pairs) == (400, 400, 20)
    words = [sum(len(pair[side].split()) for pair in read_split("train")[:400]) for side in (0, 1)]
    assert [train.source.words, train.target.words] == words
    assert train.source.tokens_per_word == pytest.approx(train.source.tokens / words[0])
    assert train.source.unknown_rate == 0.0 and train.source.used_pieces > 0.5
    assert sum(row.source for row in tiny_check.lengths) == 400
    assert tiny_check.lengths[-1].last == max(train.source.longest, train.target.longest)
    assert tiny_check.filters.kept == 400
    assert tiny_check.cost.total_updates == 30 and tiny_check.cost.validations == 3
    seconds = tiny_check.cost.update.seconds_per_update
    assert tiny_check.cost.estimated_seconds == pytest.approx(30 * seconds)
    assert tiny_check.shared_vocabulary and tiny_check.source_pieces == 300
    tokens = train.target.tokens + 400  # the plan has the end tokens, too
    mean = tiny_check.plan.target_tokens_per_update
    assert mean == pytest.approx(tokens / tiny_check.plan.updates)


def test_updates_and_validations_are_those_of_the_run(tiny_config: Path, tmp_path: Path) -> None:
    config = load_config(tiny_config, ["--training.max_epochs", "1"])
    training = dataclasses.replace(config.training, max_updates=None, validate_every=7)
    config = dataclasses.replace(config, training=training)
    found = check(config)
    running.train(config, tmp_path / "run")
    last = checkpoint_files(tmp_path / "run" / "checkpoints")[-1]
    assert last.name == f"update-{found.plan.updates:09d}.ckpt"
    assert found.cost.total_updates == found.plan.updates
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
    assert side.unknown_rate == pytest.approx(1 / side.tokens)
    assert side.commonest_unknown == [("漢", 1)]
    (warning,) = [line for line in found.warnings if "unknown" in line]
    assert "many de tokens are unknown" in warning and "of test), such as 漢" in warning
    assert "tokenizer.byte_fallback: true" in warning


def test_leaks_are_found_and_named(tiny_config: Path, corpus_folder: Path, tmp_path: Path) -> None:
    train = read_split("train")
    write_pairs(tmp_path / "leaky", [*train[:3], *read_split("test")[20:37]])
    config = load_config(tiny_config)
    found = check(with_splits(config, validation=str(corpus_folder / "test")))
    (same,) = [one for one in found.overlaps if one.other == "validation"]
    assert same.identical and same.pairs == same.size == 20
    assert any(
        line.startswith("test and validation are the same 20 pairs: cut validation out of train")
        for line in found.warnings
    )
    found = check(with_splits(config, test=str(tmp_path / "leaky")))
    (leak,) = [one for one in found.overlaps if (one.split, one.other) == ("test", "train")]
    assert (leak.pairs, leak.identical) == (3, False)
    assert any("train has 3 of the 20 pairs of test" in line for line in found.warnings)


def test_a_cut_validation_does_not_leak(tiny_config: Path) -> None:
    found = check(with_splits(load_config(tiny_config), validation={"cut": 30}))
    assert found.splits["train"].pairs == 370
    (overlap,) = [one for one in found.overlaps if one.split == "validation"]
    assert (overlap.other, overlap.pairs, overlap.size) == ("train", 0, 30)


def test_of_a_large_train_every_so_many_pairs_are_measured(
    tiny_config: Path, tiny_check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.training.check._SAMPLE", 150)
    found = check(load_config(tiny_config)).splits["train"]
    assert found.sampled == 134  # every third of 400
    words = sum(len(source.split()) for source, _ in read_split("train")[:400:3])
    assert found.source.words == words
    whole = tiny_check.splits["train"].source
    assert (found.source.tokens, found.source.longest) == (whole.tokens, whole.longest)


def test_an_update_that_does_not_fit_is_one_line(
    tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("nmt.training.check.time_updates", full)
    with pytest.raises(NmtError, match=r"does not fit into .* lower training\.batch_tokens"):
        check(load_config(tiny_config))
