"""The record of a check in plain numbers and text, as `nmt check --json` writes it."""

from dataclasses import dataclass

from nmt.data.columns import Pair
from nmt.data.encoded import Facts
from nmt.data.round_trip import RoundTrip
from nmt.preflight.cost import Cost
from nmt.preflight.leakage import Overlap
from nmt.preflight.statistics import SideFacts


@dataclass(frozen=True)
class SplitFacts:
    """The measurements of a split.

    Attributes:
        source: of the source side.
        target: of the target side.
        examples: up to three raw pairs, evenly spread.
        sampled: number of raw pairs measured; an even sample of a large train.
    """

    source: SideFacts
    target: SideFacts
    examples: list[Pair]
    sampled: int


@dataclass(frozen=True)
class Check:
    """The measurements and warnings of a check.

    Attributes:
        languages: tags of source and target.
        splits: facts by split, train first.
        facts: counts of raw and kept pairs of train.
        filters: setting of each filter; None and False mean off.
        overlaps: sentences that two splits share.
        round_trip: of the sources and the targets of the held-out splits.
        vocabularies: size of the shared vocabulary, or sizes of both.
        cost: of the whole training.
        translated: number of training sources that a teacher has translated, and of all; None
            without a teacher. Everything else is measured on the references.
        warnings: changes to make before training, a line each.
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
