"""Lightning's loggers, by the names in `training.loggers`."""

from collections.abc import Callable
from pathlib import Path

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from nmt.config import TrainingConfig
from nmt.errors import ConfigError

_MAKE: dict[str, Callable[[Path], Logger]] = {
    "tensorboard": lambda run: TensorBoardLogger(run, name="tensorboard", version=""),
    "wandb": lambda run: WandbLogger(name=run.name, save_dir=run, id=run.name, resume="allow"),
    "mlflow": lambda run: MLFlowLogger(run_name=run.name, save_dir=str(run / "mlflow")),
}


def make_loggers(config: TrainingConfig, run: Path) -> list[Logger]:
    """Make the loggers of a run, all but `metrics.csv`, which `RunLog` writes.

    Args:
        config: the `training` section.
        run: the run folder.

    Raises:
        ConfigError: the package of a logger is not installed.
    """
    loggers = []
    for name in config.loggers:
        if name in _MAKE:
            try:
                loggers.append(_MAKE[name](run))
            except ModuleNotFoundError:
                raise ConfigError(
                    f"training.loggers: {name} is not installed; pip install {name}, or leave it "
                    "out"
                ) from None
    return loggers
