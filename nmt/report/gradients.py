"""Gradient flow: curves by distance, maps, gates, and the sum over time."""

import math
import statistics
from collections.abc import Sequence
from typing import TypeGuard

from nmt.diagnosis.records import GradientFlow, StateFlow, Verdict
from nmt.log import percent
from nmt.report.blocks import Block, Details, Figure, Section, Table, file_name
from nmt.report.plots import Line, heat, lines
from nmt.report.runs import Run
from nmt.report.tables import run_table

_DARKEST = 1e-8
"""Share of the largest norm at the end of the colour scale; smaller norms are negligible."""


def gradients(runs: Sequence[Run]) -> Section:
    """Return the gradient flow of each run."""
    flows = [(run, flow) for run in runs for flow in run.diagnosis.flows]
    if not flows:
        return Section("Gradient flow", [])
    rows = [
        (run, [flow.cell, flow.moment, reached(flow), f"{flow.sentences:,}"]) for run, flow in flows
    ]
    columns = ["cell", "moment", "reaches the first source word", "sentences"]
    title = "Norm of the last word's gradient at the first source word ÷ its norm at its own state"
    blocks: list[Block] = [run_table(columns, rows, words=2, title=title)]
    if len(flows) > 1:
        named = [(run.titled(f"{flow.cell}, {flow.moment}"), flow) for run, flow in flows]
        blocks += compared(named)
    trained = {(run.name, flow.cell) for run, flow in flows if flow.moment != "start"}
    for run, flow in flows:
        name = run.titled(f"{flow.cell}, {flow.moment}")
        parts = flow_blocks(flow, run.figure_name(flow.cell, flow.moment))
        verdicts = flow.verdicts
        if len(flows) == 1:
            blocks += [*verdicts, *parts]
            continue
        if flow.moment != "start" or (run.name, flow.cell) not in trained:
            blocks += [Verdict(verdict.level, f"{name}: {verdict.text}") for verdict in verdicts]
            verdicts = []
        blocks.append(Details(f"{name}: decay, maps and gates", [*verdicts, *parts]))
    return Section("Gradient flow", blocks)


def reached(flow: GradientFlow) -> str:
    """Format the share of the last word's gradient that reaches the first source word."""
    return "-" if flow.reach is None else percent(flow.reach)


def flow_blocks(flow: GradientFlow, name: str) -> list[Block]:
    """Return the blocks of one model at one moment, without the verdicts.

    Args:
        flow: its gradient flow.
        name: prefix of the names of its figures.
    """
    figures: list[Block] = []
    for key in dict.fromkeys((each.network, each.state) for each in flow.states):
        own = [each for each in flow.states if (each.network, each.state) == key]
        layers = [(each.layer - 1, f"layer {each.layer}", each) for each in own]
        figures.append(_curves(layers, name))
    norms = [norm for each in flow.states for row in each.norms for norm in row if _real(norm)]
    high = max(norms, default=1.0)
    limits = (min(max(min(norms, default=high), _DARKEST * high), high / 10), high)
    drawn = [(each.state, _map(each, limits, name)) for each in flow.states if each.norms]
    hidden, cells = ([m for kind, m in drawn if kind == state] for state in ("hidden", "cell"))
    folded = [Details("maps of the cell states", cells)] if cells else []
    return [*figures, _decay(flow), *hidden, *folded, *_gates(flow), *_sum(flow, name)]


