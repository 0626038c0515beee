"""`nmt check CONFIG`: one page on the data and the cost, before any training."""

import argparse
import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nmt.cli.arguments import add_config_argument, refuse_output, split_words, write_json
from nmt.config import load_config

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from nmt.training.check import Check

_WIDTH = 100


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, look, and tell."""
    parser.usage = "nmt check CONFIG [--json [OUT]] [--KEY VALUE …]"
    own, keys = split_words(words, flags=("--json",))
    parser.add_argument(
        "--json", metavar="OUT", nargs="?", const="-", help="print JSON instead, or write it to OUT"
    )
    add_config_argument(parser, own)
    arguments = parser.parse_args(own)
    refuse_output(arguments.json)
    config = load_config(arguments.config, keys)

    from nmt.training.check import check  # imports torch and lightning

    found = check(config)
    if arguments.json != "-":
        _print(f"{arguments.config}: {found.source_language} → {found.target_language}", found)
    if arguments.json is not None:
        write_json(arguments.json, dataclasses.asdict(found))
    return 0


def _print(title: str, check: "Check") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        _splits(check),
        _legend(check),
        _lengths(check),
        _filters(check),
        _overlaps(check),
        _cost(check),
        _warnings(check),
    ]
    for number, part in enumerate(parts):
        if number and number != 2:
            console.print()
        console.print(part)


def _table(*columns: str, words: int = 1) -> "Table":
    """Make a plain table, whose first `words` columns hold words, the others numbers."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number >= words else "left", no_wrap=True)
    return table


def _splits(check: "Check") -> "RenderableType":
    """Both sides of every split."""
    columns = ("pairs", "tokens", "longest", "per word", "unknown", "covered")
    table = _table("split", "", *columns, words=2)
    for name, split in check.splits.items():
        languages = check.source_language, check.target_language
        sides = split.source, split.target
        for row, (language, side) in enumerate(zip(languages, sides, strict=True)):
            table.add_row(
                "" if row else name,
                language,
                "" if row else f"{split.pairs:,}",
                f"{side.tokens:,}",
                f"{side.longest:,}",
                f"{side.tokens_per_word:.2f}",
                _percent(side.unknown_rate),
                _percent(side.covered_characters),
            )
    return table


def _legend(check: "Check") -> "RenderableType":
    from rich.text import Text

    train = check.splits["train"]
    legend = "tokens: without end tokens; covered: characters that no unknown token swallows"
    if train.sampled < check.filters.pairs:
        legend += f"\nthe last three of train: measured on {train.sampled:,} pairs across it"
    return Text(legend, style="dim")


def _lengths(check: "Check") -> "RenderableType":
    """Histogram of both sides, with bars."""
    from rich.bar import Bar

    most = max(max(row.source, row.target) for row in check.lengths)
    columns = ("train, tokens", check.source_language, "", check.target_language, "")
    table = _table(*columns, words=0)
    for column in (2, 4):
        table.columns[column].justify = "left"
    for row in check.lengths:
        span = f"{row.first}-{row.last}" if row.last > row.first else f"{row.first}"
        bars = [Bar(most, 0, count, width=18) for count in (row.source, row.target)]
        table.add_row(span, f"{row.source:,}", bars[0], f"{row.target:,}", bars[1])
    return table


def _filters(check: "Check") -> "RenderableType":
    """What each filter finds in train, and what it takes."""
    filters = check.filters
    kept = f"filters ({filters.kept:,} of {filters.pairs:,} pairs of train kept)"
    table = _table(kept, "setting", "found", "left out")
    for name, found in filters.found.items():
        setting = filters.settings[name]
        shown = "off" if setting in (None, False) else "on" if setting is True else f"{setting:,}"
        left_out = f"{filters.left_out[name]:,}" if name in filters.left_out else "-"
        table.add_row(name, shown, f"{found:,}", left_out)
    return table


def _overlaps(check: "Check") -> "RenderableType":
    """What stands in two splits, white space aside."""
    common = [overlap for overlap in check.overlaps if overlap.sources or overlap.targets]
    if not common:
        return _pairs([("sentences in two splits", "none")])
    table = _table("sentences in two splits", "of", "pairs", "sources", "targets")
    for overlap in common:
        table.add_row(
            f"{overlap.split} in {overlap.other}",
            f"{overlap.size:,}",
            f"{overlap.pairs:,}",
            f"{overlap.sources:,}",
            f"{overlap.targets:,}",
        )
    return table


def _cost(check: "Check") -> "RenderableType":
    """Vocabulary, plan, memory and time, a line each."""
    plan, memory, time = check.plan, check.memory, check.time
    train = check.splits["train"]
    pieces = f"{check.source_pieces:,} pieces for both sides"
    if not check.shared_vocabulary:
        pieces = f"{check.source_pieces:,} and {check.target_pieces:,} pieces"
    needed = memory.parameters + memory.activations
    there = "" if memory.device is None else f" of {_bytes(memory.device)}"
    rows = {
        "vocabulary": f"{pieces}; train uses {_percent(train.source.used_pieces)} of them in "
        f"{check.source_language}, {_percent(train.target.used_pieces)} in {check.target_language}",
        "epoch": f"{plan.updates:,} updates of {plan.sentences_per_update:,.1f} sentences, "
        f"{plan.target_tokens_per_update:,.0f} target tokens",
        "padding": f"{_percent(plan.source_padding)} of the source, "
        f"{_percent(plan.target_padding)} of the target",
        "training": f"{check.total_updates:,} updates at most, {check.validations:,} validations",
        "device": f"{check.device}, {check.precision}",
        "model": f"{check.parameters:,} parameters",
        "memory": f"about {_bytes(needed)}{there}: {_bytes(memory.parameters)} for weights and "
        f"optimizer, {_bytes(memory.activations)} for a batch",
        "an update": f"{time.seconds_per_update:.3g} s, "
        f"{time.target_tokens_per_second:,.0f} target tokens/s ({time.updates} timed)",
        "time": f"about {_duration(check.estimated_seconds)}, validations aside",
    }
    return _pairs(rows.items())


def _warnings(check: "Check") -> "RenderableType":
    return _pairs([("warning", line) for line in check.warnings] or [("warnings", "none")])


def _pairs(rows: Iterable[tuple[str, str]]) -> "Table":
    """Draw words, and beside them text that may be longer than a line."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, text in rows:
        table.add_row(name, Text(text))
    return table


def _percent(share: float) -> str:
    """Show a share; 100 % only where it is all, and 0 % only where it is nothing."""
    if 0 < share < 0.0001:
        return "<0.01 %"
    if 0.9999 < share < 1:
        return ">99.99 %"
    return f"{100 * share:.2f} %"


def _bytes(size: float) -> str:
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
