"""The report of `nmt check`."""

from collections.abc import Mapping, Sequence
from typing import Any

from nmt.data.round_trip import shown
from nmt.diagnosis.records import Verdict
from nmt.log import percent
from nmt.preflight.advice import usual_sizes
from nmt.preflight.check_records import Check
from nmt.report.blocks import Block, Numbers, Paragraph, Report, Section, Sentences, Table

_SHARES = ("unknown", "used")
_SIDE = ("sentences", "tokens", "median", "longest", "per_word", *_SHARES)
_OVERLAP = ("size", "pairs", "sources", "targets")


def check_report(config: str, check: Check) -> Report:
    """Make the report of a check; `config` is the path of its config."""
    sides = {
        f"{name} {language}": side
        for name, split in check.splits.items()
        for language, side in zip(check.languages, (split.source, split.target), strict=True)
    }
    common = {f"{each.split} in {each.other}": each for each in check.overlaps if each.sources}
    legend = (
        "tokens: without end tokens; median, longest: tokens of a sentence; unknown: share "
        "of the tokens; used: share of the vocabulary's pieces. For train, the columns from per "
        f"word on are measured on an even sample of {check.splits['train'].sampled:,} raw pairs."
    )
    warnings = [Verdict("warning", line) for line in check.warnings]
    return Report(
        f"{config}: {' → '.join(check.languages)}",
        [
            Section("Splits", [_table("", sides, _SIDE), Paragraph(legend), *_examples(check)]),
            Section("Filters of train", [_filters(check)]),
            Section(
                "Sentences in two splits",
                [_table("", common, _OVERLAP) if common else Paragraph("none")],
            ),
            Section("Tokenizer", _tokenizer(check)),
            Section("Cost", [Numbers([*_items(check.cost), *_teacher(check)])]),
            Section("Warnings", warnings or [Verdict("good", "none")]),
        ],
    )


def _table(first: str, records: Mapping[str, object], names: Sequence[str]) -> Table:
    rows = [
        [key, *(_cell(name, getattr(record, name)) for name in names)]
        for key, record in records.items()
    ]
    return Table([first, *(name.replace("_", " ") for name in names)], rows)


def _items(record: Any) -> list[tuple[str, str, str]]:
    """Return the fields of a record as items of `Numbers`."""
    items = vars(record).items()
    return [(name.replace("_", " "), _cell(name, value), "") for name, value in items]


def _cell(name: str, value: Any) -> str:
    """Format a field's value in its unit."""
    if name in _SHARES:
        return percent(value)
    if isinstance(value, str):
        return value
    if value is True or value in (None, False):
        return "on" if value else "off"
    return f"{value:,.3g}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"


def _examples(check: Check) -> list[Sentences]:
    return [
        Sentences(
            [
                (f"{name} {check.languages[side]}", [("", pair[side])])
                for pair in split.examples
                for side in (0, 1)
            ]
        )
        for name, split in check.splits.items()
    ]


def _filters(check: Check) -> Table:
    facts = check.facts
    rows = [
        [name, _cell("", setting), f"{facts.found[name]:,}", f"{facts.left_out.get(name, 0):,}"]
        for name, setting in check.filters.items()
    ]
    title = f"{facts.kept:,} of {facts.pairs:,} pairs of train kept"
    return Table(("filter", "setting", "found", "left out"), rows, (0,), title)


def _tokenizer(check: Check) -> list[Block]:
    vocabulary, hidden = usual_sizes(check.facts.kept)
    usual = f"usual for {check.facts.kept:,} pairs: {vocabulary:,}, with hidden size {hidden:,}"
    sizes = " and ".join(f"{size:,}" for size in check.vocabularies)
    items = [("pieces", sizes, usual)]
    examples = []
    for language, trip in zip(check.languages, check.round_trip, strict=True):
        note = f"of the decoded text; {trip.changed:,} of {trip.sentences:,} sentences changed"
        items.append((f"{language}: BLEU", f"{trip.bleu:.2f}", note))
        examples += [Paragraph(shown(text, back)) for text, back in trip.examples]
    return [Numbers(items), *examples]


def _teacher(check: Check) -> list[tuple[str, str, str]]:
    if check.translated is None:
        return []
    note = f"of {check.translated[1]:,} sentences translated; this check reads the references"
    return [("teacher", f"{check.translated[0]:,}", note)]
