#!/usr/bin/env python
"""Train variants of a recipe, and tabulate their scores.

A table of rows is a YAML file: a name and the keys by which the row differs from the recipe.
Every row is trained with every seed, its best model is scored with the recipe's own search
settings, and the row's mean and standard deviation stand in a Markdown table. Finished rows are
kept under --out, and a repeated call continues. Arguments after the options are config keys for
all rows, such as --data.corpus files.
"""

import argparse
import concurrent.futures
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from nmt.config import load_config
from nmt.errors import NmtError
from nmt.report.runs import count_parameters

SPLITS = ("validation", "test")
Job = concurrent.futures.Future[dict[str, float]]


def nmt(*words: str, threads: int) -> None:
    """Run a command; its output is only shown where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "nmt", *words],
        env={"OMP_NUM_THREADS": str(threads)} | os.environ,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"ablation: nmt {' '.join(words)} failed:\n{done.stderr[-2000:]}")


def measure(run: Path, config: Path, keys: list[str], seed: int, threads: int) -> dict[str, float]:
    """Train one row with one seed, and score it; or find that done.

    Returns:
        BLEU of each split, `parameters` and `minutes` of training, where it was not interrupted.
    """
    kept = run / "ablation.json"
    recipe = yaml.safe_load(config.read_text(encoding="utf-8"))
    call = {"config": recipe, "keys": keys, "seed": seed}
    if kept.exists():
        stored = json.loads(kept.read_bytes())
        if stored["call"] != call:
            sys.exit(f"ablation: {run} is of another recipe or other keys; choose another --out")
        known: dict[str, float] = stored["found"]
        return known
    start, stopped = time.monotonic(), run.exists()
    words = ["train", str(config), "--run", str(run), "--resume", "--seed", str(seed), *keys]
    nmt(*words, threads=threads)
    weights = run / "model" / "weights.safetensors"
    found: dict[str, float] = {"parameters": count_parameters(weights)}
    if not stopped:
        found["minutes"] = (time.monotonic() - start) / 60
    for split in SPLITS:
        out = run / f"{split}.json"
        nmt("evaluate", str(run), "--split", split, "--json", str(out), threads=threads)
        found[split] = json.loads(out.read_bytes())["bleu"]["score"]
    kept.write_text(json.dumps({"call": call, "found": found}))
    return found


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Write the rows as Markdown: each split's mean ± standard deviation over seeds.

    A row with fewer seeds than another says so. Minutes are the mean of uninterrupted training
    runs; unknown if all were interrupted.
    """
    lines = [
        "| | validation BLEU | test BLEU | parameters | minutes |",
        "|---|---|---|---|---|",
    ]
    seeds = max(map(len, rows.values()), default=0)
    for name, found in rows.items():
        cells = [_spread([one[split] for one in found]) for split in SPLITS]
        times = [one["minutes"] for one in found if "minutes" in one]
        minutes = f"{statistics.mean(times):.0f}" if times else "?"
        size = found[0]["parameters"] / 1e6
        if len(found) < seeds:
            name = f"{name}, {len(found)} of {seeds} seeds"
        lines.append(f"| {name} | {' | '.join(cells)} | {size:.1f} M | {minutes} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"


def main() -> None:
    """Train what is not there yet, and print the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="the recipe")
    parser.add_argument("rows", type=Path, help="YAML: name → keys that differ")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--jobs", type=int, default=1, help="parallel training runs")
    arguments, keys = parser.parse_known_args()
    if arguments.jobs < 1:
        parser.error(f"--jobs: {arguments.jobs} is fewer than 1")
    rows = read_rows(arguments.rows)
    threads = max(1, (os.cpu_count() or 1) // arguments.jobs)
    slugs = {name: re.sub(r"\W+", "-", name).strip("-").lower() for name in rows}
    for name, slug in slugs.items():
        if list(slugs.values()).count(slug) > 1:
            sys.exit(f"ablation: another row would have the folder {slug} of the row {name!r}, too")
    jobs = []
    for name, differing in rows.items():
        words = [
            word for key, value in (differing or {}).items() for word in (f"--{key}", _text(value))
        ]
        try:
            load_config(arguments.config, [*keys, *words])
        except NmtError as error:
            sys.exit(f"ablation: {name}: {error}")
        for seed in arguments.seeds:
            run = arguments.out / f"{slugs[name]}-{seed}"
            jobs.append((name, (run, arguments.config, [*keys, *words], seed, threads)))
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        try:
            failed = tabulate([(name, pool.submit(measure, *job)) for name, job in jobs])
        except KeyboardInterrupt:  # what trains now has been interrupted, too
            pool.shutdown(cancel_futures=True)
            sys.exit(130)
    sys.exit(1 if failed else 0)


def read_rows(path: Path) -> dict[str, dict[str, Any] | None]:
    """Read the names of rows, and the keys by which each differs."""
    try:
        rows = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        sys.exit(f"ablation: cannot read the rows {path}: {' '.join(str(error).split())}")
    if not isinstance(rows, dict) or not all(isinstance(row, dict | None) for row in rows.values()):
        sys.exit(f"ablation: {path}: every row is a name and the keys that differ")
    return rows


def tabulate(waiting: list[tuple[str, Job]]) -> bool:
    """Print the table whenever a training has come to its end; return whether one has failed."""
    found: dict[str, list[dict[str, float]]] = {}
    failed = False
    for name, job in waiting:
        try:
            result = job.result()
        except SystemExit as error:  # the others go on
            print(error, file=sys.stderr, flush=True)
            failed = True
        else:
            found.setdefault(name, []).append(result)
            print(table(found), end="\n\n", flush=True)
    return failed


def _text(value: object) -> str:
    return "null" if value is None else str(value)


if __name__ == "__main__":
    main()
