"""Which pairs a run trains on: masks over what the encoder noted of every pair.

Nothing is deleted, so other settings need no new encoding, and filters that are off are counted,
too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.config import Config, FiltersConfig
from nmt.data.marks import CONTROL, DUPLICATE, OVERLAP, UNTRANSLATED

Lengths = NDArray[np.uint16]
Mask = NDArray[np.bool_]

NOT_STORED = 2**16 - 1
"""Length of a side whose tokens are not kept, being absurdly many."""
_STANDARD_SCRIPT = 0.5  # what filters that are off are counted by
_STANDARD_RATIO = 4.0
_BLOCK = 2**20


@dataclass(frozen=True)
class Notes:
    """What the encoder noted of every raw pair, in their order.

    Attributes:
        lengths: tokens of source and target with the end token, `(2, pairs)`.
        marks: bits of `nmt.data.marks`, `(pairs,)`.
        shares: percentage of letters in the right script, `(pairs,)`.
    """

    lengths: Lengths
    marks: NDArray[np.uint8]
    shares: NDArray[np.uint8]

    def __getitem__(self, block: slice) -> Notes:
        return Notes(self.lengths[:, block], self.marks[block], self.shares[block])


@dataclass(frozen=True)
class Rules:
    """The filters of a run.

    Attributes:
        filters: the section `data.filters`.
        max_length: longest side in tokens, without the end token.
    """

    filters: FiltersConfig
    max_length: int

    @classmethod
    def of(cls, config: Config) -> Rules:
        """Take them from a config; without `data.max_length`, what fits into a micro-batch."""
        fitting = config.training.batch_tokens - 1
        return cls(config.data.filters, config.data.max_length or fitting)

    @property
    def settings(self) -> dict[str, bool | float | None]:
        """Every filter's setting, in the order in which they are applied; None and False are off.

        Lengths count tokens without the end token.
        """
        filters = self.filters
        return {
            "empty": filters.empty,
            "control_characters": filters.control_characters,
            "untranslated": filters.untranslated,
            "script": filters.script,
            "too_long": self.max_length,
            "length_ratio": filters.length_ratio,
            "overlap": filters.overlap,
            "duplicates": filters.duplicates,
        }

    @property
    def active(self) -> list[str]:
        """Names of the filters that are on."""
        return [
            name
            for name, value in self.settings.items()
            if value is not None and value is not False
        ]

    def masks(self, notes: Notes) -> dict[str, Mask]:
        """Return which pairs match each filter, whether it is on or off, `(pairs,)`."""
        shorter, longer = np.sort(notes.lengths, axis=0)
        ratio = self.filters.length_ratio or _STANDARD_RATIO
        percent = round(100 * (self.filters.script or _STANDARD_SCRIPT))
        return {
            "empty": shorter == 1,
            "control_characters": notes.marks & CONTROL != 0,
            "untranslated": notes.marks & UNTRANSLATED != 0,
            "script": notes.shares < percent,
            "too_long": longer > min(self.max_length + 1, NOT_STORED - 1),
            "length_ratio": longer > ratio * shorter,
            "overlap": notes.marks & OVERLAP != 0,
            "duplicates": notes.marks & DUPLICATE != 0,
        }

    def table(self, found: dict[str, int], left_out: dict[str, int]) -> list[str]:
        """Return aligned lines for the log, of the counts that `choose` gives."""
        rows = [("filter", "setting", "found", "left out")]
        for name, setting in self.settings.items():
            shown = "on" if setting is True else str(setting) if name in self.active else "off"
            rows.append((name, shown, f"{found[name]:,}", f"{left_out.get(name, 0):,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            f"  {name:<{widths[0]}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
            for name, *cells in rows
        ]


def choose(notes: Notes, rules: Rules) -> tuple[Mask, dict[str, int], dict[str, int]]:
    """Apply the filters.

    Returns:
        Which pairs are kept, `(pairs,)`; how many match each filter, on or off; how many each
        filter that is on leaves out, counting a pair at the first that it matches.
    """
    kept = np.ones(len(notes.marks), np.bool_)
    found = dict.fromkeys(rules.settings, 0)
    left_out = dict.fromkeys(rules.active, 0)
    for start in range(0, len(kept), _BLOCK):  # so that what is in between stays small
        block = slice(start, start + _BLOCK)
        masks = rules.masks(notes[block])
        for name, mask in masks.items():
            found[name] += int(mask.sum())
            if name in left_out:
                left_out[name] += int((mask & kept[block]).sum())
                kept[block] &= ~mask
    return kept, found, left_out
