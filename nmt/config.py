"""Every setting of a run, as frozen dataclasses, and the one parser for all who need them.

A config file holds only what differs from the defaults below. Sizes count units or tokens,
lengths count tokens, `*_updates` count optimizer updates.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import jsonargparse
import yaml

from nmt.errors import ConfigError

Place = str | list[str] | dict[str, int]


@dataclasses.dataclass(frozen=True)
class ColumnsConfig:
    """Which columns of a table hold the two sides."""

    source: str
    """Column of the source sentences; `a.b` reaches into a nested column."""
    target: str
    """Column of the target sentences."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the sentence pairs come from."""

    source_language: str = ""
    """Language tag to translate from, such as de; must be given."""
    target_language: str = ""
    """Language tag to translate to, such as en; must be given."""
    corpus: str = "files"
    """files, builtin:NAME, or hub:OWNER/NAME[@REVISION][#CONFIG]."""
    splits: dict[str, Place] | None = None
    """Split name to place. files: PREFIX (PREFIX.de, PREFIX.en) or one .tsv .csv .jsonl .parquet,
    each also .gz, or a list; hub and builtin: the split's own name. {cut: N} takes N pairs out of
    train. hub and builtin default to train, validation and test."""
    columns: ColumnsConfig | None = None
    """Columns of tables; by default the language tags, then translation.TAG."""
    max_length: int = 100
    """Longest side of a training pair, in tokens without the end token; longer pairs are left out
    of training and counted."""
    cache: str | None = None
    """Folder of encoded corpora; by default nmt under $XDG_CACHE_HOME or ~/.cache."""


@dataclasses.dataclass(frozen=True)
class TokenizerConfig:
    """How raw text becomes token ids (SentencePiece)."""

    model: Literal["unigram", "bpe", "char", "word"] = "unigram"
    """Kind of pieces: subwords (unigram or bpe), characters, or words."""
    vocabulary_size: int = 8000
    """Pieces of one vocabulary, special tokens included; lowered where the corpus has fewer."""
    shared: bool = True
    """One vocabulary for both languages, or one for each."""
    byte_fallback: bool = False
    """Spell unknown characters in bytes (adds 256 pieces) instead of one unknown token."""
    normalization: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = "nmt_nfkc"
    """Unicode normalisation; _cf also folds case."""
    character_coverage: float = 1.0
    """Share of the corpus's characters that get a piece of their own."""
    path: str | None = None
    """A ready-made model file, or a folder as a run's tokenizer/, instead of training one."""


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The two recurrent networks."""

    cell: Literal["lstm", "gru", "tanh", "relu"] = "lstm"
    """Recurrent cell of encoder and decoder; relu starts from identity recurrent weights."""
    layers: int = 2
    """Layers of the encoder and of the decoder."""
    embedding_size: int = 256
    """Width of the token embeddings."""
    hidden_size: int = 512
    """Width of the decoder; a bidirectional encoder has half of it in each direction."""
    bidirectional: bool = True
    """Read the source in both directions."""
    reverse_source: bool = False
    """Read the source from its last token to its first."""
    bridge: Literal["copy", "linear"] = "linear"
    """Hand the encoder's final state over as it is, or through a learned map for each layer."""
    feed_context: bool = True
    """Show the encoder's final state to the decoder at every step, and to the output."""
    attention: Literal["none", "dot", "general", "additive"] = "none"
    """How the output looks back at the source's states; none leaves only the final state."""
    dropout: float = 0.3
    """Share of units dropped on embeddings, between layers and before the output."""
    tie_embeddings: bool = True
    """One matrix for target embedding and output, and for the source where the vocabulary is
    shared; a bottleneck of embedding_size stands before the output."""


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the weights are learned. Ends at the first of max_updates, max_epochs and patience."""

    max_updates: int | None = None
    """Stop after this many updates, whatever the epochs."""
    max_epochs: int | None = None
    """Passes over the training split at most; 20 where neither limit is given."""
    batch_tokens: int = 4096
    """Bound on sentences × longest sentence (the longer side) of one micro-batch."""
    accumulate: int = 1
    """Micro-batches summed into one update."""
    learning_rate: float = 2e-3
    """Peak learning rate of Adam."""
    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW)."""
    schedule: Literal["cosine", "inverse_sqrt", "plateau", "constant"] = "cosine"
    """Course of the learning rate after the warm-up; plateau halves it after each validation that
    brought nothing better."""
    warmup_updates: int = 200
    """Updates in which the learning rate rises from zero to its peak."""
    label_smoothing: float = 0.1
    """Probability mass spread over the vocabulary in the training loss."""
    clip_norm: float = 1.0
    """Largest norm of the gradient; 0 turns clipping off."""
    validate_every: int = 500
    """Updates between two validations."""
    checkpoint_every: int | None = None
    """Updates between two checkpoints; by default one at each validation."""
    monitor: Literal["bleu", "chrf", "loss"] = "bleu"
    """Validation score that chooses the best model."""
    patience: int | None = None
    """Stop after this many validations without a better score."""
    log_every: int = 50
    """Updates between two lines of the training log."""
    workers: int = 0
    """Processes that prepare batches; 0 prepares them in the training process."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic; auto is bf16 on a GPU that has it, else fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU where there is one."""
    init_from: str | None = None
    """A model folder whose weights and tokenizer to start from (fine-tuning)."""


