"""Checks of combinations: values that are legal alone, but contradict each other."""

import dataclasses
import operator
from collections.abc import Iterator

from nmt.config.sections import Config, DistillConfig, ModelConfig
from nmt.errors import ConfigError, shown

_Faults = Iterator[tuple[str, str]]


def check_combinations(config: Config, origin: str) -> None:
    """Refuse values that contradict each other.

    Raises:
        ConfigError: the first such value, with its key.
    """
    for key, rule in _faults(config):
        value = operator.attrgetter(key)(config)
        raise ConfigError(f"{origin}: {key}: {shown(value)} is refused: {rule}")


def _faults(config: Config) -> _Faults:
    """Yield the key and the rule of each fault."""
    data, tokenizer, model, training = config.data, config.tokenizer, config.model, config.training
    for key in ("source_language", "target_language"):
        if not getattr(data, key):
            yield f"data.{key}", "give a language tag such as de or pt_BR"
    if data.source_language == data.target_language:
        yield "data.target_language", "it is the source language, too"
    if data.columns is not None:
        pair = (data.columns.source, data.columns.target)
        if pair[0] == pair[1]:
            yield "data.columns.target", "it is the source column, too"
        if isinstance(pair[0], int) != isinstance(pair[1], int):
            yield "data.columns.target", "give two names or two numbers"
    if data.max_length is not None and training.batch_tokens <= data.max_length:
        rule = f"one sentence of data.max_length {data.max_length} and its end token do not fit"
        yield "training.batch_tokens", rule
    if training.max_updates is not None and training.warmup_updates >= training.max_updates:
        rule = f"it must be below training.max_updates {training.max_updates}"
        yield "training.warmup_updates", rule
    if training.schedule == "inverse_sqrt" and training.warmup_updates == 0:
        yield "training.warmup_updates", "the inverse_sqrt schedule is measured in it"
    if tokenizer.byte_fallback and tokenizer.model == "word":
        rule = "a word model cannot spell words in bytes; use unigram, bpe or char"
        yield "tokenizer.byte_fallback", rule
    yield from _distill_faults(data.distill)
    if training.init_from is not None:  # the network and the tokenizer are another model's
        return
    yield from _model_faults(model)
    noise = model.dropout, model.source_word_dropout, model.target_word_dropout
    if training.r_drop and not any(noise):
        yield "training.r_drop", "its two passes are equal without dropout; see model.dropout"
    if config.decoding.coverage_penalty > 0 and model.attention == "none":
        yield "decoding.coverage_penalty", "it needs attention; see model.attention"


def _model_faults(model: ModelConfig) -> _Faults:
    recurrent, window = model.encoder == "rnn", model.encoder == "window"
    if recurrent and model.bidirectional and model.hidden_size % 2 == 1:
        yield "model.hidden_size", "two directions need an even number"
    if not recurrent and model.reverse_source:
        yield "model.reverse_source", "only model.encoder rnn reads in an order"
    if window and model.attention != "none":
        yield "model.attention", "a window has no states; see model.encoder"
    if window and model.pool != "none":
        yield "model.pool", "a window has no states; see model.encoder"
    if not window and model.window != ModelConfig.window:
        yield "model.window", f"model.encoder {model.encoder} has no window"
    if model.pool != "none" and model.bridge != "wide" and not model.feed_context:
        rule = "only the fed context and a wide bridge take it; see model.feed_context"
        yield "model.pool", rule


def _distill_faults(distill: DistillConfig) -> _Faults:
    if distill.teacher is None:
        for field in dataclasses.fields(distill):
            if getattr(distill, field.name) != field.default:
                yield f"data.distill.{field.name}", "it needs data.distill.teacher"
    elif not distill.teachers:
        yield "data.distill.teacher", "name a model"
    elif distill.beam_size is not None and distill.beam_size < distill.n_best:
        rule = f"data.distill.n_best {distill.n_best} needs a beam of as many"
        yield "data.distill.beam_size", rule
