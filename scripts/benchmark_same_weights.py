#!/usr/bin/env python
"""Measure training and translating with the same weights in OpenNMT-py, where that is installed.

Both systems have the same network, the same tokens and the same batch size: see CONFIG in
scripts/benchmark_ours.py and scripts/benchmark_peer.py. Training is the real command of each. To
translate, the peer gets our trained weights; we go from raw text to raw text, it from pieces to
pieces, at the best of several batch sizes. It leaves a sentence once its best hypothesis has ended,
we once no other can be better: so beam search does not find quite the same. `fast` is int8 with
pruning and a shortlist (OURS in scripts/benchmark_contest.py). Every figure comes from
a process of its own; the sides take turns, and medians of the rounds are told. Memory is a
process's highest resident set: a GPU's is not in it.

The limit is the rate of a large fp32 matrix product, measured before each training in the same
environment. A training's share of it is what its real tokens cost (6 × the matrices' sizes: 2 the
forward pass, 4 the backward) ÷ the limit.

Usage: scripts/benchmark_same_weights.py [--data FOLDER] [--sizes 256 512] [--peer PYTHON] …
scripts/benchmark_peer.py says how to make the peer's environment.
"""

import argparse
import json
import os
import platform
from pathlib import Path

from benchmark_contest import BEAMS, Bench, Row, limit, models, start, training, translation
from benchmark_ours import prepare

SIDES = {"ours": "ours", "int8": "ours int8", "fast": "ours fast", "peer": "peer"}


def main() -> None:
    """Measure, print the tables, and write the figures."""
    arguments = parse()
    folder = arguments.work.resolve()
    material = prepare(arguments.data, folder, arguments.lines)
    counts = (arguments.rounds, arguments.updates, arguments.model_updates)
    bench = Bench(material, arguments.device, arguments.peer, *counts)
    measured = {side: limit(bench, side) for side in bench.pythons}
    bench = bench._replace(device=measured["ours"]["device"])
    machine = {"processor": processor(), "processors": os.cpu_count(), **measured}
    made = vars(material) | {
        "vocabulary": len(material.tokenizer.source),
        "lines": len(material.lines),
    }
    settings = vars(arguments) | {name: made[name] for name in MATERIAL}
    report: Row = {"machine": machine, "settings": settings}
    for line in describe(report):
        print(line)
    report["training"] = [training(bench, size) for size in arguments.sizes]
    show("training: target tokens a second", training_table(report["training"]))
    kept = {size: models(bench, size) for size in arguments.sizes}
    report["translation"] = [
        translation(bench, size, search, kept[size]) for size in kept for search in BEAMS
    ]
    scored = report["translation"][0]["ours"]
    bleu = f"BLEU of {scored['scored']:,} lines of the test split, {scored['signature']}"
    title = f"translating {len(material.lines):,} lines; {bleu}"
    show(title, translation_table(report["translation"]))
    report["start"] = [start(bench, size, kept[size]) for size in kept]
    show("one line, from the command's start to its end", start_table(report["start"]))
    if arguments.json:
        text = json.dumps(report, indent=2, default=str)
        arguments.json.write_text(f"{text}\n", encoding="utf-8")


MATERIAL = ("name", "pairs", "source_tokens", "target_tokens", "vocabulary", "lines")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    given = os.environ.get("NMT_MULTI30K")
    add("--data", type=Path, default=given and Path(given), help="folder with the Multi30k files")
    add("--sizes", type=int, nargs="+", default=[256, 512], help="hidden sizes")
    add("--rounds", type=int, default=3, help="measurements of each figure")
    add("--updates", type=int, default=60, help="of a training that is timed")
    add("--model-updates", type=int, default=1000, help="of the model that translates")
    add("--lines", type=int, default=4000, help="distinct lines to translate")
    add("--peer", metavar="PYTHON", help="the Python of an environment with OpenNMT-py")
    add("--work", type=Path, default=Path("runs/benchmark"), help="folder for files and models")
    add("--json", type=Path, metavar="OUT", help="where to write all figures")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    return parser.parse_args()


def processor() -> str:
    """Name the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def describe(report: Row) -> list[str]:
    """Say what is measured, and on what."""
    machine, settings = report["machine"], report["settings"]
    lines = [f"machine  {machine['processors']} × {machine['processor']}"]
    for side in filter(machine.get, SIDES):
        told = machine[side]
        name = f"{side:7}  torch {told['torch']}, {told['threads']} threads, {told['name']}"
        lines.append(f"{name}, limit {told['gflops']:.0f} GFLOP/s")
    tokens = f"{settings['source_tokens']:,} + {settings['target_tokens']:,} tokens"
    corpus = f"{settings['name']}, {settings['pairs']:,} pairs of {tokens}"
    lines.append(f"corpus   {corpus}, vocabulary {settings['vocabulary']:,}")
    return lines


def training_table(rows: list[Row]) -> list[list[str]]:
    """Lay out the speed of training, and its memory."""
    header = ["hidden", "", "tokens/s", "limit GFLOP/s", "share of limit", "peak MiB", "ours/peer"]
    table = [header]
    for row in rows:
        for side in filter(row.get, SIDES):
            told = row[side]
            cells = [f"{told['tokens_per_second']:,.0f}", f"{told['limit_gflops']:.0f}"]
            cells += [f"{told['share']:.1%}", f"{told['peak_mib']:,.0f}"]
            ratio = f"{row['ratio']:.2f}" if side == "ours" and "ratio" in row else ""
            table.append([str(row["size"]), SIDES[side], *cells, ratio])
    return table


def translation_table(rows: list[Row]) -> list[list[str]]:
    """Lay out the speed of translating, its memory, and what the translations are worth."""
    header = ["hidden", "search", "", "lines/s", "/peer", "batch", "peak MiB", "BLEU", "same"]
    table = [header]
    for row in rows:
        for side in filter(row.get, SIDES):
            told = row[side]
            cells = [str(row["size"]), row["search"], SIDES[side]]
            if "refused" in told:
                table.append([*cells, "not there", *[""] * 5])
                continue
            ratio = row.get(f"{side}_ratio")
            cells += [f"{told['lines_per_second']:,.1f}", f"{ratio:.2f}" if ratio else ""]
            cells += [f"{told['batch']:.0f}" if side == "peer" else "", f"{told['peak_mib']:,.0f}"]
            table.append([*cells, f"{told['bleu']:.2f}", f"{told['same']:.1%}"])
    return table


def start_table(rows: list[Row]) -> list[list[str]]:
    """Lay out how long the first line takes."""
    table = [["hidden", "", "seconds", "import torch", "times import", "peak MiB", "ours/peer"]]
    for row in rows:
        for side in filter(row.get, SIDES):
            told = row[side]
            cells = [f"{told[name]:.2f}" for name in ("seconds", "import_seconds", "times_import")]
            ratio = f"{row['ratio']:.2f}" if side == "ours" and "ratio" in row else ""
            table.append([str(row["size"]), SIDES[side], *cells, f"{told['peak_mib']:,.0f}", ratio])
    return table


def show(title: str, table: list[list[str]]) -> None:
    """Print a table, columns aligned, without those that are empty."""
    columns = [column for column in zip(*table, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    print(f"\n{title}")
    for row in zip(*columns, strict=True):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
