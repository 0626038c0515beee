"""Lightning's loggers, by the names in `training.loggers`."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from nmt.config import TrainingConfig
from nmt.errors import ConfigError

_MAKE: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": lambda run: TensorBoardLogger(run, name="tensorboard", version=""),
    "wandb": lambda run: WandbLogger(name=run.name, save_dir=run, id=run.name, resume="allow"),
    "mlflow": lambda run: MLFlowLogger(
        run_name=run.name,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI")
        or f"sqlite:///{(run / 'mlflow.db').absolute()}",
    ),
}


def make_loggers(config: TrainingConfig, run: Path) -> list[Logger]:
    """Make the loggers of a run, all but `metrics.csv`, which `RunLog` writes.

    Args:
        config: the `training` section.
        run: the run folder.
    """
    loggers = []
    for name in config.loggers:
        if name in _MAKE:
            loggers.append(_MAKE[name](run))
    return loggers


def refuse_missing_loggers(config: TrainingConfig) -> None:
    """Refuse a logger whose package is not installed.

    Raises:
        ConfigError: it is not.
    """
    for name in config.loggers:
        if name != "csv" and importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"training.loggers: {name} is not installed; pip install {name}, or leave it out"
            )
