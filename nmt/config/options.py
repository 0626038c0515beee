"""How to search: the config's `decoding` section, and the options of one call; no torch.

Flags, help texts and config keys come from these fields.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from nmt.errors import UsageError

Rule = tuple[Callable[[Any], bool], str]
"""What holds for a legal value, and the remedy for others."""
_COUNT: Rule = (lambda value: value >= 1, "give at least 1")
_POSITIVE: Rule = (lambda value: value > 0, "give more than 0")
_PENALTY: Rule = (lambda value: 0 <= value < math.inf, "give 0 or more")


def _setting(default: Any, rule: Rule | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"rule": rule})


@dataclasses.dataclass(frozen=True)
class DecodingConfig:
    """How translations are searched, unless a call says otherwise."""

    beam_size: int = _setting(5, _COUNT)
    """Hypotheses kept at every step."""
    length_penalty: float = _setting(1.0, _PENALTY)
    """Rank hypotheses by log-probability ÷ length ** this."""
    coverage_penalty: float = _setting(0.0, _PENALTY)
    """With attention: coverage penalty β (Wu et al. 2016), adds β × the sum over source tokens of
    log min(attention, 1) to the rank."""
    max_length_ratio: float = _setting(2.0, _POSITIVE)
    """A translation has at most this × source length + 10 tokens."""
    prune: float | None = _setting(8.0, _POSITIVE)
    """Drop hypotheses whose log-probability lies more than this, in nats, below the best of their
    sentence; null or inf keeps all. A search for several candidates keeps all."""
    shortlist: int | None = _setting(None, _COUNT)
    """Search only among this many target tokens, the most frequent in training; null for all."""
    max_source_length: int = _setting(1000, _COUNT)
    """Longer source sentences are cut to this many tokens, and named as a problem."""


@dataclasses.dataclass(frozen=True)
class SearchOptions(DecodingConfig):
    """The options of one call, made once and passed by value.

    Raises:
        UsageError: a value out of range, or a combination without meaning; names the option.
    """

    n_best: int = _setting(1, _COUNT)
    """Candidates of each sentence; beam search holds at most beam_size."""
    alignments: bool = False
    """With attention: also the source word of each target word, counted from 0."""
    greedy: bool = False
    """Take the most likely token at every step instead of beam search."""
    sample: bool = False
    """Draw from the model's distribution instead of beam search."""
    temperature: float = _setting(1.0, _POSITIVE)
    """Sampling temperature; below 1 favours likely tokens."""
    top_k: int | None = _setting(None, _COUNT)
    """Sample among this many most likely tokens."""
    top_p: float | None = _setting(
        None, (lambda value: 0 < value <= 1, "give more than 0, at most 1")
    )
    """Sample among the most likely tokens of this joint probability."""
    seed: int = 1
    """Seed of sampling."""
    batch_size: int = _setting(256, _COUNT)
    """Sentences searched together; changes the speed, not the result."""

    def __post_init__(self) -> None:
        for name, value, remedy in out_of_range(self):
            raise UsageError(f"{name}: {value!r} is out of range; {remedy}")
        if self.greedy and self.sample:
            raise UsageError("sample: True excludes greedy; choose one")
        if self.greedy and self.n_best > 1:
            raise UsageError(f"n_best: {self.n_best} exceeds the 1 candidate of greedy search")
        if not (self.greedy or self.sample) and self.n_best > self.beam_size:
            raise UsageError(
                f"n_best: {self.n_best} exceeds the beam of {self.beam_size}; "
                f"give a beam_size of at least {self.n_best}"
            )


def out_of_range(settings: DecodingConfig) -> Iterator[tuple[str, object, str]]:
    """Yield name, value and remedy of every field that breaks its rule."""
    for field in dataclasses.fields(settings):
        rule, value = field.metadata.get("rule"), getattr(settings, field.name)
        if rule is not None and value is not None and not rule[0](value):
            yield field.name, value, rule[1]
