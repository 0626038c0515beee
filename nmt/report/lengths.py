"""Scores and known faults of translations, by source length."""

from collections.abc import Sequence

from nmt.evaluation.breakdowns import Breakdown, LengthGroup, breakdown
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import find_bleu_metric
from nmt.log import percent
from nmt.report.blocks import Block, Figure, Paragraph, Section, file_name
from nmt.report.plots import Line, lines, scored_line
from nmt.report.runs import Run
from nmt.report.tables import run_table, score_text, span

Breakdowns = list[tuple[Run, Breakdown]]


def lengths(runs: Sequence[Run]) -> Section:
    """Return scores by source length and known faults, of every test split with translations."""
    blocks: list[Block] = []
    parts: dict[str, Breakdowns] = {split: [] for run in runs for split in run.translations}
    for run in runs:
        target = TargetLanguage.of(run.config.data)
        if run.translations and find_bleu_metric(target) is None:
            text = f"{run.name}: BLEU's tokenizer {target.tokenizer} is not installed."
            blocks.append(Paragraph(text))
            continue
        for split, texts in run.translations.items():
            if texts.references:
                parts[split].append((run, breakdown(texts, target)))
    for split, scored in parts.items():
        if scored:
            blocks += [*_figures(split, scored), *_tables(split, scored)]
    return Section("By source length", blocks)


def _figures(split: str, parts: Breakdowns) -> list[Block]:
    """Draw BLEU, chrF and length ratio of the runs that have the first run's groups."""
    first = parts[0][1]
    names = [span(group.first, group.last) for group in first.groups]
    alike = [
        (run, part) for run, part in parts if [span(g.first, g.last) for g in part.groups] == names
    ]
    figures: list[Block] = []
    for name in ("BLEU", "chrF", "length ratio"):
        plotted = []
        for run, part in alike:
            label = run.name if run.compared else name
            if name == "length ratio":
                ratios = [group.length_ratio for group in part.groups]
                plotted.append(Line(label, range(len(names)), ratios, run.number, points=True))
            else:
                scores = [group.bleu if name == "BLEU" else group.chrf for group in part.groups]
                plotted.append(scored_line(label, scores, run.number))
        draw = lines(plotted, f"source length, {first.unit}", name, names=names)
        title = f"{split}: {name} by source length, in {first.unit}"
        figures.append(Figure(file_name(split, name, "by", "length"), title, draw))
    return figures


def _row(group: LengthGroup) -> list[str]:
    scores = score_text(group.bleu), score_text(group.chrf)
    size = span(group.first, group.last), f"{group.sentences:,}"
    return [*size, *scores, f"{group.length_ratio:.3f}"]


def _tables(split: str, parts: Breakdowns) -> list[Block]:
    groups = [
        (run, _row(group))
        for number in range(max(len(part.groups) for _, part in parts))
        for run, part in parts
        for group in part.groups[number : number + 1]
    ]
    faults = [
        (run, [f"{p.length_ratio:.3f}", *map(percent, (p.repetition, p.empty, p.unknown))])
        for run, p in parts
    ]
    unit = parts[0][1].unit
    columns = [f"source {unit}", "sentences", "BLEU", "chrF", "length ratio"]
    shares = ["length ratio", "repeating", "empty", "with unknown tokens"]
    return [
        run_table(columns, groups, title=f"{split}, with 95 % bootstrap intervals"),
        run_table(shares, faults, words=0, title=f"{split}: shares of all translations"),
    ]
