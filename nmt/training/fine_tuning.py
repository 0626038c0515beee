"""Fine-tuning: starts from the weights, network and tokenizer of `training.init_from`."""

import dataclasses
from pathlib import Path

from nmt.config import (
    Config,
    Overrides,
    changed_keys,
    check_config,
    flat_config,
    load_config,
    load_stored_config,
)
from nmt.errors import ConfigError, naming_key, shown
from nmt.log import log

_NOISE = ("dropout", "locked_dropout", "source_word_dropout", "target_word_dropout")
"""Keys of the model that only training reads."""


def load_training_config(
    path: str | Path, overrides: Overrides = (), run: Path | None = None
) -> Config:
    """Read a config; keys of network and tokenizer default to those of `training.init_from`.

    Args:
        path: see `load_config`.
        overrides: see `load_config`.
        run: a run folder to resume, which has a copy of the model's config.

    Raises:
        BundleError: the model is missing.
        ConfigError: see `load_config`; also a key that does not fit the model.
    """

    def base(config: Config) -> Config:
        found = _base(config, run) or Config()
        return dataclasses.replace(Config(), model=found.model, tokenizer=found.tokenizer)

    config = load_config(path, overrides, base=base)
    base_config = _base(config, run)
    if base_config is not None:
        _refuse_other_network(config, base_config)
    return config


def follow_base(config: Config) -> Config:
    """Return the config with the network and the tokenizer of the model to start from.

    Sections must agree with that model, dropout aside. Where they do not, one at its defaults, as
    in a config made in Python, is taken from the model.

    Raises:
        BundleError: the model is missing.
        ConfigError: a key does not fit the model.
    """
    base = _base(config)
    if base is None:
        return config
    followed = adopt_network(config, base)
    _refuse_other_network(followed, base)
    shown_keys = {key: value for key, value in flat_config(followed).items() if "model." in key}
    log.info("weights, tokenizer and network from %s: %s", config.training.init_from, shown_keys)
    ours, theirs = config.data.languages, base.data.languages
    if ours != theirs:
        log.warning("it was trained for %s → %s, not %s → %s", *theirs, *ours)
    alone = dataclasses.replace(followed.training, init_from=None)
    check_config(dataclasses.replace(followed, training=alone), "training.init_from")
    return followed


def _base(config: Config, run: Path | None = None) -> Config | None:
    """Return the config of the base model, or of a run that started from it; None without one."""
    if config.training.init_from is None:
        return None
    if run is not None and (run / "config.yaml").is_file():
        return load_stored_config(run / "config.yaml")
    from nmt.bundle import find_bundle  # imports torch

    with naming_key("training.init_from"):
        return load_stored_config(find_bundle(config.training.init_from) / "config.yaml")


def adopt_network(config: Config, base: Config) -> Config:
    """Return the config with the base's `model` and `tokenizer` in place of sections at defaults.

    A config that fits the base is returned as it is: what it says of dropout counts.
    """
    if not _misfits(config, base):
        return config
    plain, names = Config(), ("model", "tokenizer")
    left = [name for name in names if getattr(config, name) == getattr(plain, name)]
    return dataclasses.replace(config, **{name: getattr(base, name) for name in left})


def _refuse_other_network(config: Config, base: Config) -> None:
    ours, theirs = flat_config(config), flat_config(base)
    for key in _misfits(config, base):
        raise ConfigError(
            f"{key}: {shown(ours[key])} does not fit the model of training.init_from, which has "
            f"{shown(theirs[key])}; leave the key out"
        )


def _misfits(config: Config, base: Config) -> list[str]:
    """Return the keys of network and tokenizer that differ from the base's, dropout aside."""
    keys = [key for key in changed_keys(base, config) if key.startswith(("model.", "tokenizer."))]
    return [key for key in keys if key.removeprefix("model.") not in _NOISE]
