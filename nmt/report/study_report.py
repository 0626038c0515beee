"""The report of a study: the argument, a table with a column for each model, and gradients."""

from nmt.diagnosis.study_records import Study
from nmt.report.blocks import Block, Figure, Paragraph, Report, Section, Table
from nmt.report.gradients import compared, reached
from nmt.report.plots import lines, scored_line
from nmt.report.tables import score_text


def study_report(study: Study) -> Report:
    """Make the report of a study."""
    title = f"One decoder behind {len(study.rows)} encoders, {study.updates:,} updates each"
    flows = [(row.name, row.flow) for row in study.rows if row.flow.reach is not None]
    sections = [
        Section("The argument", study.steps),
        Section("BLEU by source length", _scores(study)),
        Section("Gradient flow", compared(flows)),
    ]
    return Report(title, [section for section in sections if section.blocks])


def _scores(study: Study) -> list[Block]:
    models, groups = study.rows, [[*row.test_lengths, *row.long_lengths] for row in study.rows]
    spans = [f"{group.first}–{group.last}" for group in groups[0]]
    plotted = []
    for number, (row, own) in enumerate(zip(models, groups, strict=True)):
        plotted.append(scored_line(row.name, [group.bleu for group in own], number))
    draw = lines(plotted, "words of the source", "BLEU", names=spans)
    scores = [[group.bleu for group in row] for row in zip(*groups, strict=True)]
    scores += [[row.test for row in models], [row.long for row in models]]
    scores.append([row.shuffled for row in models])
    names = [*spans, "all of test", "all of long", "test, words shuffled"]
    rows = [
        [name, *(score_text(bleu, 1) for bleu in row)]
        for name, row in zip(names, scores, strict=True)
    ]
    rows.append(["numbers in the final state", *(f"{row.state_size:,}" for row in models)])
    rows.append(["parameters", *(f"{row.parameters:,}" for row in models)])
    rows.append(["gradient that reaches the first word", *(reached(row.flow) for row in models)])
    longest, signature = models[0].test_lengths[-1].last, models[0].test.signature
    note = f"No training sentence has more than {longest} words. {signature}"
    figure = Figure("study-lengths", "BLEU, with 95 % bootstrap intervals", draw, (6.5, 4))
    return [figure, Table(["words", *(row.name for row in models)], rows), Paragraph(note)]
