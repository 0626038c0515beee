"""The loss of the target tokens, by position in the sentence and by frequency in training."""

import math
from collections.abc import Sequence

from nmt.diagnosis.records import PositionLoss
from nmt.report.blocks import Block, Figure, Section
from nmt.report.plots import Line, lines
from nmt.report.runs import Run
from nmt.report.tables import run_table, span

_FEW_TOKENS = 10
_SPANS = [(1, 1), (2, 5), (6, 10), (11, 20), (21, math.inf)]


def losses(runs: Sequence[Run]) -> Section:
    """Return the loss by position and by frequency."""
    return Section("Loss of the tokens", [*_positions(runs), *_frequencies(runs)])


def _positions(runs: Sequence[Run]) -> list[Block]:
    plotted, rows = [], []
    for run in runs:
        losses = run.diagnosis.losses
        drawn = [each for each in losses if each.tokens >= _FEW_TOKENS] or losses
        if not drawn:
            continue
        xs, ys = [each.position for each in drawn], [each.loss for each in drawn]
        plotted.append(Line(run.name, xs, ys, run.number))
        parts = [[each for each in losses if low <= each.position <= high] for low, high in _SPANS]
        rows.append((run, [_mean(part) for part in parts]))
    if not plotted:
        return []
    title = f"Loss by target position (those with at least {_FEW_TOKENS} tokens, or all)"
    draw = lines(plotted, "target position", "loss, nats a token")
    columns = ["token 1", "2 to 5", "6 to 10", "11 to 20", "21 and on"]
    means = run_table(columns, rows, words=0, title="Mean loss of the tokens")
    return [Figure("loss-by-position", title, draw), means]


def _frequencies(runs: Sequence[Run]) -> list[Block]:
    found = [(run, band) for run in runs for band in run.diagnosis.frequencies]
    found.sort(key=lambda one: one[1].first)
    if not found:
        return []
    starts = sorted({band.first for _, band in found})
    plotted = []
    for run in runs:
        own = [band for other, band in found if other is run]
        xs, ys = [starts.index(band.first) for band in own], [band.loss for band in own]
        plotted += [Line(run.name, xs, ys, run.number, points=True)] if own else []
    rows = [
        (run, [span(band.first, band.last), f"{band.loss:.3f}", f"{band.tokens:,}"])
        for run, band in found
    ]
    # Bands are consecutive: the first number of each is enough.
    names = [f"{first:,}" if first < 1000 else f"{first / 1000:,.0f}k" for first in starts]
    axis = "occurrences in training, at least"
    draw = lines(plotted, axis, "loss, nats a token", names=names)
    title = "Loss by the token's frequency in training"
    columns = ["occurrences in training", "loss", "tokens"]
    return [Figure("loss-by-frequency", title, draw), run_table(columns, rows)]


def _mean(losses: Sequence[PositionLoss]) -> str:
    tokens = sum(each.tokens for each in losses)
    return f"{sum(each.loss * each.tokens for each in losses) / tokens:.3f}" if tokens else "-"
