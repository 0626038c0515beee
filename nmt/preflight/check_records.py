"""Plain numbers and words of a check, as `nmt check --json` writes them."""

from dataclasses import dataclass

from nmt.data.columns import Pair
from nmt.data.encoded import Facts
from nmt.data.round_trip import RoundTrip
from nmt.preflight.cost import Cost
from nmt.preflight.leakage import Overlap
from nmt.preflight.statistics import SideFacts


@dataclass(frozen=True)
class SplitFacts:
    """A split.

    Attributes:
        source: its source side.
        target: its target side.
        examples: up to three raw pairs, evenly spread.
        sampled: raw pairs that were measured; of a large train, every so many.
    """

    source: SideFacts
    target: SideFacts
    examples: list[Pair]
    sampled: int


@dataclass(frozen=True)
class Check:
    """All that a check measures.

    Attributes:
        languages: tags of source and target.
        splits: facts by split, train first.
        facts: raw pairs of train, and those that the filters leave.
        filters: setting of each filter; None and False are off.
        overlaps: what splits have in common.
        round_trip: of the held-out splits, their sources and their targets.
        vocabularies: sizes of the one or the two.
        cost: of the whole training.
        translated: training sources that a teacher has translated, and all; None without one.
            References stand in for its translations in all else.
        warnings: what to change before training, a line each.
    """

    languages: tuple[str, str]
    splits: dict[str, SplitFacts]
    facts: Facts
    filters: dict[str, bool | float | None]
    overlaps: list[Overlap]
    round_trip: tuple[RoundTrip, RoundTrip]
    vocabularies: list[int]
    cost: Cost
    translated: tuple[int, int] | None
    warnings: list[str]
