"""Averaged weights against loops by hand, torch's own average, and runs without any."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import nmt.training.averaging as averaging
import nmt.training.run as running
from nmt.bundle import build_model, load_bundle
from nmt.config import load_config
from nmt.data.corpus import open_corpus
from nmt.errors import DataError, UsageError
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.text.tokenizer import load_tokenizer
from nmt.training.averaging import average_checkpoints
from nmt.training.checkpoints import checkpoint_files
from nmt.training.module import TranslationModule
from tests.conftest import Command
from tests.training.made import assert_equal_weights, changed, opened, train_until_killed

Weights = dict[str, torch.Tensor]
DECAY = 0.5


def read(path: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(path, weights_only=True)
    return checkpoint


def raw(path: Path) -> Weights:
    return state(path, "model.")


def average(path: Path) -> Weights:
    return state(path, "average.")


def state(path: Path, prefix: str) -> Weights:
    weights = read(path)["state_dict"].items()
    return {n.removeprefix(prefix): weight for n, weight in weights if n.startswith(prefix)}


def assert_equal_averages(one: Path, other: Path) -> None:
    first, second = (average(checkpoint_files(run / "checkpoints")[-1]) for run in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())


def first_model(run: Path) -> Seq2Seq:
    """The network before its first update."""
    torch.manual_seed(1)
    return build_model(load_config(run / "config.yaml"), load_tokenizer(run / "tokenizer"))


def validation_loss(run: Path) -> float:
    """The loss of a run's bundle, in nats a token, on the whole validation split."""
    config = load_config(run / "config.yaml")
    sources, targets = zip(*open_corpus(config.data).pairs("validation"), strict=True)
    translator = Translator.load(run)
    tokens = sum(len(ids) + 1 for ids in translator.tokenizer.target.encode(targets))
    return -sum(translator.score(sources, targets)) / tokens


@pytest.fixture(scope="module")
def averaged_run(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with an average and every update's checkpoint. Do not change it."""
    run = tmp_path_factory.mktemp("averaging") / "run"
    config = changed(tiny_config, ema=DECAY, checkpoint_every=1, keep_checkpoints=30)
    running.train(config, run)
    assert len(checkpoint_files(run / "checkpoints")) == 30
    return run


def test_the_average_is_that_of_a_loop_by_hand(averaged_run: Path) -> None:
    """From update 8 on (1 + n) / (10 + n) is above the decay."""
    averages = {
        name: weight.detach().double().numpy()
        for name, weight in first_model(averaged_run).state_dict().items()
    }
    counts = averages.pop("decoder.token_counts")
    for number, path in enumerate(checkpoint_files(averaged_run / "checkpoints")):
        decay = (1 + number) / (10 + number) if number < 8 else DECAY
        found, weights = average(path), raw(path)
        for name, value in averages.items():
            averages[name] = decay * value + (1 - decay) * weights[name].double().numpy()
            np.testing.assert_allclose(found[name].numpy(), averages[name], atol=5e-7, rtol=0)
        assert torch.equal(found["decoder.token_counts"], weights["decoder.token_counts"])
        assert found["decoder.token_counts"].sum() > counts.sum()


def test_the_average_is_torchs_own_bit_for_bit(tiny_config: Path, tmp_path: Path) -> None:
    """With a decay that the first updates already have."""
    settings = {"max_updates": 6, "checkpoint_every": 1, "keep_checkpoints": 6}
    running.train(changed(tiny_config, ema=0.1, **settings), tmp_path / "run")
    model = first_model(tmp_path / "run")
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.1))
    theirs.update_parameters(model)  # the first call copies
    for path in checkpoint_files(tmp_path / "run" / "checkpoints"):
        model.load_state_dict(raw(path))
        theirs.update_parameters(model)
        found = average(path)
        for name, weight in theirs.module.named_parameters():
            assert torch.equal(weight, found[name]), name


def test_training_does_not_know_of_the_average(averaged_run: Path, tiny_run: Path) -> None:
    assert_equal_weights(averaged_run, tiny_run)


def test_validation_and_the_bundle_take_the_average(averaged_run: Path) -> None:
    metrics = load_bundle(averaged_run).metrics
    path = averaged_run / "checkpoints" / f"update-{metrics['update']:09d}.ckpt"
    expected, trained = average(path), raw(path)
    found = safetensors.torch.load_file(averaged_run / "model" / "weights.safetensors")
    assert "decoder.projection.weight" not in found  # it is tied, and stays one
    for name, weight in found.items():
        assert torch.equal(weight, expected[name]), name
    assert not torch.equal(found["encoder.embedding.weight"], trained["encoder.embedding.weight"])
    assert metrics["validation"]["loss"] == pytest.approx(validation_loss(averaged_run), rel=1e-4)
    card = (averaged_run / "model" / "README.md").read_text()
    assert "Weights: fp32, moving averages of decay 0.5." in card


