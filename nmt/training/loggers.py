"""Lightning's loggers, by the names in `training.loggers`."""

import importlib.util
import os
import uuid
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from nmt.config import TrainingConfig
from nmt.errors import ConfigError
from nmt.training.distributed import rank
from nmt.training.folder import write_text


class _ResumedMLFlowLogger(MLFlowLogger):
    """Keeps the parameters of the first start: MLflow refuses changes, such as more updates."""

    def log_hyperparams(self, params: Any) -> None:
        """Log nothing."""


def make_loggers(config: TrainingConfig, run: Path) -> list[Logger]:
    """Make the loggers of a run, all but `metrics.csv`, which `RunLog` writes.

    The run folder stores the run's id at each service: a resumed run continues under its id, and
    another run in a folder of the same name gets its own.

    Args:
        config: the `training` section.
        run: the run folder.
    """
    make = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}
    return [make[name](run) for name in config.loggers if name in make]


def _tensorboard(run: Path) -> Logger:
    return TensorBoardLogger(run, name="tensorboard", version="")


def _wandb(run: Path) -> Logger:
    number = _known_id(run, "wandb") or _keep_id(run, "wandb", uuid.uuid4().hex)
    return WandbLogger(name=run.name, save_dir=run, id=number, resume="allow")


def _mlflow(run: Path) -> Logger:
    uri = f"sqlite:///{(run / 'mlflow.db').absolute()}"
    uri = os.environ.get("MLFLOW_TRACKING_URI") or uri
    known = _known_id(run, "mlflow")
    if known is not None:
        return _ResumedMLFlowLogger(run_name=run.name, tracking_uri=uri, run_id=known)
    logger = MLFlowLogger(run_name=run.name, tracking_uri=uri)
    _keep_id(run, "mlflow", logger.run_id)
    return logger


def _known_id(run: Path, service: str) -> str | None:
    path = run / f"{service}.id"
    return path.read_text(encoding="utf-8").strip() if path.exists() else None


def _keep_id(run: Path, service: str, number: str | None) -> str | None:
    if rank() == 0 and number is not None:
        write_text(run / f"{service}.id", f"{number}\n")
    return number


def refuse_missing_loggers(config: TrainingConfig) -> None:
    """Refuse a logger whose package is not installed.

    Raises:
        ConfigError: a package is missing.
    """
    for name in config.loggers:
        if name != "csv" and importlib.util.find_spec(name) is None:
            raise ConfigError(
                f"training.loggers: {name} is not installed; pip install {name}, or leave it out"
            )
