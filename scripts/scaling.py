#!/usr/bin/env python
"""Measure how time and memory grow with the input, the batches and the size of the model.

Each axis is walked with all else at its base. A point is a process of its own: the default network
with random weights, which writes exactly as many tokens as it reads, on the CPU, called several
times; the median counts.
Memory is the highest resident set above what the process held after a tiny case of the same work.
The exponent is the slope in the log-log plane: 1 where twice as much takes twice as long.

Usage: scripts/scaling.py [--axes NAME …] [--json OUT] [--plot OUT.png] [--quick]
"""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

Row = dict[str, Any]

BASE = {
    "sentences": 128,
    "source length": 24,
    "beam size": 5,
    "batch size": 64,
    "vocabulary": 8000,
    "hidden size": 256,
    "threads": 0,
    "batch tokens": 2048,
    "repeats": 3,
}
AXES: dict[str, dict[str, list[int]]] = {
    "translating": {
        "sentences": [32, 64, 128, 256, 512],
        "source length": [12, 24, 48, 96, 192],
        "beam size": [1, 2, 5, 10, 20],
        "batch size": [4, 16, 64, 128],
        "vocabulary": [2000, 4000, 8000, 16000, 32000],
        "hidden size": [64, 128, 256, 512, 1024],
        "threads": sorted({1, 2, os.cpu_count() or 1}),
    },
    "training": {
        "hidden size": [64, 128, 256, 512, 1024],
        "batch tokens": [256, 512, 1024, 2048, 4096, 8192],
        "vocabulary": [2000, 4000, 8000, 16000, 32000],
    },
}
QUICK = {"sentences": 4, "source length": 12, "beam size": 2, "batch size": 4, "vocabulary": 50}
QUICK |= {"hidden size": 16, "batch tokens": 48, "repeats": 1}
FIGURES = {"translating": ("seconds", "mib"), "training": ("tokens_per_second", "mib")}
NAMES = {"seconds": "seconds", "mib": "memory, MiB", "tokens_per_second": "tokens a second"}


def main() -> None:
    """Walk the axes, print a table of each, write and draw the figures."""
    arguments = parse()
    points: dict[str, Row] = {}
    rows = []
    for work, axes in AXES.items():
        for axis, values in axes.items():
            if not {axis, f"{work}: {axis}"}.isdisjoint(arguments.axes or [axis]):
                rows.append(walk(work, axis, values, arguments.quick, points))
                show(rows[-1])
    if arguments.json:
        arguments.json.write_text(f"{json.dumps(rows, indent=2)}\n", encoding="utf-8")
    if arguments.plot:
        draw(rows, arguments.plot)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [f"{work}: {axis}" for work, axes in AXES.items() for axis in axes]
    known = sorted({axis for axes in AXES.values() for axis in axes}) + names
    parser.add_argument("--axes", nargs="+", metavar="NAME", choices=known, help=", ".join(known))
    parser.add_argument("--json", type=Path, metavar="OUT", help="where to write all figures")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="where to draw them: .png or .svg")
    parser.add_argument("--quick", action="store_true", help="tiny, two points per axis: for tests")
    return parser.parse_args()


def walk(work: str, axis: str, values: list[int], quick: bool, points: dict[str, Row]) -> Row:
    """Measure the points of one axis; one that was measured for another axis is taken from it."""
    base: dict[str, Any] = BASE | (QUICK if quick else {}) | {"work": work}
    if quick:
        values = [1, 2] if axis == "threads" else [base[axis], 2 * base[axis]]
    found = []
    for value in values:
        point = json.dumps(base | {axis: value})
        if point not in points:
            points[point] = measure(point)
            print(f"{work}, {axis} {value:,}: {points[point]}", file=sys.stderr)
        found.append(points[point])
    figures = {name: [one[name] for one in found] for name in found[0]}
    exponents = {name: slope(values, figures[name]) for name in FIGURES[work]}
    return (
        {"work": work, "axis": axis, "base": base, "values": values}
        | figures
        | {"exponents": exponents}
    )


def measure(point: str) -> Row:
    """Measure one point in a process of its own."""
    script = Path(__file__).with_name("scaling_point.py")
    done = subprocess.run([sys.executable, script, point], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"scaling: {point} failed")
    found: Row = json.loads(done.stdout)
    return found


def slope(xs: list[int], ys: list[float]) -> float:
    """Fit y = a · x ** slope by least squares of the logarithms."""
    pairs = [(math.log(x), math.log(y)) for x, y in zip(xs, ys, strict=True)]
    mean_x, mean_y = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in pairs)
    return sum((x - mean_x) * (y - mean_y) for x, y in pairs) / spread if spread else math.nan


def show(row: Row) -> None:
    """Print an axis: its values, and each figure with its exponent."""
    table = [
        [f"{row['work']}: {row['axis']}", *(f"{value:,}" for value in row["values"]), "exponent"]
    ]
    for name, exponent in row["exponents"].items():
        cells = [f"{value:,.3g}" if value < 1000 else f"{value:,.0f}" for value in row[name]]
        table.append([NAMES[name], *cells, f"{exponent:.2f}"])
    width = max(9, *(len(cell) for line in table for cell in line[1:]))
    print()
    for line in table:
        print(line[0].ljust(28), *(cell.rjust(width) for cell in line[1:]))


def draw(rows: list[Row], path: Path) -> None:
    """Draw every axis in a panel: time or speed, and memory."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(5, len(rows))
    lines = -(-len(rows) // columns)
    figure, grid = pyplot.subplots(
        lines, columns, figsize=(3.8 * columns, 3.2 * lines), squeeze=False, layout="constrained"
    )
    for place in grid.flat[len(rows) :]:
        place.axis("off")
    for place, row in zip(grid.flat, rows, strict=False):
        panel(place, row)
    figure.savefig(path, dpi=120)


def panel(left: Any, row: Row) -> None:
    """Draw one axis of the measurement into one panel, in plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    sides = zip((left, left.twinx()), ("tab:blue", "tab:orange"), row["exponents"], strict=True)
    for place, colour, name in sides:
        figures, exponent = row[name], row["exponents"][name]
        place.plot(row["values"], figures, marker="o", color=colour)
        place.set(xscale="log", yscale="log")
        # At least a decade high: what hardly changes looks so.
        middle = math.sqrt(min(figures) * max(figures))
        reach = max(10**0.5, 1.2 * math.sqrt(max(figures) / min(figures)))
        place.set_ylim(middle / reach, middle * reach)
        place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        place.yaxis.set_minor_locator(NullLocator())
        place.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        place.tick_params(axis="y", labelcolor=colour, labelsize="small")
        place.set_ylabel(f"{NAMES[name]}  $\\propto x^{{{exponent:.2f}}}$", color=colour)
    left.set_title(f"{row['work']}: {row['axis']}")
    left.set_xticks(row["values"], [f"{value:,}" for value in row["values"]], fontsize="small")
    left.xaxis.set_minor_locator(NullLocator())


if __name__ == "__main__":
    main()
