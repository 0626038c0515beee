"""How to search, as users say it; no torch, so that help answers at once."""

import math
from dataclasses import dataclass

from nmt.errors import UsageError


@dataclass(frozen=True)
class SearchOptions:
    """Settings of one call.

    Attributes:
        beam_size: hypotheses kept at every step.
        length_penalty: hypotheses are ranked by log-probability ÷ length ** length_penalty.
        coverage_penalty: times the sum over source tokens of log min(attention got, 1), added to
            that rank; for models with attention.
        max_length_ratio: a translation has at most this × source length + 10 tokens.
        prune: give up hypotheses whose log-probability lies more than this, in nats, below the
            best of their sentence; None for none. A search for several candidates keeps all.
        shortlist: search only among this many target tokens, those that came most in training;
            None for all.
        n_best: candidates to return; beam search holds at most `beam_size`.
        alignments: also find out which source word each target word comes from; for models with
            attention.
        greedy: take the likeliest token at every step instead of beam search.
        sample: draw from the model's distribution instead of beam search.
        temperature: of sampling; below 1 favours the likely.
        top_k: draw among this many tokens only.
        top_p: draw among the likeliest tokens of this joint probability only.
        seed: of sampling.
        batch_size: sentences searched together; it changes the speed, not what is found.

    Raises:
        UsageError: a setting that makes no sense, with its name and value.
    """

    beam_size: int = 5
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    max_length_ratio: float = 2.0
    prune: float | None = None
    shortlist: int | None = None
    n_best: int = 1
    alignments: bool = False
    greedy: bool = False
    sample: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1
    batch_size: int = 256

    def __post_init__(self) -> None:
        for name, sane, remedy in [
            ("beam_size", self.beam_size >= 1, "give at least 1"),
            ("length_penalty", self.length_penalty >= 0, "give 0 or more"),
            ("coverage_penalty", 0 <= self.coverage_penalty < math.inf, "give 0 or more"),
            ("max_length_ratio", self.max_length_ratio > 0, "give more than 0"),
            ("prune", self.prune is None or self.prune > 0, "give more than 0; inf for none"),
            ("shortlist", self.shortlist is None or self.shortlist >= 1, "give at least 1"),
            ("n_best", self.n_best >= 1, "give at least 1"),
            ("temperature", self.temperature > 0, "give more than 0; for the likeliest use greedy"),
            ("top_k", self.top_k is None or self.top_k >= 1, "give at least 1"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "give more than 0, at most 1"),
            ("batch_size", self.batch_size >= 1, "give at least 1"),
            ("sample", not (self.greedy and self.sample), "greedy and sample exclude each other"),
            ("n_best", not (self.greedy and self.n_best > 1), "greedy search finds only 1"),
            (
                "n_best",
                self.greedy or self.sample or self.n_best <= self.beam_size,
                f"the beam holds {self.beam_size}; give a beam_size of at least {self.n_best}",
            ),
        ]:
            if not sane:
                raise UsageError(f"{name}: {getattr(self, name)!r} makes no sense: {remedy}")
