"""A diagnosis as a page in the terminal: verdicts first, then the numbers behind them."""

import math
from typing import TYPE_CHECKING

from nmt.cli.page import percent, plain_table
from nmt.diagnosis.records import Diagnosis, FlowCurve, GradientFlow, Verdict

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH = 100
_DISTANCES = (1, 2, 5, 10, 20)
_COLORS = {"good": "green", "warning": "yellow", "bad": "red"}


def print_diagnosis(name: str, found: Diagnosis) -> None:
    """Print the whole page: the first flow in full, and all of them side by side."""
    from rich.console import Console
    from rich.text import Text

    flow = found.flows[0]
    title = f"{name}: {flow.cell}, {flow.moment}; {flow.sentences} sentences of {found.split}"
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        _verdicts(flow.verdicts),
        _curves(flow),
    ]
    if flow.gates:
        parts.append(_gates(flow))
    parts.append(_sums(flow))
    if len(found.flows) > 1:
        parts.append(_comparison(found.flows))
    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part)


def _verdicts(verdicts: list[Verdict]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for verdict in verdicts:
        table.add_row(Text(verdict.level, style=f"bold {_COLORS[verdict.level]}"), verdict.text)
    return table


def _curves(flow: GradientFlow) -> "RenderableType":
    """How gradients decay, network by network and layer by layer."""
    table = plain_table(
        "gradient by", "state", "layer", "kept", "half-life", "near", "far", "steps", words=2
    )
    for curve in flow.curves:
        known = [norm for norm in curve.norms if norm is not None]
        table.add_row(
            curve.network,
            curve.state,
            str(curve.layer),
            _factor(curve.kept_per_step),
            _half_life(curve.kept_per_step),
            f"{known[0]:.2g}",
            f"{known[-1]:.2g}",
            str(len(known) - 1),
        )
    return _explained(table, "kept: factor for each step back; near, far: norm at either end")


def _gates(flow: GradientFlow) -> "RenderableType":
    """How open the gates stand, and after how many steps what they keep has faded."""
    columns = ("layer", "mean", "shut", "open", "5th", "median", "95th")
    table = plain_table("gates", "", *columns, words=2)
    for gate in flow.gates:
        steps = gate.time_constants
        faded = ["", "", ""] if steps is None else [f"{steps[place]:.3g}" for place in (0, 2, 4)]
        table.add_row(
            gate.network,
            gate.gate,
            str(gate.layer),
            f"{gate.mean:.2f}",
            f"{gate.closed:.1%}",
            f"{gate.open:.1%}",
            *faded,
        )
    return _explained(
        table,
        "shut, open: below 0.1, above 0.9; percentiles of the units: steps until what a "
        "unit keeps has faded to 1/e",
    )


def _sums(flow: GradientFlow) -> "RenderableType":
    """Where the gradient of each recurrent matrix comes from."""
    columns = [f"{step}" for step in _DISTANCES]
    table = plain_table("sum over time", *columns, "error")
    for one in flow.sums:
        norms = [f"{norm:.2g}" for norm in one.by_distance]
        shares = [norms[step] if step < len(norms) else "-" for step in _DISTANCES]
        table.add_row(one.parameter.replace(".stack", ""), *shares, f"{one.relative_error:.0e}")
    return _explained(table, "norm of what comes from losses so many steps ahead")


def _explained(table: "RenderableType", legend: str) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    return Group(table, Text(legend, style="dim"))


def _comparison(flows: list[GradientFlow]) -> "RenderableType":
    """Every cell and moment, in the layer and state of each network that keeps most."""
    networks = list(dict.fromkeys(curve.network for flow in flows for curve in flow.curves))
    table = plain_table("cell", "moment", "verdict", "reach", *networks, words=3)
    for flow in flows:
        levels = [verdict.level for verdict in flow.verdicts]
        worst = max(levels, key=list(_COLORS).index)
        table.add_row(
            flow.cell,
            flow.moment,
            f"[{_COLORS[worst]}]{worst}[/]",
            "-" if flow.reach is None else percent(flow.reach),
            *(_factor(_most(flow.curves, network)) for network in networks),
        )
    return _explained(
        table,
        "verdict: the worst; reach: what is left at the first source word; networks: kept for each "
        "step by the layer that keeps most",
    )


def _most(curves: list[FlowCurve], network: str) -> float | None:
    kept = [curve.kept_per_step for curve in curves if curve.network == network]
    return max((one for one in kept if one is not None), default=None)


def _factor(kept: float | None) -> str:
    return "-" if kept is None else f"{kept:.3f}"


def _half_life(kept: float | None) -> str:
    if kept is None or kept >= 1:
        return "-"
    return "0.0" if kept == 0 else f"{-math.log(2) / math.log(kept):.1f}"
