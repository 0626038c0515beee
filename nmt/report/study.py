"""The page of a study: what was measured, and what that says to each step of the argument."""

from collections.abc import Sequence

from nmt.diagnosis.study import Study, StudyRow
from nmt.report.blocks import Block, Figure, Finding, Fold, Paragraph, Report, Section, Table
from nmt.report.gradients import compared, flow_blocks, reach
from nmt.report.plots import Line, lines
from nmt.report.tables import file_name

_LEVELS = {"holds": "good", "undecided": "warning", "fails": "bad"}


def study_report(study: Study) -> Report:
    """Lay out a study."""
    title = f"One decoder behind {len(study.rows)} encoders, {study.updates:,} updates each"
    made = (_argument, _lengths, _models, _flows)
    return Report(title, [section for make in made if (section := make(study)).blocks])


def _argument(study: Study) -> Section:
    """Show each claim with its outcome and the numbers."""
    blocks: list[Block] = []
    for number, step in enumerate(study.steps, start=1):
        told = f"{number}. {step.claim} {step.outcome.capitalize()}. {step.text}"
        blocks.append(Finding(_LEVELS[step.outcome], told))  # type: ignore[arg-type]
    return Section("The argument", blocks)


def _lengths(study: Study) -> Section:
    """Show BLEU by source length."""
    groups = study.rows[0].lengths
    spans = [f"{group.first}–{group.last}" for group in groups]
    plotted = []
    for number, row in enumerate(study.rows):
        scores = [group.bleu for group in row.lengths]
        plotted.append(
            Line(
                row.name,
                range(len(scores)),
                [score.score for score in scores],
                number,
                dash=0 if row.encoder == "rnn" else 1,
                points=True,
                low=[score.low for score in scores],
                high=[score.high for score in scores],
            )
        )
    draw = lines(plotted, "words of the source", "BLEU", names=spans)
    every = [[*(group.bleu for group in row.lengths), row.test, row.long] for row in study.rows]
    rows = [
        [row.name, *(f"{bleu.score:.1f}" for bleu in scores)]
        for row, scores in zip(study.rows, every, strict=True)
    ]
    rows.append(["sentences", *(f"{group.sentences:,}" for group in groups), "", ""])
    longest = max(group.last for group in groups if group.split == "test")
    signature = study.rows[0].test.signature
    return Section(
        "BLEU by source length",
        [
            Figure("study-lengths", "BLEU, with 95 % bootstrap intervals", draw, (6.5, 4)),
            Table(["words", *spans, "all of test", "all of long"], rows),
            Paragraph(f"No training sentence has more than {longest} words. {signature}"),
        ],
    )


def _models(study: Study) -> Section:
    """Show what the models are and cost, what order is to them, and the gradient that arrives."""
    columns = ["model", "cell", "handed over", "parameters", "minutes", "shuffled", "reach"]
    rows = [
        [
            row.name,
            row.cell,
            f"{row.state_size:,}",
            f"{row.parameters:,}",
            "-" if row.minutes is None else f"{row.minutes:.1f}",
            f"{row.shuffled.score:.1f}",
            "-" if row.flow is None else reach(row.flow),
        ]
        for row in study.rows
    ]
    legend = (
        "cell: of the decoder, too; handed over: numbers in the final state, the decoder's only "
        "view of the source; minutes: of training, on one thread; shuffled: BLEU on test with "
        "mixed source words; reach: of the last word's gradient, what is left at the first source "
        "word."
    )
    return Section("The models", [Table(columns, rows, (0, 1)), Paragraph(legend)])


def _flows(study: Study) -> Section:
    """Show how gradients flow through each recurrent model, over each other and one by one."""
    rows = [(row, row.flow) for row in study.rows if row.flow is not None]
    if not rows:
        return Section("Gradient flow", [])
    blocks: list[Block] = list(compared([(row.name, flow) for row, flow in rows]))
    blocks += [
        Fold(row.name, [*_verdicts(row), *flow_blocks(flow, file_name("study", row.name))])
        for row, flow in rows
    ]
    return Section("Gradient flow", blocks)


def _verdicts(row: StudyRow) -> Sequence[Finding]:
    return [Finding(one.level, one.text) for one in row.flow.verdicts] if row.flow else []
