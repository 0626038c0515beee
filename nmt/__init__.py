"""Machine translation with two recurrent networks.

import nmt
translator = nmt.load("runs/quickstart")
translator.translate(["Heute liest der Mann ein Buch."], beam_size=5)[0].text
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nmt.openmp import limit_spinning

if TYPE_CHECKING:
    from pathlib import Path

    import lightning
    from lightning.pytorch.loggers import Logger

    from nmt.config import Config
    from nmt.inference.translator import Translator
    from nmt.training.data_module import TranslationData
    from nmt.training.module import TranslationModule

__version__ = "0.1.0"
__all__ = ["TranslationData", "TranslationModule", "__version__", "load", "load_config", "train"]

limit_spinning()  # before anything imports torch

_LAZY = {
    "TranslationData": "nmt.training.data_module",
    "TranslationModule": "nmt.training.module",
}
"""Names that take seconds to import, and their modules."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def load_config(path: "str | Path", overrides: Mapping[str, Any] | None = None) -> "Config":
    """Read a config file.

    Args:
        path: a YAML file of the keys that differ from the defaults.
        overrides: values by key, such as `{"model.cell": "gru"}`.

    Raises:
        ConfigError: the file cannot be read, or a key or its value is invalid.
        BundleError: there is no model at `training.init_from`.
    """
    from nmt.training.fine_tuning import load_training_config

    return load_training_config(path, overrides or {})


def train(
    config: "Config",
    run: "str | Path",
    *,
    resume: bool = False,
    callbacks: "Sequence[lightning.Callback]" = (),
    loggers: "Sequence[Logger]" = (),
) -> "Translator":
    """Train a model as `nmt train` does, and return a translator of the best one.

    Args:
        config: as of `load_config`.
        run: the run folder; it must not exist, or hold a run to resume.
        resume: continue the run; start it if there is none.
        callbacks: Lightning callbacks beside our own. With several processes, start the script with
            torchrun.
        loggers: Lightning loggers beside those of `training.loggers`.

    Raises:
        UsageError: the folder exists, another process trains in it, or its run was made with
            another config.
        DataError: the corpus does not fit the config, or has changed since the run began.
        StoppedError: Ctrl-C or a signal; progress is saved for `resume=True`.
    """
    from pathlib import Path

    from nmt.log import log_to_stderr
    from nmt.training.run import train

    log_to_stderr(unless_configured=True)
    train(config, Path(run), resume=resume, callbacks=callbacks, loggers=loggers)
    return load(str(run))


def load(
    path: "str | Path",
    *,
    ensemble: "str | Path | Iterable[str | Path]" = (),
    device: str = "auto",
    precision: str = "auto",
) -> "Translator":
    """Load a model or an ensemble as a translator.

    Args:
        path: a run folder, a bundle folder, or `hf://owner/name[@revision]`.
        ensemble: another model or several, which predict together with the first, whose defaults
            of the search hold. All must have the same tokenizers.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8; auto is int8 where the weights of all models are, else
            fp32.

    Raises:
        BundleError: a bundle is missing or damaged.
        UsageError: the machine lacks the device, or the models have different tokenizers.
    """
    from nmt.inference.translator import Translator  # torch takes seconds to import

    return Translator.load(path, ensemble=ensemble, device=device, precision=precision)
