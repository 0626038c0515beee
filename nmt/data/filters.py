"""Filters of training pairs: masks over the features of every pair.

No pair is deleted: other settings need no new encoding, and matches of filters that are off are
counted too. A new filter needs a key in `FiltersConfig`, a place in `_ORDER` and a mask here. If it
needs a new feature, `pair_features.py` computes it, `encoding.py` stores it, and the version of the
format in `cache.py` rises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config import Config, FiltersConfig
from nmt.data.pair_features import CONTROL, DUPLICATE, OVERLAP, UNTRANSLATED, PairFeatures

Mask = NDArray[np.bool_]

NOT_STORED = 2**16 - 1
"""Length recorded for a side with so many tokens that they are not stored."""
_ORDER = (
    *("empty", "control_characters", "untranslated", "script"),
    *("too_long", "length_ratio", "overlap", "duplicates"),
)
FILTER_COLUMNS = ("filter", "setting", "found", "left out")
_STANDARD_SCRIPT = 0.5  # counts matches while the filter is off
_STANDARD_RATIO = 4.0
_BLOCK = 2**20


@dataclass(frozen=True)
class FilterSettings:
    """The settings of all filters in a run.

    Attributes:
        filters: the section `data.filters`.
        max_length: longest side in tokens, without the end token.
    """

    filters: FiltersConfig
    max_length: int

    @classmethod
    def of(cls, config: Config) -> "FilterSettings":
        """Read the settings from a config.

        Without `data.max_length` the longest side is the one that fits into a micro-batch.
        """
        fitting = config.training.batch_tokens - 1
        return cls(config.data.filters, config.data.max_length or fitting)

    @property
    def by_name(self) -> dict[str, bool | float | None]:
        """Every filter's setting, in the order of application; None and False mean off.

        Lengths count tokens without the end token.
        """
        settings = {**vars(self.filters), "too_long": self.max_length}
        return {name: settings[name] for name in _ORDER}

    @property
    def active(self) -> list[str]:
        """Names of the filters that are on."""
        return [name for name, value in self.by_name.items() if value not in (None, False)]

    def masks(self, features: PairFeatures) -> dict[str, Mask]:
        """Return the pairs that match each filter, on or off, `(pairs,)`."""
        shorter, longer = np.sort(features.lengths, axis=0)
        ratio = self.filters.length_ratio or _STANDARD_RATIO
        percent = round(100 * (self.filters.script or _STANDARD_SCRIPT))
        return {
            "empty": shorter == 1,
            "control_characters": features.flags & CONTROL != 0,
            "untranslated": features.flags & UNTRANSLATED != 0,
            "script": features.script_shares < percent,
            "too_long": longer > min(self.max_length + 1, NOT_STORED - 1),
            "length_ratio": longer > ratio * shorter,
            "overlap": features.flags & OVERLAP != 0,
            "duplicates": features.flags & DUPLICATE != 0,
        }

    def table(self, found: dict[str, int], left_out: dict[str, int]) -> list[str]:
        """Format the counts from `apply_filters` as aligned lines for the log."""
        rows = [FILTER_COLUMNS, *filter_rows(self.by_name, found, left_out)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            f"  {name:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
            for name, *cells in rows
        ]


def filter_rows(
    settings: Mapping[str, Any], found: Mapping[str, int], left_out: Mapping[str, int]
) -> list[tuple[str, ...]]:
    """Return setting and counts of each filter with `FILTER_COLUMNS`, as text."""
    rows: list[tuple[str, ...]] = []
    for name, setting in settings.items():
        shown = ("on" if setting else "off") if isinstance(setting, bool | None) else f"{setting:,}"
        rows.append((name, shown, f"{found.get(name, 0):,}", f"{left_out.get(name, 0):,}"))
    return rows


def apply_filters(
    features: PairFeatures, settings: FilterSettings
) -> tuple[Mask, dict[str, int], dict[str, int]]:
    """Apply the filters.

    Returns:
        The mask of kept pairs, `(pairs,)`; the number of matches of each filter, on or off; the
        number of pairs that each active filter leaves out. A pair that matches several filters
        counts for the first.
    """
    kept = np.ones(len(features.flags), np.bool_)
    matches = dict.fromkeys(settings.by_name, 0)
    left_out = dict.fromkeys(settings.active, 0)
    for start in range(0, len(kept), _BLOCK):  # bounds the memory of the masks
        block = slice(start, start + _BLOCK)
        masks = settings.masks(features[block])
        for name, mask in masks.items():
            matches[name] += int(mask.sum())
            if name in left_out:
                left_out[name] += int((mask & kept[block]).sum())
                kept[block] &= ~mask
    return kept, matches, left_out
