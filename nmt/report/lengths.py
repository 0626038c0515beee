"""Scores and known faults of translations, by source length."""

from collections.abc import Sequence

from nmt.evaluation.breakdowns import Breakdown, LengthGroup, breakdown
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.log import percent
from nmt.report.blocks import Block, Figure, Paragraph, Section
from nmt.report.plots import Line, lines
from nmt.report.runs import Run
from nmt.report.tables import file_name, run_table, with_interval

Breakdowns = list[tuple[Run, Breakdown]]


def lengths(runs: Sequence[Run]) -> Section:
    """Return scores by source length and known faults, of every test split with translations."""
    targets = [(run, TargetLanguage.of(run.config.data)) for run in runs]
    scored = [(run, target) for run, target in targets if find_bleu_metric(target) is not None]
    blocks: list[Block] = [
        Paragraph(f"{run.name}: BLEU's tokenizer {target.tokenizer} is not installed.")
        for run, target in targets
        if (run, target) not in scored and run.translations
    ]
    for split in dict.fromkeys(split for run in runs for split in run.translations):
        parts = [
            (run, breakdown(texts.sources, texts.hypotheses, texts.references, target))
            for run, target in scored
            if (texts := run.translations.get(split)) and texts.references
        ]
        if parts:
            blocks += [*_figures(runs, split, parts), *_tables(runs, split, parts)]
    return Section("By source length", blocks)


def _figures(runs: Sequence[Run], split: str, parts: Breakdowns) -> list[Block]:
    """Draw BLEU, chrF and length ratio of the runs that have the first run's groups."""
    first = parts[0][1]
    names = [_span(group) for group in first.groups]
    alike = [(run, part) for run, part in parts if [_span(g) for g in part.groups] == names]

    def line(name: str, run: Run, groups: list[LengthGroup]) -> Line:
        label = run.name if len(runs) > 1 else name
        colour, xs = runs.index(run), range(len(groups))
        if name == "length ratio":
            return Line(label, xs, [group.length_ratio for group in groups], colour, points=True)
        scores = [group.bleu if name == "BLEU" else group.chrf for group in groups]
        points = [(score.score, score.low, score.high) for score in scores]
        ys, low, high = zip(*points, strict=True)
        return Line(label, xs, ys, colour, points=True, low=low, high=high)

    return [
        Figure(
            file_name(split, name, "by", "length"),
            f"{split}: {name} by source length, in {first.unit}",
            lines(
                [line(name, run, part.groups) for run, part in alike],
                f"source length, {first.unit}",
                name,
                names=names,
            ),
        )
        for name in ("BLEU", "chrF", "length ratio")
    ]


def _tables(runs: Sequence[Run], split: str, parts: Breakdowns) -> list[Block]:
    groups = [
        (
            run,
            [
                _span(group),
                f"{group.sentences:,}",
                with_interval(group.bleu),
                with_interval(group.chrf),
                f"{group.length_ratio:.3f}",
            ],
        )
        for number in range(max(len(part.groups) for _, part in parts))
        for run, part in parts
        for group in part.groups[number : number + 1]
    ]
    faults = [
        (
            run,
            [
                f"{part.length_ratio:.3f}",
                *map(percent, (part.repetition, part.empty, part.unknown)),
            ],
        )
        for run, part in parts
    ]
    unit = parts[0][1].unit
    columns = [f"source {unit}", "sentences", "BLEU", "chrF", "length ratio"]
    shares = ["length ratio", "repeating", "empty", "with unknown tokens"]
    return [
        run_table(runs, columns, groups, title=f"{split}, with 95 % bootstrap intervals"),
        run_table(runs, shares, faults, words=0, title=f"{split}: shares of all translations"),
    ]


def _span(group: LengthGroup) -> str:
    return str(group.first) if group.first == group.last else f"{group.first}–{group.last}"
