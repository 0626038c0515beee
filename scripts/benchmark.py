#!/usr/bin/env python
"""Measure quality against speed: models, engines and searches in one table and one picture.

Every figure comes from a process of its own with one thread; the rows take turns, and the table has
the medians of the rounds. Other work on the machine disturbs lines a second, and lines a CPU second
less. Loading and warming up are left out. BLEU is of the lines that have a reference.

Usage: scripts/benchmark.py NAME=MODEL … --source FILE --reference FILE [--lines N] [--rounds N]
           [--peer NAME=ENGINE,PYTHON,MODEL …] [--json OUT] [--plot OUT.png]

    --peer "CTranslate2 int8, Transformer=ctranslate2,PEER/bin/python,FOLDER"

ENGINE is marian, ctranslate2 or opennmt; scripts/benchmark_engines.py says what MODEL is. A peer's
model must have been trained on the pieces of the first MODEL's tokenizer, and BLEU is that of its
target language.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmark_ours import texts_of

from nmt.bundle import load_bundle
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric
from nmt.text.lines import read_lines

INT8: dict[str, Any] = {"precision": "int8"}
OURS: dict[str, dict[str, Any]] = {
    "fp32": {"precision": "fp32"},
    "int8": INT8,
    "int8, shortlist": INT8 | {"shortlist": 2000},
    "int8, shortlist, prune 3": INT8 | {"shortlist": 2000, "prune": 3.0},
    "int8, shortlist, prune 1": INT8 | {"shortlist": 2000, "prune": 1.0},
}
"""Our engines by name; greedy search runs those that do not prune."""
SEARCHES = {"greedy": 1, "beam 5": 5}
PEER_BATCH = 64


class Row(NamedTuple):
    """One row of the table.

    Attributes:
        system: name of the model.
        engine: how it runs.
        search: greedy or beam 5.
        command: of one measurement, without the files and the settings.
        settings: see scripts/benchmark_engines.py.
        pieces: whether it reads and writes pieces, as peers do.
    """

    system: str
    engine: str
    search: str
    command: list[str]
    settings: dict[str, Any]
    pieces: bool


def main() -> None:
    """Measure, print the table, and write the figures and the picture."""
    arguments = parse()
    bundle = load_bundle(arguments.models[0].partition("=")[2])
    source_side, target_side = bundle.tokenizer.source, bundle.tokenizer.target
    metric = bleu_metric(TargetLanguage.of(bundle.config.data))
    references = list(read_lines(arguments.reference))
    source = list(read_lines(arguments.source))
    lines = [source[row % len(source)] for row in range(arguments.lines or len(source))]
    references = references[: len(lines)]
    rows = rows_of(arguments)
    rounds: list[list[dict[str, float]]] = [[] for _ in rows]
    table = []
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "text"), lines)
        pieces = [source_side.pieces(ids) for ids in source_side.encode(lines)]
        write(Path(folder, "pieces"), [" ".join(row) for row in pieces])
        for number in range(arguments.rounds):
            for row, done in zip(rows, rounds, strict=True):
                done.append(measure(row, Path(folder)))
                names = f"{row.system}, {row.engine}, {row.search}"
                print(f"round {number + 1}: {names}: {done[-1]}", file=sys.stderr)
        for row, done in zip(rows, rounds, strict=True):
            found = list(read_lines(output(Path(folder), row)))
            texts = texts_of(found, target_side) if row.pieces else found
            score = metric.corpus_score(texts[: len(references)], [references])
            middle = {name: median(one[name] for one in done) for name in done[0]}
            table.append(
                {
                    "system": row.system,
                    "engine": row.engine,
                    "search": row.search,
                    "bleu": score.score,
                    "lines_per_second": len(lines) / middle["wall"],
                    "lines_per_cpu_second": len(lines) / middle["cpu"],
                    "peak_mib": middle["peak_mib"],
                    "rounds": done,
                }
            )
    show(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
    if arguments.plot:
        draw(table, arguments.plot)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("models", nargs="+", metavar="NAME=MODEL", help="run or bundle folders")
    add("--source", type=Path, required=True, help="lines to translate")
    add("--reference", type=Path, required=True, help="translations of the first of them")
    add("--lines", type=int, help="lines to time: the source, repeated or cut")
    add("--rounds", type=int, default=3)
    add("--engines", nargs="+", default=list(OURS), choices=list(OURS), metavar="ENGINE")
    add("--peer", nargs="+", default=[], metavar="NAME=ENGINE,PYTHON,MODEL")
    add("--json", type=Path, metavar="OUT", help="where to write all figures")
    add("--plot", type=Path, metavar="OUT", help="where to draw BLEU over lines a CPU second")
    arguments = parser.parse_args()
    named = [one.partition("=") for one in (*arguments.models, *arguments.peer)]
    if not all(equals for _, equals, _ in named) or len({name for name, *_ in named}) < len(named):
        parser.error("give each model and each peer as NAME=…, with another NAME each")
    if any(peer.partition("=")[2].count(",") != 2 for peer in arguments.peer):
        parser.error("--peer: give NAME=ENGINE,PYTHON,MODEL")
    return arguments


def rows_of(arguments: argparse.Namespace) -> list[Row]:
    """Return what is measured, in the order of the table."""
    script = str(Path(__file__).with_name("benchmark_engines.py"))
    rows = []
    for search, beam in SEARCHES.items():
        for named in arguments.models:
            name, _, model = named.partition("=")
            for engine in arguments.engines:
                settings = OURS[engine] | ({"greedy": True} if beam == 1 else {"beam_size": beam})
                if beam == 1 and "prune" in settings:
                    continue
                command = [sys.executable, script, "nmt", model]
                rows.append(Row(name, engine, search, command, settings, False))
        for named in arguments.peer:
            name, _, rest = named.partition("=")
            engine, python, model = rest.split(",")
            settings = {"beam_size": beam, "batch_size": PEER_BATCH}
            rows.append(Row(name, engine, search, [python, script, engine, model], settings, True))
    return rows


def output(folder: Path, row: Row) -> Path:
    """Return the file of a row's translations."""
    return folder / f"{row.system}-{row.engine}-{row.search}".replace("/", "-")