def test_the_average_has_tied_weights_once(averaged_run: Path) -> None:
    config = load_config(averaged_run / "config.yaml")
    module = TranslationModule(config)
    module.build(opened(config))
    assert module.average is not None
    assert module.average.decoder.projection.weight is module.average.encoder.embedding.weight
    assert not any(weight.requires_grad for weight in module.average.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_killed_run_goes_on_with_its_average(
    tiny_config: Path, tmp_path: Path, devices: int
) -> None:
    config = changed(tiny_config, ema=0.9, devices=devices, checkpoint_every=4)
    running.train(config, tmp_path / "whole")
    train_until_killed(config, tmp_path / "run", after=14)
    running.train(config, tmp_path / "run", resume=True)
    assert_equal_weights(tmp_path / "run", tmp_path / "whole")
    assert_equal_averages(tmp_path / "run", tmp_path / "whole")
    metrics = [load_bundle(tmp_path / name).metrics for name in ("run", "whole")]
    assert metrics[0]["validation"] == metrics[1]["validation"]


@pytest.mark.slow
def test_a_real_kill_changes_nothing(nmt: Command, tiny_config: Path) -> None:
    """All of a checkpoint is compared, and a callback's state is a part of it."""
    result = nmt("train", tiny_config, "--verify-resume", "--training.ema", "0.9")
    assert result.code == 0, result.err
    assert "resume verified: after 30 updates" in result.err


@pytest.mark.slow
def test_every_rank_has_the_same_average(tiny_config: Path, tmp_path: Path) -> None:
    """Each scores its share of validation with its own; together that is the one exported."""
    config = changed(tiny_config, ema=0.9, devices=2, max_updates=12, validate_every=12)
    running.train(config, tmp_path / "two")
    metrics = load_bundle(tmp_path / "two").metrics
    assert metrics["validation"]["loss"] == pytest.approx(
        validation_loss(tmp_path / "two"), rel=1e-4
    )
    with open(tmp_path / "two" / "metrics.csv", newline="") as stream:
        told = [row["validation_loss"] for row in csv.DictReader(stream) if row["validation_loss"]]
    running.train(
        changed(tiny_config, devices=2, max_updates=12, validate_every=12), tmp_path / "b"
    )
    plain = load_bundle(tmp_path / "b").metrics["validation"]["loss"]
    assert abs(float(told[0]) - plain) > 1e-2  # so the weights themselves would have shown


def test_another_decay_is_another_run(tiny_config: Path, averaged_run: Path) -> None:
    settings = {"checkpoint_every": 1, "keep_checkpoints": 30}
    for ema in (None, 0.9):
        with pytest.raises(UsageError, match=r"made with another training.ema; give the same"):
            running.train(changed(tiny_config, ema=ema, **settings), averaged_run, resume=True)


@pytest.mark.parametrize("number", [2, 5])
@pytest.mark.parametrize("ema", [True, False])
def test_the_mean_of_checkpoints_is_that_of_their_files(
    averaged_run: Path, tmp_path: Path, number: int, ema: bool
) -> None:
    run = averaged_run
    if not ema:  # without the averages, as a run that kept none
        run = tmp_path / "run"
        (run / "checkpoints").mkdir(parents=True)
        (run / "tokenizer").symlink_to(averaged_run / "tokenizer")
        for name in ("config.yaml", "environment.json"):
            (run / name).symlink_to(averaged_run / name)
        for path in checkpoint_files(averaged_run / "checkpoints")[-number:]:
            checkpoint = read(path)
            for name in [n for n in checkpoint["state_dict"] if n.startswith("average.")]:
                del checkpoint["state_dict"][name]
            torch.save(checkpoint, run / "checkpoints" / path.name)
    files = checkpoint_files(averaged_run / "checkpoints")[-number:]
    states = [(average if ema else raw)(path) for path in files]
    bundle = average_checkpoints(run, number)
    found = bundle.model.state_dict()
    assert found.keys() == states[0].keys()
    for name, weight in found.items():
        mean = np.mean([state[name].double().numpy() for state in states], axis=0)
        np.testing.assert_array_equal(weight.numpy(), mean.astype(np.float32))
    assert bundle.model.decoder.projection.weight is bundle.model.encoder.embedding.weight
    assert torch.equal(found["decoder.token_counts"], states[0]["decoder.token_counts"])
    assert bundle.metrics["averaged_updates"] == list(range(31 - number, 31))
    assert "validation" not in bundle.metrics and "update" not in bundle.metrics


def test_checkpoints_that_a_run_replaces_meanwhile_are_looked_for_again(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = checkpoint_files(tiny_run / "checkpoints")
    stale = real[0].with_name("update-000000007.ckpt")
    listings = iter([[stale, real[0]], real, real])
    monkeypatch.setattr(averaging, "checkpoint_files", lambda folder: next(listings))
    assert average_checkpoints(tiny_run, 2).metrics["averaged_updates"] == [20, 30]
    monkeypatch.setattr(averaging, "checkpoint_files", lambda folder: [stale, real[0]])
    with pytest.raises(FileNotFoundError):
        average_checkpoints(tiny_run, 2)


def test_a_damaged_checkpoint_is_named_and_left(averaged_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in checkpoint_files(averaged_run / "checkpoints")[-3:]:
        (folder / path.name).symlink_to(path)
    damaged = folder / "update-000000029.ckpt"
    damaged.unlink()
    damaged.write_bytes(b"half")
    told = rf"the checkpoint {damaged} is damaged \(BadZipFile: .*\); move it elsewhere"
    with pytest.raises(DataError, match=told):
        average_checkpoints(tmp_path, 2)
    assert damaged.read_bytes() == b"half"


@pytest.mark.parametrize("keep", [1, 3])
def test_the_run_folder_keeps_the_newest_checkpoints(
    tiny_config: Path, tmp_path: Path, keep: int
) -> None:
    config = changed(
        tiny_config, schedule="constant", max_updates=10, checkpoint_every=2, keep_checkpoints=keep
    )
    running.train(config, tmp_path / "run")
    names = [path.stem for path in checkpoint_files(tmp_path / "run" / "checkpoints")]
    assert names == ["update-000000006", "update-000000008", "update-000000010"][-keep:]
