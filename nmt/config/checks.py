"""Values that have the right type and still make no sense, by themselves or together."""

import dataclasses
import math
import re
from collections.abc import Callable

from nmt.config.options import out_of_range
from nmt.config.sections import Config, DistillConfig, ModelConfig
from nmt.errors import ConfigError, shown


def check_config(config: Config, origin: str) -> None:
    """Refuse values that make no sense.

    Raises:
        ConfigError: the first such value, with its key.
    """
    data, tokenizer = config.data, config.tokenizer
    model, training = config.model, config.training
    here = training.init_from is None  # else the network is another model's

    def refuse(wrong: bool, key: str, value: object, remedy: str) -> None:
        if wrong:
            raise ConfigError(f"{origin}: {key}: {shown(value)} makes no sense: {remedy}")

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
    columns = data.columns
    if columns is not None:
        pair = (columns.source, columns.target)
        refuse(pair[0] == pair[1], "data.columns.target", pair[1], "it is the source column, too")
        for key, column in zip(("source", "target"), pair, strict=True):
            low = isinstance(column, int) and column < 1
            refuse(low, f"data.columns.{key}", column, "columns are counted from 1")
        mixed = len({type(column) for column in pair}) > 1
        refuse(mixed, "data.columns.target", pair[1], "give two names or two numbers")
    seed = config.seed
    refuse(not 0 <= seed < 2**32, "seed", seed, "it must be at least 0 and below 2**32")
    size = tokenizer.vocabulary_size
    refuse(size < 5, "tokenizer.vocabulary_size", size, "the special tokens alone are 4")
    for name in data.splits or {}:
        refuse(not re.fullmatch(r"[\w-]+", name), "data.splits", name, "use letters and digits")
    for section, names in {
        "data": ["max_length"],
        "tokenizer": ["max_pairs"],
        "model": ["window", "layers", "embedding_size", "hidden_size"],
        "training": [
            "max_updates",
            "max_epochs",
            "batch_tokens",
            "accumulate",
            "learning_rate",
            "r_drop",
            "validate_every",
            "checkpoint_every",
            "keep_checkpoints",
            "patience",
            "log_every",
            "devices",
            "threads",
        ],
    }.items():
        for name in names:
            value = getattr(getattr(config, section), name)
            number = not isinstance(value, str | None)
            refuse(number and value <= 0, f"{section}.{name}", value, "it must be > 0")
    for section, name in [
        ("training", "warmup_updates"),
        ("training", "weight_decay"),
        ("training", "clip_norm"),
        ("training", "workers"),
    ]:
        value = getattr(getattr(config, section), name)
        refuse(value < 0, f"{section}.{name}", value, "it must not be negative")
    for name, value, remedy in out_of_range(config.decoding):
        refuse(True, f"decoding.{name}", value, remedy)
    shares = {"training.label_smoothing": training.label_smoothing}
    for name in (
        "dropout",
        "bridge_dropout",
        "source_word_dropout",
        "target_word_dropout",
        "embedding_dropout",
        "weight_drop",
    ):
        shares[f"model.{name}"] = getattr(model, name)
    for key, share in shares.items():
        refuse(not 0 <= share < 1, key, share, "it must be at least 0 and below 1")
    ema = training.ema
    refuse(ema is not None and not 0 < ema < 1, "training.ema", ema, "use a share such as 0.999")
    sampling = training.subword_sampling
    if here and sampling is not None and tokenizer.path is None:
        fault = subword_sampling_fault(tokenizer.model, sampling)
        refuse(fault is not None, "training.subword_sampling", sampling, str(fault))
    coverage = tokenizer.character_coverage
    refuse(not 0.9 <= coverage <= 1, "tokenizer.character_coverage", coverage, "use 0.9 to 1")
    refuse(
        model.encoder == "rnn" and model.bidirectional and model.hidden_size % 2 == 1,
        "model.hidden_size",
        model.hidden_size,
        "two directions need an even number",
    )
    bias = model.forget_bias
    refuse(not math.isfinite(bias), "model.forget_bias", bias, "it must be finite")
    refuse(
        model.cell != "lstm" and bias != ModelConfig.forget_bias,
        "model.forget_bias",
        bias,
        f"a {model.cell} cell has no forget gate",
    )
    if here:
        _check_encoder(model, refuse)
    refuse(
        here and model.pool != "none" and model.bridge != "wide" and not model.feed_context,
        "model.pool",
        model.pool,
        "only the fed context and a wide bridge take it; see model.feed_context",
    )
    refuse(
        here and config.decoding.coverage_penalty > 0 and model.attention == "none",
        "decoding.coverage_penalty",
        config.decoding.coverage_penalty,
        "there is no attention that could cover anything; see model.attention",
    )
    refuse(
        model.weight_drop > 0 and model.cell == "relu",
        "model.weight_drop",
        model.weight_drop,
        "the weights that are left are scaled up, and relu cells would grow without bound",
    )
    refuse(
        tokenizer.byte_fallback and tokenizer.model == "word",
        "tokenizer.byte_fallback",
        tokenizer.byte_fallback,
        "a word model cannot spell words in bytes; use unigram, bpe or char",
    )
    _check_distill(data.distill, refuse)
    script, ratio = data.filters.script, data.filters.length_ratio
    refuse(
        script is not None and not 0.01 <= script <= 1,
        "data.filters.script",
        script,
        "it is a share, from 0.01 to 1",
    )
    refuse(
        ratio is not None and ratio < 1,
        "data.filters.length_ratio",
        ratio,
        "the longer side is at least 1 × the shorter",
    )
    refuse(
        data.max_length is not None and training.batch_tokens <= data.max_length,
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


def _check_encoder(model: ModelConfig, refuse: Callable[[bool, str, object, str], None]) -> None:
    recurrent, window = model.encoder == "rnn", model.encoder == "window"
    remedy = f"only model.encoder rnn reads in an order, {model.encoder} does not"
    refuse(not recurrent and model.reverse_source, "model.reverse_source", True, remedy)
    remedy = "a window has no states to look at; see model.encoder"
    refuse(window and model.attention != "none", "model.attention", model.attention, remedy)
    refuse(window and model.pool != "none", "model.pool", model.pool, remedy)
    remedy = f"only model.encoder window has one, not {model.encoder}"
    refuse(not window and model.window != ModelConfig.window, "model.window", model.window, remedy)


def _check_distill(
    distill: DistillConfig, refuse: Callable[[bool, str, object, str], None]
) -> None:
    teacher, times = distill.teacher, distill.references
    n_best, beam_size = distill.n_best, distill.beam_size
    if teacher is None:
        for field in dataclasses.fields(distill):
            value, remedy = getattr(distill, field.name), "there is no data.distill.teacher"
            refuse(value != field.default, f"data.distill.{field.name}", value, remedy)
        return
    named = distill.teachers
    refuse(not named or not all(named), "data.distill.teacher", teacher, "name a model")
    remedy = "it must be at least 0 and at most 1000"
    refuse(not 0 <= times <= 1000, "data.distill.references", times, remedy)
    refuse(n_best < 1, "data.distill.n_best", n_best, "it must be > 0")
    if beam_size is not None:
        refuse(beam_size < 1, "data.distill.beam_size", beam_size, "it must be > 0")
        remedy = f"data.distill.n_best {n_best} needs a beam of as many"
        refuse(beam_size < n_best, "data.distill.beam_size", beam_size, remedy)


def subword_sampling_fault(kind: str, strength: float) -> str | None:
    """Say why a kind of tokenizer cannot be sampled from like that; None where it can."""
    if kind not in ("unigram", "bpe"):
        return f"a {kind} tokenizer knows one segmentation of a word; use unigram or bpe"
    if kind == "bpe" and not 0 < strength < 1:
        return "with a bpe tokenizer it is a probability, above 0 and below 1"
    if not 0 < strength < math.inf:
        return f"with a {kind} tokenizer it must be > 0, and finite"
    return None
