"""Starting from the weights, network and tokenizer of another model (`training.init_from`)."""

import dataclasses
import logging
from typing import TypeVar

from nmt.bundle import find_bundle
from nmt.config import Config, ModelConfig, TokenizerConfig, check_config, load_stored_config
from nmt.errors import ConfigError

_log = logging.getLogger("nmt")
SectionT = TypeVar("SectionT", ModelConfig, TokenizerConfig)
_NOISE = (
    *("dropout", "locked_dropout", "bridge_dropout", "embedding_dropout", "weight_drop"),
    *("source_word_dropout", "target_word_dropout"),
)
"""Keys of the model that only training knows."""


def follow_base(config: Config) -> Config:
    """Take over the network and the tokenizer of the model to start from.

    Keys left at their defaults follow that model; others must agree with it, dropout aside.

    Raises:
        BundleError: there is no such model.
        ConfigError: a key does not fit it.
    """
    if config.training.init_from is None:
        return config
    base = load_stored_config(find_bundle(config.training.init_from) / "config.yaml")
    model = _follow(config.model, base.model, "model", free=_NOISE)
    tokenizer = _follow(config.tokenizer, base.tokenizer, "tokenizer")
    adopted = dataclasses.replace(config, model=model, tokenizer=tokenizer)
    if adopted == config:  # it was called before
        return config
    shown = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(model).items())
    _log.info("weights, tokenizer and network from %s: %s", config.training.init_from, shown)
    ours, theirs = (
        (section.source_language, section.target_language) for section in (config.data, base.data)
    )
    if ours != theirs:
        _log.warning("it was trained for %s → %s, not %s → %s", *theirs, *ours)
    alone = dataclasses.replace(config.training, init_from=None)
    check_config(dataclasses.replace(adopted, training=alone), "training.init_from")
    return adopted


def _follow(section: SectionT, base: SectionT, name: str, free: tuple[str, ...] = ()) -> SectionT:
    """Return the base's section with the free keys that differ from their defaults."""
    kept = {}
    for field in dataclasses.fields(section):
        value, theirs = getattr(section, field.name), getattr(base, field.name)
        if value == field.default or value == theirs:
            continue
        if field.name not in free:
            raise ConfigError(
                f"{name}.{field.name}: {value!r} does not fit the model of training.init_from, "
                f"which has {theirs!r}; leave the key out"
            )
        kept[field.name] = value
    return dataclasses.replace(base, **kept)
