"""Search settings: the config's `decoding` section, and the options of one call; no torch.

Flags, help texts and config keys come from these fields.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from nmt.config.values import Range, field_types, read_value
from nmt.errors import UsageError

BatchSize = Annotated[int, Range(1, 65_536)]
BeamSize = Annotated[int, Range(1, 1000)]
Seed = Annotated[int, Range(0, 2**32 - 1)]


@dataclasses.dataclass(frozen=True)
class DecodingConfig:
    """The default search of a model."""

    beam_size: BeamSize = 5
    """Hypotheses kept at every step."""
    length_penalty: Annotated[float, Range(0, 5)] = 1.0
    """Rank hypotheses by log-probability ÷ length ** this."""
    coverage_penalty: Annotated[float, Range(0, 100)] = 0.0
    """Coverage penalty β of a model with attention (Wu et al. 2016): adds β × Σ log min(attention,
    1), summed over source tokens, to a hypothesis's ranking score."""
    max_length_ratio: Annotated[float, Range(0, 50, above=True)] = 2.0
    """Maximum length of a translation: this × source length + 10 tokens."""
    prune: Annotated[float, Range(0, math.inf, above=True)] | None = 8.0
    """Drop hypotheses whose log-probability lies more than this, in nats, below the best of their
    sentence; inf keeps all. A search for several candidates never prunes."""
    shortlist: Annotated[int, Range(3, 1_000_000)] | None = None
    """Search only among this many target tokens, start and end included, the most frequent in
    training, without those that never occurred in it. 512 and more are rounded up to a multiple
    of 32."""
    max_source_length: Annotated[int, Range(1, 100_000)] = 1000
    """Truncate longer source sentences to this many tokens, and report a problem."""


@dataclasses.dataclass(frozen=True)
class SearchOptions(DecodingConfig):
    """The options of one call, made once and passed by value.

    Raises:
        UsageError: a value of a wrong type or out of range, or options that exclude each other; the
            message names the option.
    """

    n_best: Annotated[int, Range(1, 20_000)] = 1
    """Candidates per sentence; at most beam_size in beam search."""
    alignments: bool = False
    """With attention: also the source word of each target word, counted from 0."""
    greedy: bool = False
    """Take the most likely token at every step instead of beam search."""
    sample: bool = False
    """Draw from the model's distribution instead of beam search."""
    temperature: Annotated[float, Range(0, 100, above=True)] = 1.0
    """Sampling temperature; below 1 favours likely tokens."""
    top_k: Annotated[int, Range(1, 1_000_000)] | None = None
    """Sample from this many most likely tokens."""
    top_p: Annotated[float, Range(0, 1, above=True)] | None = None
    """Sample from the most likely tokens with this total probability."""
    seed: Seed = 1
    """Seed of sampling."""
    batch_size: BatchSize = 256
    """Sentences per batch, twice as many in greedy search; affects the speed, not the result."""

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():
            object.__setattr__(self, name, read_value(kind, getattr(self, name), name))
        if self.greedy and self.sample:
            raise UsageError("sample: True excludes greedy; choose one")
        if self.greedy and self.n_best > 1:
            raise UsageError(f"n_best: {self.n_best} exceeds the 1 candidate of greedy search")
        if not (self.greedy or self.sample) and self.n_best > self.beam_size:
            raise UsageError(
                f"n_best: {self.n_best} exceeds the beam of {self.beam_size}; "
                f"give a beam_size of at least {self.n_best}"
            )


def refuse_unused(settings: Mapping[str, Any], named: Callable[[str], str] = str) -> None:
    """Refuse options that the requested search does not use.

    Args:
        settings: the options that a user gave, by name.
        named: turns a name into the user's: a flag or key.

    Raises:
        UsageError: names the option.
    """
    sampling = [name for name in ("temperature", "top_k", "top_p", "seed") if name in settings]
    if sampling and not settings.get("sample"):
        raise UsageError(f"{named(sampling[0])} belongs to {named('sample')}; give that, too")
    beam = ("beam_size", "length_penalty", "coverage_penalty", "prune")
    ranking = [name for name in beam if name in settings]
    if ranking and (settings.get("greedy") or settings.get("sample")):
        other = named("greedy" if settings.get("greedy") else "sample")
        raise UsageError(f"{named(ranking[0])} belongs to beam search; leave it or {other} out")