@dataclasses.dataclass(frozen=True)
class DecodingConfig:
    """How translations are searched, unless a call says otherwise."""

    beam_size: int = 5
    """Hypotheses kept at every step."""
    length_penalty: float = 1.0
    """Hypotheses are ranked by log-probability ÷ length ** length_penalty."""
    max_length_ratio: float = 2.0
    """A translation has at most max_length_ratio × source length + 10 tokens."""
    max_source_length: int = 1000
    """Longer source sentences are cut to this many tokens, and named as a problem."""


@dataclasses.dataclass(frozen=True)
class Config:
    """One run: data, tokenizer, model, training, decoding."""

    data: DataConfig = DataConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    decoding: DecodingConfig = DecodingConfig()
    seed: int = 1
    """Seed of everything random."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply overrides.

    Args:
        path: a YAML file that holds what differs from the defaults.
        overrides: command-line words, such as `["--model.cell", "gru"]`.

    Raises:
        ConfigError: unreadable file, unknown key, wrong type, or values that make no sense
            together; the message names the key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config {path}: {_reason(error)}") from None
    return parse_config(text, overrides, origin=str(path))


def parse_config(text: str, overrides: Sequence[str] = (), origin: str = "config") -> Config:
    """Parse the YAML text of a config; `origin` names it in errors. See `load_config`."""
    values = _parse_yaml(text, origin)
    _refuse_unknown_keys(values, Config, origin)
    parser = config_parser()
    source = origin
    try:
        parsed = parser.parse_object(values)
        source = "command line"
        parsed = parser.parse_args(list(overrides), namespace=parsed)
    except jsonargparse.ArgumentError as error:
        raise ConfigError(f"{source}: {_one_line(error)}") from None
    config = Config(**vars(parser.instantiate(parsed)))
    check_config(config, origin)
    return config


@functools.cache
def config_parser() -> jsonargparse.ArgumentParser:
    """Return the parser of all keys, whose help lists each with its default and its unit."""
    jsonargparse.set_loader("nmt", _load_yaml, exceptions=(yaml.YAMLError,))
    jsonargparse.set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = jsonargparse.ArgumentParser(
        exit_on_error=False, parser_mode="nmt", prog="nmt train CONFIG", allow_abbrev=False
    )
    parser.add_class_arguments(Config)
    return parser


def dump_config(config: Config, *, portable: bool = False) -> str:
    """Write a config as YAML with every key.

    Args:
        config: what to write.
        portable: leave out what belongs to this machine: `data.splits` and all paths.
    """
    values = dataclasses.asdict(config)
    if portable:
        values["data"] |= {"splits": None, "cache": None}
        values["tokenizer"]["path"] = None
        values["training"]["init_from"] = None
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def changed_keys(old: Config, new: Config) -> list[str]:
    """Return the paths of the keys whose values differ between two configs."""
    before, after = _flatten(dataclasses.asdict(old)), _flatten(dataclasses.asdict(new))
    return sorted(key for key in before | after if before.get(key) != after.get(key))


def check_config(config: Config, origin: str) -> None:
    """Refuse values that make no sense.

    Raises:
        ConfigError: the first such value, with its key.
    """
    data, tokenizer = config.data, config.tokenizer
    model, training = config.model, config.training

    def refuse(wrong: bool, key: str, value: object, remedy: str) -> None:
        if wrong:
            raise ConfigError(f"{origin}: {key}: {value!r} makes no sense: {remedy}")

    for key in ("source_language", "target_language"):
        tag = getattr(data, key)
        well_formed = re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*", tag)
        refuse(not well_formed, f"data.{key}", tag, "give a language tag such as de or pt_BR")
    refuse(
        data.source_language == data.target_language,
        "data.target_language",
        data.target_language,
        "it is the source language, too",
    )
    known_corpus = data.corpus == "files" or re.match(r"(builtin|hub):.", data.corpus)
    refuse(not known_corpus, "data.corpus", data.corpus, "use files, builtin:NAME or hub:NAME")
    for name in data.splits or {}:
        refuse(not re.fullmatch(r"[\w-]+", name), "data.splits", name, "use letters and digits")
    for section, names in {
        "data": ["max_length"],
        "tokenizer": ["vocabulary_size"],
        "model": ["layers", "embedding_size", "hidden_size"],
        "training": [
            "max_updates",
            "max_epochs",
            "batch_tokens",
            "accumulate",
            "learning_rate",
            "validate_every",
            "checkpoint_every",
            "patience",
            "log_every",
        ],
        "decoding": ["beam_size", "max_length_ratio", "max_source_length"],
    }.items():
        for name in names:
            value = getattr(getattr(config, section), name)
            refuse(value is not None and value <= 0, f"{section}.{name}", value, "it must be > 0")
    for section, name in [
        ("training", "warmup_updates"),
        ("training", "weight_decay"),
        ("training", "clip_norm"),
        ("training", "workers"),
        ("decoding", "length_penalty"),
    ]:
        value = getattr(getattr(config, section), name)
        refuse(value < 0, f"{section}.{name}", value, "it must not be negative")
    for key, share in {
        "model.dropout": model.dropout,
        "training.label_smoothing": training.label_smoothing,
    }.items():
        refuse(not 0 <= share < 1, key, share, "it must be at least 0 and below 1")
    coverage = tokenizer.character_coverage
    refuse(not 0.9 <= coverage <= 1, "tokenizer.character_coverage", coverage, "use 0.9 to 1")
    refuse(
        model.bidirectional and model.hidden_size % 2 == 1,
        "model.hidden_size",
        model.hidden_size,
        "two directions need an even number",
    )
    refuse(
        tokenizer.byte_fallback and tokenizer.model == "word",
        "tokenizer.byte_fallback",
        tokenizer.byte_fallback,
        "a word model cannot spell words in bytes; use unigram, bpe or char",
    )
    refuse(
        training.batch_tokens <= data.max_length,
        "training.batch_tokens",
        training.batch_tokens,
        f"one sentence of data.max_length {data.max_length} and its end token would not fit",
    )
    refuse(
        training.max_updates is not None and training.warmup_updates >= training.max_updates,
        "training.warmup_updates",
        training.warmup_updates,
        f"it must be below training.max_updates {training.max_updates}",
    )
    refuse(
        training.schedule == "inverse_sqrt" and training.warmup_updates == 0,
        "training.warmup_updates",
        0,
        "the inverse_sqrt schedule is measured in it",
    )


class _YamlLoader(yaml.SafeLoader):
    """YAML 1.2's plain scalars: `no` is Norwegian, `1e-3` is a number, dates are text."""


_YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag.endswith((":null", ":merge"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _rule, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
]:
    _YamlLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_rule})$"), list(_first)
    )


def _load_yaml(text: str) -> Any:
    return yaml.load(text, _YamlLoader)


def _parse_yaml(text: str, origin: str) -> dict[str, Any]:
    try:
        values = _load_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{origin}: a config is a mapping of sections, not {values!r}")
    return values


def _refuse_unknown_keys(values: object, kind: Any, origin: str, path: str = "") -> None:
    """Walk a parsed file beside the dataclasses, and name the first key they do not have."""
    kind = next(filter(dataclasses.is_dataclass, [kind, *typing.get_args(kind)]), None)
    if kind is None or values is None:
        return
    if not isinstance(values, Mapping):
        raise ConfigError(f"{origin}: {path.rstrip('.')} is a section of keys, not {values!r}")
    fields = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {path}{near[0]}?" if near else f"known: {', '.join(fields)}"
            raise ConfigError(f"{origin}: unknown key {path}{key}; {hint}")
        _refuse_unknown_keys(value, fields[key], origin, f"{path}{key}.")


def _flatten(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value
    return flat


def _one_line(error: Exception) -> str:
    """Fold the parser's message into one line of plain words."""
    rules = [
        (r"\s+", " "),
        (r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1"),
        (r"typing\.", ""),
        (r"Parser key \"([^\"]*)\": ", r"\1: "),
        (r"unrecognized arguments: --(\S+)", r"unknown key \1:"),
        (r"Does not validate against any of the Union subtypes Subtypes:", "expected one of"),
        (r" Errors: .* Given value type: \S+", "."),
    ]
    message = str(error)
    for pattern, replacement in rules:
        message = re.sub(pattern, replacement, message)
    return message.strip()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
