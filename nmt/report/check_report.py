"""The report of `nmt check`."""

from collections.abc import Mapping, Sequence

from nmt.data.filters import FILTER_COLUMNS, filter_rows
from nmt.data.round_trip import first_difference
from nmt.diagnosis.records import Verdict
from nmt.log import percent
from nmt.preflight.advice import usual_sizes
from nmt.preflight.check_records import Check
from nmt.report.blocks import Block, Paragraph, Report, Section, Sentences, Table

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
    shared = [each for each in check.overlaps if each.sources or each.targets]
    common = {f"{each.split} in {each.other}": each for each in shared}
    legend = (
        "tokens: without end tokens; median, longest: tokens of a sentence; unknown: share "
        "of the tokens; used: share of the vocabulary's pieces. For train, the columns from per "
        f"word on are measured on an even sample of {check.splits['train'].sampled:,} raw pairs."
    )
    facts = check.facts
    filters = filter_rows(check.filters, facts.found, facts.left_out)
    kept = f"{facts.kept:,} of {facts.pairs:,} pairs of train kept"
    warnings = [Verdict("warning", line) for line in check.warnings]
    return Report(
        f"{config}: {' → '.join(check.languages)}",
        [
            Section("Splits", [_table(sides, _SIDE), Paragraph(legend), *_examples(check)]),
            Section("Filters of train", [Table(FILTER_COLUMNS, filters, title=kept)]),
            Section(
                "Sentences in two splits",
                [_table(common, _OVERLAP) if common else Paragraph("none")],
            ),
            Section("Tokenizer", _tokenizer(check)),
            Section("Cost", [_cost(check)]),
            Section("Warnings", warnings or [Verdict("good", "none")]),
        ],
    )


def _table(records: Mapping[str, object], names: Sequence[str]) -> Table:
    rows = []
    for key, record in records.items():
        values = {name: getattr(record, name) for name in names}
        shares = {name: percent(values[name]) for name in _SHARES if name in values}
        rows.append([key, *map(_cell, (values | shares).values())])
    return Table(["", *(name.replace("_", " ") for name in names)], rows)


def _examples(check: Check) -> list[Sentences]:
    examples = []
    for name, split in check.splits.items():
        labels = [f"{name} {language}" for language in check.languages]
        texts = [row for pair in split.examples for row in zip(labels, pair, strict=True)]
        examples.append(Sentences([(label, [("", text)]) for label, text in texts]))
    return examples


def _tokenizer(check: Check) -> list[Block]:
    vocabulary, hidden = usual_sizes(check.facts.kept)
    usual = f"usual for {check.facts.kept:,} pairs: {vocabulary:,}, with hidden size {hidden:,}"
    rows = [["pieces", " and ".join(map(_cell, check.vocabularies)), usual]]
    examples = []
    for language, trip in zip(check.languages, check.round_trip, strict=True):
        note = f"of the decoded text; {trip.changed:,} of {trip.sentences:,} sentences changed"
        rows.append([f"{language}: BLEU", f"{trip.bleu:.2f}", note])
        examples += [Paragraph(first_difference(text, back)) for text, back in trip.examples]
    return [Table(("measure", "value", "note"), rows, (0, 2)), *examples]


def _cost(check: Check) -> Table:
    rows = [[name.replace("_", " "), _cell(value)] for name, value in vars(check.cost).items()]
    if check.translated is not None:
        done, sentences = check.translated
        note = f"{done:,} of {sentences:,} sentences; this check reads the references"
        rows.append(["translated by the teacher", note])
    return Table(("measure", "value"), rows, (0, 1))


def _cell(value: str | float) -> str:
    """Format a number with separators, and a small float to three digits."""
    if isinstance(value, str):
        return value
    return f"{value:,.3g}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"