def _curves(curves: Sequence[tuple[int, str, StateFlow]], name: str) -> Figure:
    """Draw norms by distance with their fitted decay; each curve comes with its colour's number."""
    plotted = []
    network, state = curves[0][2].network, curves[0][2].state
    for number, label, curve in curves:
        known = [(d, norm) for d, norm in enumerate(curve.by_distance) if _real(norm)]
        factor = curve.kept_per_step
        decay = "" if factor is None else f": × {factor:.3f} a step"
        xs, ys = [d for d, _ in known], [norm for _, norm in known]
        plotted.append(Line(f"{label}{decay}", xs, ys, number))
        if factor and known:
            # The fit has only a slope; its height is the mean of the points.
            middle, height = statistics.mean(xs), statistics.mean(map(math.log, ys))
            fitted = [math.exp(height + math.log(factor) * (x - middle)) for x in (xs[0], xs[-1])]
            plotted.append(Line("", [xs[0], xs[-1]], fitted, number, dash=3))
    distance = "target steps between" if network == "decoder" else "steps before the final state"
    title = f"{network}, {state} states: gradient by distance, dotted the fitted decay"
    draw = lines(plotted, distance, "norm of gradient", log=True)
    return Figure(file_name("flow", name, network, state), title, draw)


def _real(norm: float | None) -> TypeGuard[float]:
    """Return whether a norm can be drawn on a logarithmic scale."""
    return norm is not None and 0 < norm < math.inf


def compared(flows: Sequence[tuple[str, GradientFlow]]) -> list[Block]:
    """Draw the last layers' curves of several named flows into common plots."""
    figures: list[Block] = []
    for network in dict.fromkeys(curve.network for _, flow in flows for curve in flow.states):
        curves = []
        for number, (name, flow) in enumerate(flows):
            own = [c for c in flow.states if c.network == network and c.state == "hidden"]
            curves += [(number, name, own[-1])] if own else []
        figures.append(_curves(curves, "compared"))
    return figures


def _map(flow: StateFlow, limits: tuple[float, float], name: str) -> Figure:
    x = "target step" if flow.network == "decoder" else "steps before the final state"
    draw = heat(flow.norms, f"{flow.state} state, {x}", "loss at target step", limits)
    layer, states = f"{flow.network}, layer {flow.layer}", f"{flow.state} states"
    title = f"{layer}: gradient of each step's loss by {states}"
    return Figure(file_name("map", name, flow.network, flow.layer, flow.state), title, draw)


def _decay(flow: GradientFlow) -> Table:
    rows = []
    for curve in flow.states:
        factor = curve.kept_per_step
        halves = "-"
        if factor is not None and 0 < factor < 1:
            halves = f"{math.log(2) / -math.log(factor):,.1f}"
        shown = "-" if factor is None else f"{factor:.4f}"
        rows.append([curve.network, str(curve.layer), curve.state, shown, halves])
    columns = ["network", "layer", "state", "factor a step", "halves every … steps"]
    return Table(columns, rows, (0, 2), "Fitted decay of the gradient")


def _gates(flow: GradientFlow) -> list[Block]:
    if not flow.gates:
        return []
    rows = []
    for gate in flow.gates:
        times = [f"{steps:.3g}" for steps in gate.time_constants or []] or ["-"] * 5
        shares = (f"{gate.mean:.3f}", percent(gate.closed), percent(gate.open))
        rows.append([gate.network, str(gate.layer), gate.gate, *shares, *times])
    columns = ["network", "layer", "gate", "mean", "below 0.1", "above 0.9"]
    columns += ["5 %", "25 %", "50 %", "75 %", "95 %"]
    title = "Gates; the last columns are percentiles over the units of the time constant, in steps"
    return [Table(columns, rows, (0, 2), title)]


def _sum(flow: GradientFlow, name: str) -> list[Block]:
    """Return the gradient of each recurrent matrix as a sum over time, beside autograd's."""
    if not flow.sums:
        return []
    plotted = [
        Line(total.parameter, range(len(total.by_distance)), total.by_distance, number)
        for number, total in enumerate(flow.sums)
    ]
    rows = [[total.parameter, f"{total.relative_error:.1e}"] for total in flow.sums]
    title = "Gradient of each recurrent matrix, by the distance of the loss in steps"
    draw = lines(plotted, "steps ahead", "norm of gradient", log=True)
    figure = Figure(file_name("sum", name), title, draw)
    title = "The sum over time against autograd's own"
    return [figure, Table(["matrix", "difference"], rows, (0,), title)]
