"""How gradients flow: by distance, as maps, through gates, and as a sum over time."""

import math
from collections.abc import Sequence
from typing import TypeGuard

from nmt.diagnosis.records import FlowCurve, FlowMap, GradientFlow
from nmt.log import percent
from nmt.report.blocks import Block, Figure, Finding, Fold, Section, Table
from nmt.report.plots import Line, heat, lines
from nmt.report.runs import Run
from nmt.report.tables import file_name, of_run, run_file_name, run_table

_DARKEST = 1e-8
"""Of the largest norm; what is less is as good as nothing, and would take the colours away."""


def gradients(runs: Sequence[Run]) -> Section:
    """Everything about the gradient flow of each run."""
    flows = [(run, flow) for run in runs if run.diagnosis for flow in run.diagnosis.flows]
    if not flows:
        return Section("Gradient flow", [])
    rows = [
        (run, [flow.cell, flow.moment, reach(flow), f"{flow.sentences:,}"]) for run, flow in flows
    ]
    columns = ["cell", "moment", "reaches the first source word", "sentences"]
    title = "Norm of the last word's gradient there, as a share of that at its own state"
    blocks: list[Block] = [run_table(runs, columns, rows, words=2, title=title)]
    if len(flows) > 1:
        named = [(of_run(runs, run, f"{flow.cell}, {flow.moment}"), flow) for run, flow in flows]
        blocks += compared(named)
    trained = {(run.name, flow.cell) for run, flow in flows if flow.moment != "start"}
    for run, flow in flows:
        name = of_run(runs, run, f"{flow.cell}, {flow.moment}")
        parts = flow_blocks(flow, run_file_name(runs, run, flow.cell, flow.moment))
        verdicts = [Finding(one.level, one.text) for one in flow.verdicts]
        if len(flows) == 1:
            blocks += [*verdicts, *parts]
            continue
        if flow.moment != "start" or (run.name, flow.cell) not in trained:
            blocks += [Finding(one.level, f"{name}: {one.text}") for one in verdicts]
            verdicts = []
        blocks.append(Fold(f"{name}: decay, maps and gates", [*verdicts, *parts]))
    return Section("Gradient flow", blocks)


def reach(flow: GradientFlow) -> str:
    """Show how much of the last word's gradient reaches the first source word."""
    return "-" if flow.reach is None else percent(flow.reach)


def flow_blocks(flow: GradientFlow, name: str) -> list[Block]:
    """Show one model at one moment, without the verdicts.

    Args:
        flow: its gradient flow.
        name: what the names of its figures begin with.
    """
    curves = [
        _curves(
            [
                (curve.layer - 1, f"layer {curve.layer}", curve)
                for curve in flow.curves
                if (curve.network, curve.state) == key
            ],
            *key,
            name,
        )
        for key in dict.fromkeys((curve.network, curve.state) for curve in flow.curves)
    ]
    norms = [norm for one in flow.maps for row in one.norms for norm in row if _real(norm)]
    high = max(norms, default=1.0)
    limits = (min(max(min(norms, default=high), _DARKEST * high), high / 10), high)
    maps = [(one.state, _map(one, limits, name)) for one in flow.maps if one.norms]
    hidden = [figure for state, figure in maps if state == "hidden"]
    cells = [figure for state, figure in maps if state == "cell"]
    blocks: list[Block] = [*curves, _decay(flow), *hidden]
    if cells:
        blocks.append(Fold("maps of the cell states", cells))
    return [*blocks, *_gates(flow), *_sum(flow, name)]


def _curves(
    curves: Sequence[tuple[int, str, FlowCurve]], network: str, state: str, name: str
) -> Figure:
    """Draw norms by distance, each with its fitted decay, from the number of its colour."""
    plotted = []
    for number, label, curve in curves:
        known = [(d, norm) for d, norm in enumerate(curve.norms) if _real(norm)]
        kept = curve.kept_per_step
        faded = "" if kept is None else f": × {kept:.3f} a step"
        xs, ys = [d for d, _ in known], [norm for _, norm in known]
        plotted.append(Line(f"{label}{faded}", xs, ys, number))
        if kept and known:
            # The fit says how fast norms fall; its height is the mean of the points.
            middle = sum(xs) / len(xs)
            height = sum(map(math.log, ys)) / len(ys)
            fitted = [math.exp(height + math.log(kept) * (x - middle)) for x in (xs[0], xs[-1])]
            plotted.append(Line("", [xs[0], xs[-1]], fitted, number, dash=3))
    distance = "target steps between" if network == "decoder" else "steps before the hand-over"
    title = f"{network}, {state} states: gradient by distance, dotted the fitted decay"
    draw = lines(plotted, distance, "norm of gradient", log=True)
    return Figure(file_name("flow", name, network, state), title, draw)


def _real(norm: float | None) -> TypeGuard[float]:
    """Tell whether a norm has a place on a logarithmic scale."""
    return norm is not None and 0 < norm < math.inf


def compared(flows: Sequence[tuple[str, GradientFlow]]) -> list[Block]:
    """Lay the curves of several flows, each with its name, over each other, by the last layers."""
    figures: list[Block] = []
    for network in dict.fromkeys(curve.network for _, flow in flows for curve in flow.curves):
        curves = []
        for number, (name, flow) in enumerate(flows):
            own = [c for c in flow.curves if c.network == network and c.state == "hidden"]
            if own:
                curves.append((number, name, max(own, key=lambda curve: curve.layer)))
        figures.append(_curves(curves, network, "hidden", "compared"))
    return figures


def _map(one: FlowMap, limits: tuple[float, float], name: str) -> Figure:
    x = "target step" if one.network == "decoder" else "steps before the hand-over"
    x = f"{one.state} state, {x}"
    draw = heat(one.norms, x, "loss at target step", "norm", limits=limits)
    title = f"{one.network}, layer {one.layer}: how each step's loss depends on {one.state} states"
    return Figure(file_name("map", name, one.network, one.layer, one.state), title, draw)


def _decay(flow: GradientFlow) -> Table:
    rows = []
    for curve in flow.curves:
        kept = curve.kept_per_step
        halves = "-"
        if kept is not None and 0 < kept < 1:
            halves = f"{math.log(2) / -math.log(kept):,.1f}"
        shown = "-" if kept is None else f"{kept:.4f}"
        rows.append([curve.network, str(curve.layer), curve.state, shown, halves])
    columns = ["network", "layer", "state", "kept a step", "halves every … steps"]
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
    title = "Gates; in the last columns, steps within which so many of the units fade to 1/e"
    return [Table(columns, rows, (0, 2), title)]


def _sum(flow: GradientFlow, name: str) -> list[Block]:
    """Show the gradient of each recurrent matrix as a sum over time, beside autograd's."""
    if not flow.sums:
        return []
    plotted = [
        Line(one.parameter, range(len(one.by_distance)), one.by_distance, number)
        for number, one in enumerate(flow.sums)
    ]
    rows = [[one.parameter, f"{one.relative_error:.1e}"] for one in flow.sums]
    return [
        Figure(
            file_name("sum", name),
            "What reaches each recurrent matrix from losses so many steps ahead",
            lines(plotted, "steps ahead", "norm of gradient", log=True),
        ),
        Table(["matrix", "difference"], rows, (0,), "The sum over time against autograd's own"),
    ]