def measure(row: Row, folder: Path) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    source = folder / ("pieces" if row.pieces else "text")
    words = [*row.command, str(source), str(output(folder, row)), json.dumps(row.settings)]
    alone = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(words, env=os.environ | alone, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"benchmark: {' '.join(words)} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def write(path: Path, lines: list[str]) -> None:
    """Write a file of lines."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def show(table: list[dict[str, Any]]) -> None:
    """Print the table in Markdown."""
    print("| search | system | engine | BLEU | lines/CPU s | lines/s | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for row in table:
        speed = f"{row['lines_per_cpu_second']:,.0f} | {row['lines_per_second']:,.0f}"
        names = f"{row['search']} | {row['system']} | {row['engine']}"
        print(f"| {names} | {row['bleu']:.2f} | {speed} | {row['peak_mib']:,.0f} |")


def draw(table: list[dict[str, Any]], path: Path) -> None:
    """Draw BLEU over lines a CPU second: a curve for each system and search."""
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(9, 6), layout="constrained")).add_subplot()
    systems = list(dict.fromkeys(row["system"] for row in table))
    for search, marker in zip(SEARCHES, "ov", strict=True):
        for number, system in enumerate(systems):
            points = [row for row in table if (row["system"], row["search"]) == (system, search)]
            points.sort(key=lambda row: row["lines_per_cpu_second"])
            across = [row["lines_per_cpu_second"] for row in points]
            up = [row["bleu"] for row in points]
            axes.plot(across, up, f"{marker}-", color=f"C{number}", label=f"{system}, {search}")
            for place, (row, x, y) in enumerate(zip(points, across, up, strict=True)):
                above = {"xytext": (0, 6), "rotation": 35}
                below = {"xytext": (0, -6), "rotation": -35, "verticalalignment": "top"}
                style = below if place % 2 else above
                axes.annotate(
                    row["engine"], (x, y), textcoords="offset points", fontsize=7, **style
                )
    axes.set_xscale("log")
    axes.margins(0.12)
    axes.set_xlabel("lines a CPU second")
    axes.set_ylabel("BLEU")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=len(systems), fontsize=8)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
