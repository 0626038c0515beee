"""Training curves: loss, scores, learning rate, gradient norm and speed over updates."""

import itertools
import statistics
from collections.abc import Sequence

from nmt.report.blocks import Block, Figure, Paragraph, Section
from nmt.report.plots import Line, lines
from nmt.report.runs import Run
from nmt.report.tables import run_table

_PLOTS = {
    "loss": ("Loss, in nats a token", {"train_loss": "training", "validation_loss": "validation"}),
    "bleu": ("BLEU on the validation split", {"validation_bleu": "BLEU"}),
    "chrf": ("chrF on the validation split", {"validation_chrf": "chrF"}),
    "learning-rate": ("Learning rate", {"learning_rate": "learning rate"}),
    "gradient-norm": ("Gradient norm before clipping", {"gradient_norm": "gradient norm"}),
    "speed": ("Speed, target tokens a second", {"tokens_per_second": "tokens a second"}),
}
"""The title of each figure, and the columns that it draws with their labels."""


def curves(runs: Sequence[Run]) -> Section:
    """Return the training curves of all runs in common plots, and their final numbers."""
    columns = ["updates", "epochs begun", "training loss", "validation loss", "validation BLEU"]
    columns += ["gradient norm", "tokens a second"]
    title = "The last training loss, the best validations, medians (the largest gradient norm)"
    ends = [(run, _ends(run)) for run in runs]
    blocks: list[Block] = [run_table(columns, ends, words=0, title=title)]
    keys = ("label_smoothing", "r_drop")
    values = {(key, getattr(run.config.training, key) or 0.0) for run in runs for key in keys}
    if added := [f"{key} ({value:g})" for key, value in sorted(values) if value]:
        text = f"The training loss includes {', '.join(added)} and dropout, the validation"
        blocks.append(Paragraph(f"{text} loss does not; so the first may be higher."))
    for plot, (title, recorded) in _PLOTS.items():
        plotted = []
        for run, (kind, (column, label)) in itertools.product(runs, enumerate(recorded.items())):
            xs, ys = run.column(column)
            first = run.name if kind == 0 else ""
            name, colour = (first, run.number) if run.compared else (label, kind)
            points = column.startswith("validation_")
            plotted += [Line(name, xs, ys, colour, dash=kind, points=points)] if xs else []
        if plotted:
            unit = title.partition(",")[0].removesuffix(" on the validation split")
            if len(runs) > 1 and len(recorded) > 1:
                title += f" (dashed: {[*recorded.values()][1]})"
            blocks.append(Figure(plot, title, lines(plotted, "update", unit)))
    return Section("Training", blocks)


def _ends(run: Run) -> list[str]:
    """Return a run's final and best numbers."""
    update, train = run.column("train_loss")
    at, bleu = run.column("validation_bleu")
    others = ("epoch", "validation_loss", "gradient_norm", "tokens_per_second")
    epoch, loss, norm, speed = (run.column(name)[1] for name in others)
    best = max(zip(bleu, at, strict=True), key=lambda point: point[0], default=None)
    return [
        f"{max([*update, *at], default=0):,.0f}",
        f"{epoch[-1]:.0f}" if epoch else "-",
        f"{train[-1]:.3f}" if train else "-",
        f"{min(loss):.3f}" if loss else "-",
        f"{best[0]:.2f} at {best[1]:,.0f}" if best else "-",
        f"{statistics.median(norm):.3g} ({max(norm):.3g})" if norm else "-",
        f"{statistics.median(speed):,.0f}" if speed else "-",
    ]
