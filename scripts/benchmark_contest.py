"""The measurements of scripts/benchmark_same_weights.py: both sides in turn, each in a process."""

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import benchmark_ours
import benchmark_peer
import torch
from benchmark_ours import Material, multiply_accumulates, texts_of

from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric
from nmt.text.lines import read_lines

PEER_BATCHES = (32, 64, 128, 256)
BEAMS = {"greedy": 1, "beam 5": 5}
OURS: dict[str, dict[str, Any]] = {
    "ours": {"precision": "fp32"},
    "int8": {"precision": "int8"},
    "fast": {"precision": "int8", "prune": 3.0, "shortlist": 2016},
}
"""Our ways to translate; the first is compared with the peer's in all tables."""
HERE = Path(__file__).parent
Row = dict[str, Any]


class Ran(NamedTuple):
    """What a process left: its wall time, its highest resident set, and what it told."""

    seconds: float
    peak_mib: float
    told: str


class Bench(NamedTuple):
    """What is measured, and with what.

    Attributes:
        material: what both sides read.
        device: cpu or cuda.
        peer: the peer's Python; None without a peer.
        rounds: measurements of each figure.
        updates: of a timed training run.
        model_updates: of the model that translates.
    """

    material: Material
    device: str
    peer: str | None
    rounds: int
    updates: int
    model_updates: int

    @property
    def pythons(self) -> dict[str, str]:
        """The Python of each side."""
        return {"ours": sys.executable} | ({"peer": self.peer} if self.peer else {})

    def call(self, side: str, *words: object) -> Ran:
        """Run scripts/benchmark_SIDE.py with the side's Python."""
        return run(self.pythons[side], HERE / f"benchmark_{side}.py", *words)

    def config(self, template: str, size: int, updates: int) -> Path:
        """Write a config of either side."""
        values = {
            "SIZE": size,
            "UPDATES": updates,
            "EVERY": max(1, updates // 6),
            "PAIRS": self.material.pairs,
            "DEVICE": self.device,
            "GPUS": [0] if self.device == "cuda" else [],
            "FOLDER": self.folder,
        }
        for name, value in values.items():
            template = template.replace(name, str(value))
        path = self.folder / "config.yaml"
        path.write_text(template, encoding="utf-8")
        return path

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self.material.folder


def run(*command: object) -> Ran:
    """Run a process to its end."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        start = time.perf_counter()
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        told = output.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"benchmark: {' '.join(words)} failed:\n{told}")
    return Ran(seconds, usage.ru_maxrss / 1024, told)


def figures(ran: Ran) -> Row:
    """Return the last line of JSON that a process told; warnings may stand around it."""
    found: Row = json.loads([line for line in ran.told.splitlines() if line.startswith("{")][-1])
    return found


def limit(bench: Bench, side: str) -> Row:
    """Measure a side's environment; see `benchmark_peer.limit`."""
    return figures(run(bench.pythons[side], HERE / "benchmark_peer.py", "limit", bench.device))


def training(bench: Bench, size: int) -> Row:
    """Compare the training runs of one hidden size."""
    made = bench.material
    source, target = multiply_accumulates(size, len(made.tokenizer.source))
    per_token = 6 * (source * made.source_tokens / made.target_tokens + target)
    train = {"ours": _train_ours, "peer": _train_peer}
    rounds: dict[str, list[Row]] = {side: [] for side in bench.pythons}
    for _ in range(bench.rounds):
        for side, done in rounds.items():
            most = limit(bench, side)["gflops"]
            rates, ran = train[side](bench, size)
            speed = median(rates[1:])
            share = speed * per_token / most / 1e9
            done.append({"tokens_per_second": speed, "limit_gflops": most, "share": share})
            done[-1]["peak_mib"] = ran.peak_mib
            _tell(f"training {size}", side, done)
    sides = {side: _medians(done) for side, done in rounds.items()}
    row = {"size": size, "flops_per_target_token": per_token, **sides}
    return row | _ratio(row, "ratio", "ours", "peer", "tokens_per_second")


def _train_ours(bench: Bench, size: int) -> tuple[list[float], Ran]:
    """Return the recorded rates in target tokens a second, and the process."""
    folder = bench.folder / "run"
    shutil.rmtree(folder, ignore_errors=True)
    config = bench.config(benchmark_ours.CONFIG, size, bench.updates)
    ran = run(sys.executable, "-m", "nmt", "train", config, "--run", folder)
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as stream:
        rates = [row["tokens_per_second"] for row in csv.DictReader(stream)]
    return [float(rate) for rate in rates if rate], ran


def _train_peer(bench: Bench, size: int) -> tuple[list[float], Ran]:
    """Return the reported rates in target tokens a second, and the process."""
    ran = bench.call("peer", "train", bench.config(benchmark_peer.CONFIG, size, bench.updates))
    return [float(rate) for rate in re.findall(r"/ *([\d.]+) tok/s", ran.told)], ran


def _tell(what: str, side: str, done: list[Row]) -> None:
    print(f"{what}, round {len(done)}, {side}: {done[-1]}", file=sys.stderr)


def _medians(rounds: list[Row]) -> Row:
    numbers = {name: median(one[name] for one in rounds) for name in rounds[0]}
    return numbers | {"rounds": rounds}


def _ratio(row: Row, name: str, ours: str, other: str, figure: str) -> Row:
    """Return one side's figure ÷ another's, under a name, where there are both."""
    sides = [row.get(side, {}) for side in (ours, other)]
    both = all(figure in side for side in sides)
    return {name: sides[0][figure] / sides[1][figure]} if both else {}


def models(bench: Bench, size: int) -> dict[str, Path]:
    """Train a model, or take the one that is there; give the peer the same weights."""
    found = {side: bench.folder / f"model-{size}" for side in OURS}
    config = bench.config(benchmark_ours.CONFIG, size, bench.model_updates)
    precision = "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"  # only to save time
    words = ["train", config, "--run", found["ours"], "--resume", "--training.precision", precision]
    run(sys.executable, "-m", "nmt", *words)
    if bench.peer:
        found["peer"] = bench.folder / f"peer-{size}.pt"
        weights = bench.folder / "weights.pt"
        bench.call("ours", "weights", found["ours"], weights)
        bench.call("peer", "train", bench.config(benchmark_peer.CONFIG, size, 1))
        checkpoint = bench.folder / f"peer-{size}_step_1.pt"
        bench.call("peer", "convert", checkpoint, weights, found["peer"])
    return found


def translation(bench: Bench, size: int, search: str, models: dict[str, Path]) -> Row:
    """Compare how fast the same weights translate, and what they find."""
    rounds: dict[str, list[Row]] = {side: [] for side in models}
    translate = {side: _translate_ours for side in models} | {"peer": _translate_peer}
    for _ in range(bench.rounds):
        for side, done in rounds.items():
            if not done or "refused" not in done[-1]:
                done.append(translate[side](bench, side, models[side], BEAMS[search], done))
                _tell(f"{search} {size}", side, done)
    row: Row = {"size": size, "search": search}
    for side, done in rounds.items():
        row[side] = done[0] if "refused" in done[0] else _medians(done) | _worth(bench, side)
    if search == "greedy" and "peer" in row and row["peer"]["same"] < 0.5:
        sys.exit(f"benchmark: the peer has another network: {row['peer']['same']:.0%} are the same")
    for side in OURS:
        row |= _ratio(row, f"{side}_ratio", side, "peer", "lines_per_second")
    return row | _ratio(row, "int8_gain", "int8", "ours", "lines_per_second")


def _translate_ours(bench: Bench, side: str, model: Path, beam: int, done: list[Row]) -> Row:
    options = {"prune": math.inf} | OURS[side] | {"beam_size": beam}
    if beam == 1:
        options |= {"greedy": True}
        del options["prune"], options["beam_size"]  # of beam search alone
    words = [bench.folder / "lines.de", bench.folder / f"{side}.en", json.dumps(options)]
    ran = bench.call("ours", "translate", model, *words, bench.device)
    told = figures(ran)
    return told if "refused" in told else _speed(bench, ran)


def _translate_peer(bench: Bench, side: str, model: Path, beam: int, done: list[Row]) -> Row:
    """Try every batch size in the first round, and keep to the best one."""
    words = [bench.folder / "lines.pieces", bench.folder / "peer.pieces", beam]
    tried = []
    for batch in [done[0]["batch"]] if done else PEER_BATCHES:
        ran = bench.call(side, "translate", model, *words, batch, bench.device)
        tried.append(_speed(bench, ran) | {"batch": batch})
    return max(tried, key=lambda one: one["lines_per_second"])


def _speed(bench: Bench, ran: Ran) -> Row:
    speed = len(bench.material.lines) / figures(ran)["seconds"]
    return {"lines_per_second": speed, "peak_mib": ran.peak_mib}


def _worth(bench: Bench, side: str) -> Row:
    """Score a side's translations of the test split, and compare all with our fp32 ones."""
    made = bench.material
    first = read(bench.folder / "ours.en")
    if side == "peer":
        found = texts_of(read(bench.folder / "peer.pieces"), made.tokenizer.target)
    else:
        found = read(bench.folder / f"{side}.en")
    texts = dict(zip(made.lines, found, strict=True))
    pairs = [(texts[source], target) for source, target in made.test if source in texts]
    metric = bleu_metric(TargetLanguage("en"))
    score = metric.corpus_score([ours for ours, _ in pairs], [[target for _, target in pairs]])
    same = sum(one == other for one, other in zip(found, first, strict=True)) / len(first)
    return {"bleu": float(score.score), "scored": len(pairs), "same": same} | {
        "signature": str(metric.get_signature())
    }


def read(path: Path) -> list[str]:
    """Return the lines of a file that one of the sides wrote."""
    return list(read_lines(path))


def start(bench: Bench, size: int, models: dict[str, Path]) -> Row:
    """Compare how long the commands take to translate one line, beside importing torch."""
    rounds: dict[str, list[Row]] = {side: [] for side in bench.pythons}
    for kind in ("de", "pieces"):
        lines = read(bench.folder / f"lines.{kind}")
        (bench.folder / f"one.{kind}").write_text(f"{lines[0]}\n", encoding="utf-8")
    ours = [sys.executable, "-m", "nmt", "translate", models["ours"], bench.folder / "one.de"]
    commands: dict[str, list[object]] = {"ours": [*ours, "--device", bench.device]}
    if bench.peer:
        words = [bench.peer, HERE / "benchmark_peer.py", "onmt_translate", "-model", models["peer"]]
        words += ["-src", bench.folder / "one.pieces", "-output", os.devnull]
        commands["peer"] = [*words, "-gpu", 0 if bench.device == "cuda" else -1]
    for _ in range(bench.rounds):
        for side, done in rounds.items():
            torch = run(bench.pythons[side], "-c", "import torch").seconds
            ran = run(*commands[side])
            done.append({"seconds": ran.seconds, "import_seconds": torch})
            done[-1] |= {"times_import": ran.seconds / torch, "peak_mib": ran.peak_mib}
            _tell(f"one line {size}", side, done)
    row = {"size": size, **{side: _medians(done) for side, done in rounds.items()}}
    return row | _ratio(row, "ratio", "ours", "peer", "seconds")
