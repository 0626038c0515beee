"""What tests of training share: changed configs, killed runs, and comparisons of two runs."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from nmt.config import Config, load_config
from nmt.training.checkpoints import checkpoint_files
from nmt.training.data_module import TranslationData
from nmt.training.random_states import RandomStates
from nmt.training.run import train


def changed(config: Config | Path, **settings: Any) -> Config:
    """Return a config with other settings of `training`."""
    if isinstance(config, Path):
        config = load_config(config)
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **settings))


def with_model(config: Config, **settings: Any) -> Config:
    """Return a config with other settings of `model`."""
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **settings))


def with_data(config: Config, **settings: Any) -> Config:
    """Return a config with other settings of `data`."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **settings))


class Killed(Exception):  # noqa: N818
    """Stands for `kill -9`: nothing of ours runs after it."""


class KillAt(lightning.Callback):
    """Raises `Killed` in a hook of Lightning once so many updates are done."""

    def __init__(self, update: int, hook: str):
        def kill(trainer: lightning.Trainer, *rest: Any) -> None:
            if trainer.global_step == update:
                raise Killed

        setattr(self, hook, kill)


def train_until_killed(
    config: Config, run: Path, *, after: int, hook: str = "on_train_batch_start"
) -> None:
    """Train or resume, and die after an update; by default with all that belongs to the update."""
    kill = KillAt(after, hook)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        if config.training.devices == 1:
            train(config, run, resume=True, callbacks=[kill])
        else:  # such a run takes no callbacks; the first of its processes dies
            patch.setattr(RandomStates, hook, lambda self, *rest: getattr(kill, hook)(*rest))
            train(config, run, resume=True)


def opened(config: Config) -> TranslationData:
    """Return a config's data module, opened."""
    data = TranslationData(config)
    data.setup()
    return data


def last_checkpoint(run: Path) -> dict[str, Any]:
    """Return the checkpoint of a finished run."""
    checkpoint: dict[str, Any] = torch.load(
        checkpoint_files(run / "checkpoints")[-1], weights_only=True
    )
    assert checkpoint["run"]["finished"]
    return checkpoint


def last_weights(run: Path) -> dict[str, torch.Tensor]:
    """Return the weights after the last update, which need not be the best."""
    state: dict[str, torch.Tensor] = last_checkpoint(run)["state_dict"]
    return {name: weight for name, weight in state.items() if name.startswith("model.")}


def assert_equal_weights(one: Path, other: Path) -> None:
    """Compare the last weights of two runs bit for bit."""
    first, second = last_weights(one), last_weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def history(run: Path) -> list[dict[str, str]]:
    """Return the rows of a run's `metrics.csv`, without speed."""
    with open(run / "metrics.csv", newline="", encoding="utf-8") as stream:
        return [row | {"tokens_per_second": ""} for row in csv.DictReader(stream)]


def assert_equal_runs(one: Path, other: Path) -> None:
    """Compare the last weights, the history and the best model of two runs."""
    assert_equal_weights(one, other)
    assert history(one) == history(other)
    files = [(run / "model" / "weights.safetensors").read_bytes() for run in (one, other)]
    assert files[0] == files[1]
    states = [last_checkpoint(run) for run in (one, other)]
    for name in ("callbacks", "module", "run", "lr_schedulers"):
        assert states[0][name] == states[1][name], name
