"""Where translations are good and where they fail: by source length."""

from collections.abc import Sequence

from nmt.evaluation.breakdowns import Breakdown, LengthGroup, breakdown
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.log import percent
from nmt.report.blocks import Block, Figure, Paragraph, Section
from nmt.report.plots import Line, lines
from nmt.report.runs import Run
from nmt.report.tables import file_name, run_table, with_interval

Found = list[tuple[Run, Breakdown]]


def lengths(runs: Sequence[Run]) -> Section:
    """Scores by source length and known faults, of every test split whose translations are kept."""
    targets = [(run, TargetLanguage.of(run.config.data)) for run in runs]
    scored = [(run, target) for run, target in targets if find_bleu_metric(target) is not None]
    blocks: list[Block] = [
        Paragraph(f"{run.name}: BLEU's tokenizer {target.tokenizer} is not installed.")
        for run, target in targets
        if (run, target) not in scored and run.translations
    ]
    for split in dict.fromkeys(split for run in runs for split in run.translations):
        found = [
            (run, breakdown(kept.sources, kept.hypotheses, kept.references, target))
            for run, target in scored
            if (kept := run.translations.get(split)) and kept.references
        ]
        if found:
            blocks += [*_figures(runs, split, found), *_tables(runs, split, found)]
    return Section("By source length", blocks)


def _figures(runs: Sequence[Run], split: str, found: Found) -> list[Block]:
    """BLEU, chrF and length ratio; only runs with the first one's groups lie over each other."""
    first = found[0][1]
    names = [_span(group) for group in first.groups]
    alike = [(run, one) for run, one in found if [_span(group) for group in one.groups] == names]

    def line(name: str, run: Run, groups: list[LengthGroup]) -> Line:
        label = run.name if len(runs) > 1 else name
        colour, xs = runs.index(run), range(len(groups))
        if name == "length ratio":
            return Line(label, xs, [group.length_ratio for group in groups], colour, points=True)
        scores = [group.bleu if name == "BLEU" else group.chrf for group in groups]
        ys, low, high = zip(*((one.score, one.low, one.high) for one in scores), strict=True)
        return Line(label, xs, ys, colour, points=True, low=low, high=high)

    return [
        Figure(
            file_name(split, name, "by", "length"),
            f"{split}: {name} by source length, in {first.unit}",
            lines(
                [line(name, run, one.groups) for run, one in alike],
                f"source length, {first.unit}",
                name,
                names=names,
            ),
        )
        for name in ("BLEU", "chrF", "length ratio")
    ]


def _tables(runs: Sequence[Run], split: str, found: Found) -> list[Block]:
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
        for place in range(max(len(one.groups) for _, one in found))
        for run, one in found
        if place < len(one.groups)
        for group in [one.groups[place]]
    ]
    faults = [
        (run, [f"{one.length_ratio:.3f}", *map(percent, (one.repetition, one.empty, one.unknown))])
        for run, one in found
    ]
    unit = found[0][1].unit
    columns = [f"source {unit}", "sentences", "BLEU", "chrF", "length ratio"]
    shares = ["length ratio", "repeating", "empty", "with unknown tokens"]
    return [
        run_table(runs, columns, groups, title=f"{split}, with 95 % bootstrap intervals"),
        run_table(runs, shares, faults, words=0, title=f"{split}: shares of all translations"),
    ]


def _span(group: LengthGroup) -> str:
    return str(group.first) if group.first == group.last else f"{group.first}–{group.last}"
