"""The kinds of plots: lines, heat maps, bars and points. Each returns a drawing function."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmt.evaluation.metrics import Score
from nmt.report.blocks import Draw, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2f7fd1", "#d9662b", "#2a9d6a", "#b455c8", "#b98a12", "#7a8794", "#d6487e", "#17a2b0")
"""Visible on white and black; most colour-blind people can distinguish the first ones."""
_LONGEST_LABEL = 36
_DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    label: str
    """In the legend; lines with an empty label are left out of it."""
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int = 0
    dash: int = 0
    points: bool = False
    """Mark every point, for lines with few."""
    errors: tuple[Sequence[float], Sequence[float]] | None = None
    """Lengths of the error bars below and above each point."""


def scored_line(label: str, scores: Sequence[Score], colour: int) -> Line:
    """Return a line of scores with their intervals."""
    points = [(s.score, max(s.score - s.low, 0), max(s.high - s.score, 0)) for s in scores]
    ys, below, above = zip(*points, strict=True)
    return Line(label, range(len(scores)), ys, colour, points=True, errors=(below, above))


def lines(
    plotted: Sequence[Line], x: str, y: str, *, log: bool = False, names: Sequence[str] = ()
) -> Draw:
    """Draw lines.

    Args:
        plotted: the lines.
        x: label of the horizontal axis.
        y: label of the vertical axis.
        log: use a logarithmic vertical axis, without values of 0 or less.
        names: of the ticks 0, 1, … on the horizontal axis.
    """

    def draw(axes: "Axes") -> None:
        from matplotlib.ticker import MaxNLocator

        for line in plotted:
            style: dict[str, Any] = {
                "color": COLOURS[line.colour % len(COLOURS)],
                "linestyle": _DASHES[line.dash % len(_DASHES)],
                "marker": "o" if line.points else None,
                "markersize": 3,
                "label": _legend(line.label),
            }
            if line.errors is None:
                axes.plot(line.xs, line.ys, **style)
            else:
                axes.errorbar(line.xs, line.ys, line.errors, elinewidth=0.8, **style)
        axes.set(xlabel=x, ylabel=y)
        axes.grid(True)
        if log:
            axes.set_yscale("log", nonpositive="mask")
        if names:
            axes.set_xticks(range(len(names)), names)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.xaxis.set_major_formatter("{x:,.0f}")
        _plain(axes.yaxis, log)
        if sum(bool(line.label) for line in plotted) > 1:
            axes.legend()

    return draw


def heat(
    rows: Sequence[Sequence[float | None]], x: str, y: str, limits: tuple[float, float]
) -> Draw:
    """Draw norms as colours on a logarithmic scale; None is left empty."""

    def draw(axes: "Axes") -> None:
        import numpy as np
        from matplotlib.colors import LogNorm

        cells = np.array([*itertools.zip_longest(*rows)], dtype=float).T
        cells = cells[:, ~np.isnan(cells).all(axis=0)]  # the last steps, which no sentence has
        low, high = limits
        shown = np.ma.masked_invalid(np.maximum(cells, low))
        image = axes.imshow(shown, norm=LogNorm(low, high))
        axes.set(xlabel=x, ylabel=y)
        axes.spines[:].set_visible(False)
        assert axes.figure is not None
        bar = axes.figure.colorbar(image, ax=axes, label="norm")
        bar.outline.set_visible(False)
        _plain(bar.ax.yaxis, log=True)

    return draw


def alignment(weights: Sequence[Sequence[float]], x: Sequence[str], y: Sequence[str]) -> Draw:
    """Draw shares from 0 to 1 as colour intensity, with names on both axes."""

    def draw(axes: "Axes") -> None:
        from matplotlib.colors import LinearSegmentedColormap, to_rgba

        ends = [to_rgba(COLOURS[0], 0), to_rgba(COLOURS[0], 1)]
        colours = LinearSegmentedColormap.from_list("depth", ends)
        axes.imshow(weights, cmap=colours, vmin=0, vmax=1)
        axes.set_xticks(range(len(x)), [printable(name) for name in x], rotation=90)
        axes.set_yticks(range(len(y)), [printable(name) for name in y])
        axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
        axes.spines[:].set_visible(True)

    return draw


def bars(names: Sequence[str], series: Mapping[str, Mapping[str, float]], x: str) -> Draw:
    """Draw a bar for each name, the first on top, and a line at the end of the first bar.

    Args:
        names: of the bars.
        series: values by name, for each label; bars of one name are grouped.
        x: label of the horizontal axis.
    """

    def draw(axes: "Axes") -> None:
        height = 0.8 / len(series)
        for number, (label, values) in enumerate(series.items()):
            shift = height * (number - (len(series) - 1) / 2)
            heights = [rank + shift for rank, name in enumerate(names) if name in values]
            lengths = [values[name] for name in names if name in values]
            colour = COLOURS[number % len(COLOURS)]
            axes.barh(heights, lengths, color=colour, height=0.9 * height, label=_legend(label))
            axes.axvline(values[names[0]], color=colour, linestyle="--", linewidth=1)
        if len(series) > 1:
            axes.legend()
        axes.set_yticks(range(len(names)), [printable(name) for name in names])
        axes.invert_yaxis()
        axes.set_xlabel(x)
        axes.grid(True, axis="x")

    return draw


def named_points(
    names: Sequence[str], xs: Sequence[float], ys: Sequence[float], x: str, y: str
) -> Draw:
    """Draw points, with their names in a column beside the plot, ordered by height."""

    def draw(axes: "Axes") -> None:
        axes.scatter(xs, ys, s=18, color=COLOURS[0])
        line = {"arrowstyle": "-", "relpos": (0, 0.5), "color": COLOURS[5], "linewidth": 0.4}
        for rank, row in enumerate(sorted(range(len(ys)), key=lambda row: ys[row])):
            axes.annotate(
                _legend(printable(names[row])),
                (xs[row], ys[row]),
                (1.03, (rank + 0.5) / len(ys)),
                textcoords="axes fraction",
                verticalalignment="center",
                annotation_clip=False,
                arrowprops=line,
            )
        axes.set(xlabel=x, ylabel=y)
        axes.grid(True)

    return draw


def _legend(label: str) -> str:
    """Shorten a label in its middle; a leading space keeps labels with _ in the legend."""
    if len(label) > _LONGEST_LABEL:
        half = _LONGEST_LABEL // 2
        label = f"{label[:half]}…{label[-half:]}"
    return f" {label}" if label else "_"


def _plain(axis: Any, log: bool) -> None:
    """Format an axis's numbers without math text, which is turned off."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if log:
        low, high = sorted(axis.get_view_interval())
        narrow = low > 0 and high < 100 * low
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=8))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter("{x:.3g}" if log else "{x:,.6g}")
