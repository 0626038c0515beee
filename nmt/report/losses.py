"""The loss of the target tokens: by place in the sentence, and by frequency in training."""

import math
from collections.abc import Sequence

from nmt.diagnosis.records import FrequencyLoss, PositionLoss
from nmt.report.blocks import Block, Figure, Section
from nmt.report.plots import Line, lines
from nmt.report.runs import Run
from nmt.report.tables import run_table

_FEW_TOKENS = 10
_SPANS = [(1, 1), (2, 5), (6, 10), (11, 20), (21, math.inf)]


def losses(runs: Sequence[Run]) -> Section:
    """Loss by position and by frequency."""
    return Section("Loss of the tokens", [*_positions(runs), *_frequencies(runs)])


def _positions(runs: Sequence[Run]) -> list[Block]:
    plotted, rows = [], []
    for number, run in enumerate(runs):
        found = run.diagnosis.losses if run.diagnosis else []
        kept = [one for one in found if one.tokens >= _FEW_TOKENS] or found
        if not kept:
            continue
        xs, ys = [one.position for one in kept], [one.loss for one in kept]
        plotted.append(Line(run.name, xs, ys, number))
        parts = [[one for one in found if low <= one.position <= high] for low, high in _SPANS]
        rows.append((run, [_mean(part) for part in parts]))
    if not plotted:
        return []
    title = f"Loss by target position, where at least {_FEW_TOKENS} tokens stand"
    draw = lines(plotted, "target position", "loss, nats a token")
    columns = ["token 1", "2 to 5", "6 to 10", "11 to 20", "21 and on"]
    means = run_table(runs, columns, rows, words=0, title="Mean loss of the tokens")
    return [Figure("loss-by-position", title, draw), means]


def _frequencies(runs: Sequence[Run]) -> list[Block]:
    found = [(run, run.diagnosis.frequencies if run.diagnosis else []) for run in runs]
    groups = sorted({(one.first, one.last) for _, losses in found for one in losses})
    if not groups:
        return []
    plotted = [
        Line(
            run.name,
            [groups.index((one.first, one.last)) for one in losses],
            [one.loss for one in losses],
            runs.index(run),
            points=True,
        )
        for run, losses in found
        if losses
    ]
    rows = [
        (run, [_span(one), f"{one.loss:.3f}", f"{one.tokens:,}"])
        for group in groups
        for run, losses in found
        for one in losses
        if (one.first, one.last) == group
    ]
    # Each group reaches further than all before it: its first number says enough.
    names = [f"{first:,}" if first < 1000 else f"{first / 1000:,.0f}k" for first, _ in groups]
    axis = "occurrences in training, at least"
    draw = lines(plotted, axis, "loss, nats a token", names=names)
    title = "Loss by how often training had the token"
    columns = ["occurrences in training", "loss", "tokens"]
    return [Figure("loss-by-frequency", title, draw), run_table(runs, columns, rows)]


def _span(one: FrequencyLoss) -> str:
    return f"{one.first:,}" if one.first == one.last else f"{one.first:,}–{one.last:,}"


def _mean(losses: Sequence[PositionLoss]) -> str:
    tokens = sum(one.tokens for one in losses)
    return f"{sum(one.loss * one.tokens for one in losses) / tokens:.3f}" if tokens else "-"
