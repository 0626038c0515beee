"""`nmt check CONFIG`: one page on the data and the cost, before any training."""

import argparse
import dataclasses
import logging
import os
from typing import TYPE_CHECKING

from nmt.cli.arguments import add_config_argument, refuse_output, split_words, write_json
from nmt.cli.page import duration, memory_size, plain_table, word_table
from nmt.config import load_config
from nmt.log import percent

if TYPE_CHECKING:
    from rich.console import RenderableType

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
    refuse_output(arguments.json, arguments.config)
    config = load_config(arguments.config, keys)

    from nmt.training.check import check  # imports torch and lightning

    for handler in logging.getLogger("nmt").handlers:  # the page has what tables the log shows
        handler.addFilter(lambda record: "\n" not in record.getMessage())
    found = check(config)
    if arguments.json != "-":
        _print(f"{arguments.config}: {found.source_language} → {found.target_language}", found)
    if arguments.json is not None:
        write_json(arguments.json, dataclasses.asdict(found))
    return 0


def _print(title: str, check: "Check") -> None:
    from rich.console import Console, Group
    from rich.text import Text

    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        Group(_splits(check), _legend(check)),
        _lengths(check),
        _filters(check),
        _overlaps(check),
        _round_trip(check),
        _cost(check),
    ]
    for part in parts:
        console.print(part)
        console.print()
    console.print(_warnings(check))


def _splits(check: "Check") -> "RenderableType":
    """Both sides of every split."""
    columns = ("pairs", "tokens", "longest", "tokens/word", "unknown", "covered")
    table = plain_table("split", "", *columns, words=2)
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
                percent(side.unknown_rate),
                percent(side.covered_characters),
            )
    return table


def _legend(check: "Check") -> "RenderableType":
    from rich.text import Text

    train = check.splits["train"]
    legend = "tokens: without end tokens; covered: characters that no unknown token swallows"
    if train.sampled < check.filters.pairs:
        legend += f"\ntrain's words, unknown and covered: of {train.sampled:,} pairs, evenly spread"
    return Text(legend, style="dim")


def _lengths(check: "Check") -> "RenderableType":
    """Histogram of both sides, with bars."""
    from rich.bar import Bar

    most = max(max(row.source, row.target) for row in check.lengths)
    columns = ("train, tokens", check.source_language, "", check.target_language, "")
    table = plain_table(*columns, words=0)
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
    table = plain_table(kept, "setting", "found", "left out")
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
        return word_table([("sentences in two splits", "none")])
    table = plain_table("sentences in two splits", "of", "pairs", "sources", "targets")
    for overlap in common:
        table.add_row(
            f"{overlap.split} in {overlap.other}",
            f"{overlap.size:,}",
            f"{overlap.pairs:,}",
            f"{overlap.sources:,}",
            f"{overlap.targets:,}",
        )
    return table


def _round_trip(check: "Check") -> "RenderableType":
    """What both sides of the held-out splits look like after the tokenizer."""
    from nmt.data.round_trip import shown

    rows = []
    languages = (check.source_language, check.target_language)
    for language, trip in zip(languages, check.round_trip, strict=True):
        told = f"BLEU {trip.bleu:.2f} ({trip.tokenizer}), {trip.changed:,} of {trip.sentences:,} "
        told += "sentences changed"
        rows.append((f"{language}, tokenized and back", told))
        rows += [("", shown(text, back)) for text, back in trip.examples]
    return word_table(rows)


def _cost(check: "Check") -> "RenderableType":
    """Vocabulary, plan, memory and time, a line each."""
    plan, cost, memory, update = check.plan, check.cost, check.cost.memory, check.cost.update
    train = check.splits["train"]
    pieces = f"{check.source_pieces:,} pieces for both sides"
    if not check.shared_vocabulary:
        pieces = f"{check.source_pieces:,} and {check.target_pieces:,} pieces"
    needed = memory.parameters + memory.activations
    there = "" if memory.device is None else f" of {memory_size(memory.device)}"
    rows = {
        "vocabulary": f"{pieces}; train uses {percent(train.source.used_pieces)} of them in "
        f"{check.source_language}, {percent(train.target.used_pieces)} in {check.target_language}",
        "epoch": f"{plan.updates:,} updates of {plan.sentences_per_update:,.1f} sentences, "
        f"{plan.target_tokens_per_update:,.0f} target tokens",
        "padding": f"{percent(plan.source_padding)} of the source, "
        f"{percent(plan.target_padding)} of the target",
        "training": f"{cost.total_updates:,} updates at most, {cost.validations:,} validations",
        "device": f"{cost.device}, {cost.precision}",
        "model": f"{cost.parameters:,} parameters",
        "memory": f"about {memory_size(needed)}{there}: {memory_size(memory.parameters)} for "
        f"weights and optimizer, {memory_size(memory.activations)} for a batch",
        "an update": f"{update.seconds_per_update:.3g} s, "
        f"{update.target_tokens_per_second:,.0f} target tokens/s ({update.updates} timed)",
        "others": f"other processes use {update.cores_of_others:.1f} of {os.cpu_count()} CPU cores",
        "time": f"about {duration(cost.estimated_seconds)}, validations aside",
    }
    if check.distill is not None:
        rows["teacher"] = (
            f"{check.distill.translated:,} of {check.distill.sentences:,} sentences are translated "
            "(train does the rest); here the references stand in for its translations"
        )
    return word_table(rows.items())


def _warnings(check: "Check") -> "RenderableType":
    return word_table([("warning", line) for line in check.warnings] or [("warnings", "none")])
