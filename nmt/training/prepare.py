"""Everything a run needs, read and checked before its folder is touched."""

import dataclasses
import functools
import logging
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from nmt.bundle import build_model, load_bundle
from nmt.config import Config, ModelConfig, TokenizerConfig
from nmt.config.checks import check_config
from nmt.data.cache import encode_pairs, learn_tokenizer
from nmt.data.corpus import open_corpus
from nmt.data.encoded import EncodedPairs
from nmt.data.survey import survey, text_fingerprint
from nmt.errors import ConfigError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric
from nmt.models.seq2seq import Seq2Seq
from nmt.text.sampling import make_samplers
from nmt.text.tokenizer import Tokenizer, load_tokenizer
from nmt.training.distill import distilled
from nmt.training.ranks import Ranks
from nmt.training.resume import refuse_other_data
from nmt.training.teacher import teachers_of

_log = logging.getLogger("nmt")
_ALONE = Ranks()
SectionT = TypeVar("SectionT", ModelConfig, TokenizerConfig)
_NOISE = (
    *("dropout", "locked_dropout", "bridge_dropout", "embedding_dropout", "weight_drop"),
    *("source_word_dropout", "target_word_dropout"),
)
"""Keys of the model that only training knows."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a run trains with, all of it checked before the run folder is touched.

    Attributes:
        config: the run's config, complete.
        train: fingerprint of the raw references.
        teachers: SHA-256 of the `bundle.json` of every model in `data.distill.teacher`.
        tokenizer: new, ready made, or that of the run or bundle to go on from.
        pairs: the encoded training split.
        held_out: the raw pairs of every other split, validation and tests.
        model: the network, with its first weights.
    """

    config: Config
    train: str
    teachers: list[str]
    tokenizer: Tokenizer
    pairs: EncodedPairs
    held_out: dict[str, list[tuple[str, str]]]
    model: Seq2Seq

    @property
    def validation(self) -> list[tuple[str, str]]:
        """The raw validation split."""
        return self.held_out["validation"]

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """What would have to be the same to get the same model again."""
        packages = ("torch", "lightning", "datasets", "sentencepiece", "sacrebleu", "numpy")
        validation = text_fingerprint(self.validation)
        weights = [weight for _, weight in self.pairs.weights or ()]
        distill = self.config.data.distill
        taught = vars(distill) | {"teacher": self.teachers} if self.teachers else None
        return {
            "seed": self.config.seed,
            "data": dataclasses.asdict(self.pairs.facts)
            | {"train": self.train, "validation": validation, "weights": weights}
            | {"distill": taught},
            "versions": {"python": platform.python_version(), "nmt": version("nmt")}
            | {name: version(name) for name in packages},
            "machine": {
                "system": platform.platform(),
                "processors": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            },
        }


def prepare(
    config: Config, run: Path | None, *, from_base: bool, ranks: Ranks = _ALONE
) -> Prepared:
    """Read, check and encode everything a run needs.

    Args:
        config: what to do.
        run: the run to go on with; None for a new one.
        from_base: whether the weights of `training.init_from` are needed: no checkpoint is there.
        ranks: the processes that wait for it.

    Raises:
        ConfigError, DataError, BundleError: something is not what the config says.
    """
    base = None
    if config.training.init_from is not None and from_base:
        base = load_bundle(config.training.init_from)
        config = config if run is not None else _adopt(config, base.config)
    corpus = open_corpus(config.data)
    if "validation" not in corpus.splits:
        raise ConfigError(
            "data.splits: there is no validation split to choose the best model on; "
            "name one, or cut one out of train with data.splits.validation: {cut: 2000}"
        )
    if config.training.monitor == "bleu":
        bleu_metric(TargetLanguage.of(config.data))  # refused now, not in an hour
    teachers = teachers_of(config.data, run)
    surveyed = survey(corpus)
    train = surveyed.fingerprint
    if run is not None:
        refuse_other_data(run, {"train": train})
    if run is not None and (run / "tokenizer").exists():
        tokenizer = load_tokenizer(run / "tokenizer")
    elif base is not None:
        tokenizer = base.tokenizer
    else:
        tokenizer, notes = learn_tokenizer(config, corpus, surveyed)
        for note in notes:
            _log.warning(note)
    if config.training.subword_sampling is not None:
        make_samplers(tokenizer, config.training.subword_sampling)  # refused now, not in an hour
    if teachers:
        corpus = distilled(config, corpus, surveyed, teachers, ranks)
        surveyed = survey(corpus)
    pairs = encode_pairs(config, corpus, surveyed, tokenizer)
    _log.info("%s", pairs.table())
    for name, split in surveyed.held_out.items():
        _log.info("%s: %s pairs", name, f"{len(split):,}")
    model = build_model(config, tokenizer)
    if base is not None:
        model.load_state_dict(base.model.state_dict())
    counts = torch.from_numpy(pairs.target_counts(len(tokenizer.target)))
    counts[tokenizer.target.eos_id] = len(pairs)
    model.decoder.token_counts.copy_(counts)
    _log.info("model: %s parameters", f"{sum(p.numel() for p in model.parameters()):,}")
    prepared = Prepared(config, train, teachers, tokenizer, pairs, surveyed.held_out, model)
    if run is not None:
        refuse_other_data(run, prepared.environment["data"])
    return prepared


def _adopt(config: Config, base: Config) -> Config:
    """Take over the network and the tokenizer of the bundle to start from.

    Keys left at their defaults follow the bundle; others must agree with it, noise aside.
    """
    model = _follow(config.model, base.model, "model", free=_NOISE)
    tokenizer = _follow(config.tokenizer, base.tokenizer, "tokenizer")
    shown = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(model).items())
    _log.info("weights, tokenizer and network from %s: %s", config.training.init_from, shown)
    ours, theirs = (
        (section.source_language, section.target_language) for section in (config.data, base.data)
    )
    if ours != theirs:
        _log.warning("it was trained for %s → %s, not %s → %s", *theirs, *ours)
    adopted = dataclasses.replace(config, model=model, tokenizer=tokenizer)
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
