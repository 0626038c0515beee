"""The encoder's final state: probes of its use by the decoder, and a map of sentences."""

from collections.abc import Sequence

from nmt.diagnosis.records import Verdict
from nmt.report.blocks import Block, Figure, Paragraph, Section, Table
from nmt.report.plots import bars, named_points
from nmt.report.runs import Run
from nmt.report.tables import run_table

_LEGEND = (
    "Each probe changes the final state: all zeros; another sentence's; noise, in standard "
    "deviations; its projection onto the first principal components of these sentences (0: their "
    "mean, the same for all); or one part zeroed."
)


def probes(runs: Sequence[Run]) -> Section:
    """Return loss and BLEU with changed final states, and the verdicts."""
    probed = [(run, run.diagnosis.probes) for run in runs if run.diagnosis.probes]
    rows = []
    verdicts: list[Block] = []
    for run, record in probed:
        verdicts += [Verdict(v.level, run.titled(v.text)) for v in record.verdicts]
        intact = record.probes[0]
        for probe in record.probes:
            loss, bleu = probe.loss - intact.loss, probe.bleu - intact.bleu
            changes = ["", ""] if probe is intact else [f"{loss:+.3f}", f"{bleu:+.2f}"]
            row = [probe.name, f"{probe.loss:.3f}", changes[0], f"{probe.bleu:.2f}", changes[1]]
            rows.append((run, row))
    if not probed:
        return Section("State probes", [])
    names = list(dict.fromkeys(row[0] for _, row in rows))
    figures = []
    for key, title in (("bleu", "BLEU"), ("loss", "Loss, nats a token")):
        series = {
            run.name: {p.name: getattr(p, key) for p in record.probes} for run, record in probed
        }
        size = (4.2, 1 + (0.12 + 0.08 * len(series)) * len(names))
        name = f"{title} with the state changed; dashed: intact"
        figures.append(Figure(f"probes-{key}", name, bars(names, series, title), size))
    sentences = ", ".join(run.titled(f"{record.sentences:,}") for run, record in probed)
    columns = ["final state", "loss", "change", "BLEU", "change"]
    table = run_table(columns, rows, title=f"Sentences: {sentences}; greedy search")
    return Section("State probes", [*verdicts, Paragraph(_LEGEND), *figures, table])


def state_map(runs: Sequence[Run]) -> Section:
    """Return a map of the final states of chosen sentences in two dimensions."""
    blocks: list[Block] = []
    for run in runs:
        if (states := run.diagnosis.states) is None:
            continue
        points = states.points
        axes = [
            f"component {number} ({100 * share:.0f} % of the variance)"
            for number, share in enumerate(states.explained[:2], start=1)
        ]
        names = [point.text for point in points]
        draw = named_points(names, [p.x for p in points], [p.y for p in points], *axes)
        title = "Final states of sentences on their first two principal components"
        figure = run.figure_name("states")
        size = (7.5, max(3.0, 0.6 + 0.2 * len(points)))
        blocks.append(Figure(figure, run.titled(title), draw, size))
        rows = [[point.text, f"{point.x:.2f}", f"{point.y:.2f}"] for point in points]
        name = run.titled("The sentences of the map")
        language = {0: run.config.data.source_language}
        blocks.append(Table(["sentence", "x", "y"], rows, (0,), name, language))
    return Section("Map of final states", blocks)
