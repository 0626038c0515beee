"""What is handed over: what the decoder makes of it, and where sentences lie in it."""

from collections.abc import Sequence

from nmt.report.blocks import Block, Figure, Finding, Paragraph, Section, Table
from nmt.report.plots import bars, named_points
from nmt.report.runs import Run
from nmt.report.tables import of_run, run_file_name, run_table

_LEGEND = (
    "What the decoder gets is changed: all zeros; another sentence's; noise, in standard "
    "deviations; only what lies on the first principal components of these sentences (0: their "
    "mean, the same for all); or one part zeroed."
)


def probes(runs: Sequence[Run]) -> Section:
    """Loss and BLEU with what is handed over changed, and the verdicts."""
    found = [(run, run.diagnosis.probes) for run in runs if run.diagnosis and run.diagnosis.probes]
    rows = []
    findings: list[Block] = []
    for run, one in found:
        findings += [Finding(v.level, of_run(runs, run, v.text)) for v in one.verdicts]
        intact = one.intact
        for probe in (intact, *one.probes):
            loss, bleu = probe.loss - intact.loss, probe.bleu - intact.bleu
            changes = ["", ""] if probe is intact else [f"{loss:+.3f}", f"{bleu:+.2f}"]
            row = [probe.name, f"{probe.loss:.3f}", changes[0], f"{probe.bleu:.2f}", changes[1]]
            rows.append((run, row))
    if not found:
        return Section("State probes", [])
    names = list(dict.fromkeys(p.name for _, one in found for p in (one.intact, *one.probes)))
    figures = []
    for key, title in (("bleu", "BLEU"), ("loss", "Loss, nats a token")):
        series = {
            run.name: {p.name: getattr(p, key) for p in (one.intact, *one.probes)}
            for run, one in found
        }
        size = (4.2, 1 + (0.12 + 0.08 * len(series)) * len(names))
        name = f"{title} with the state changed; dashed: intact"
        figures.append(Figure(f"probes-{key}", name, bars(names, series, title), size))
    sentences = ", ".join(of_run(runs, run, f"{one.sentences:,}") for run, one in found)
    columns = ["state handed over", "loss", "change", "BLEU", "change"]
    table = run_table(runs, columns, rows, title=f"Sentences: {sentences}; greedy search")
    return Section("State probes", [*findings, Paragraph(_LEGEND), *figures, table])


def state_map(runs: Sequence[Run]) -> Section:
    """Final states of chosen sentences in two dimensions."""
    blocks: list[Block] = []
    for run in runs:
        states = run.diagnosis.states if run.diagnosis else None
        if states is None:
            continue
        points = states.points
        axes = [
            f"component {number} ({100 * share:.0f} % of the variance)"
            for number, share in enumerate(states.explained[:2], start=1)
        ]
        names = [point.text for point in points]
        draw = named_points(names, [p.x for p in points], [p.y for p in points], *axes)
        title = "Final states of sentences on their first two principal components"
        figure = run_file_name(runs, run, "states")
        size = (7.5, max(3.0, 0.6 + 0.2 * len(points)))
        blocks.append(Figure(figure, of_run(runs, run, title), draw, size))
        rows = [[point.text, f"{point.x:.2f}", f"{point.y:.2f}"] for point in points]
        name = of_run(runs, run, "The sentences of the map")
        language = {0: run.config.data.source_language}
        blocks.append(Table(["sentence", "x", "y"], rows, (0,), name, language))
    return Section("Map of final states", blocks)
