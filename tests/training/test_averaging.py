"""The mean of several checkpoints against NumPy's, and what a run keeps for it."""

from pathlib import Path

import numpy as np
import pytest
import torch

import nmt.training.averaging as averaging
import nmt.training.run as running
from nmt.errors import DataError
from nmt.training.averaging import average_checkpoints
from nmt.training.checkpoints import checkpoint_files
from tests.training.made import changed


@pytest.fixture(scope="module")
def run(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with the checkpoints of its last five updates. Do not change it."""
    run = tmp_path_factory.mktemp("averaging") / "run"
    running.train(changed(tiny_config, checkpoint_every=1, keep_checkpoints=5), run)
    return run


@pytest.mark.parametrize("number", [2, 5])
def test_the_mean_of_checkpoints_is_that_of_their_files(run: Path, number: int) -> None:
    files = checkpoint_files(run / "checkpoints")[-number:]
    states = [
        {
            name.removeprefix("model."): weight
            for name, weight in torch.load(path, weights_only=True)["state_dict"].items()
        }
        for path in files
    ]
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


def test_a_damaged_checkpoint_is_named_and_left(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for path in checkpoint_files(run / "checkpoints")[-3:]:
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
