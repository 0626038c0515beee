#!/usr/bin/env python
"""Check nmt on a GPU: tests, speed of training and translating, agreement with the CPU.

Four parts, meant for 8 minutes on one H100: the tests of tests/test_gpu.py; target tokens a second
of training the network of configs/multi30k.yaml on the built-in corpus, in fp32 and bf16; lines a
second of translating with it; its scores beside the CPU's. A plain torch loop over the same
layers, without masks, schedules, logging or search, shows how much of the device is used. One table
on standard output, one JSON file.

Usage: scripts/gpu_check.py [--device cuda] [--json gpu_check.json]     (--device cpu: in small)
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import nmt

# isort: split
import torch
from torch import Tensor, nn

from nmt.data.phrases import read_split

ROOT = Path(__file__).parent.parent
Row = dict[str, Any]


class Sizes(NamedTuple):
    """How much is measured."""

    hidden: int
    vocabulary: int
    batch_tokens: int
    updates: int
    lines: int
    words: int  # tokens of a sentence in the plain loop
    seconds: int  # for the tests


SIZES = {
    "cuda": Sizes(256, 2000, 8192, 300, 2000, 12, 270),
    "cpu": Sizes(32, 300, 256, 12, 20, 12, 60),
}


class Plain(nn.Module):
    """The layers of the recipe's network, and nothing else."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        hidden = sizes.hidden
        self.embedding = nn.Embedding(sizes.vocabulary, 256)
        self.encoder = nn.LSTM(256, hidden // 2, 2, batch_first=True, bidirectional=True)
        self.decoder = nn.LSTM(256, hidden, 2, batch_first=True)
        self.projection = nn.Linear(hidden, sizes.vocabulary)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoder's initial state, `(2, batch, hidden)` each."""
        _, states = self.encoder(self.embedding(source))
        return tuple(torch.cat([part[0::2], part[1::2]], dim=2) for part in states)  # type: ignore[return-value]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the logits of each next token, `(batch, time, vocabulary)`."""
        outputs, _ = self.decoder(self.embedding(target), self.encode(source))
        logits: Tensor = self.projection(outputs)
        return logits


def main() -> None:
    """Run the parts, print the table, write the figures, and exit with 1 if a test failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=list(SIZES), default="cuda")
    parser.add_argument("--json", type=Path, default=Path("gpu_check.json"))
    arguments = parser.parse_args()
    device, sizes = arguments.device, SIZES[arguments.device]
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu_check: this machine has no GPU; --device cpu runs the check in small")
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    started, rows = time.perf_counter(), [tests(sizes)]
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "bf16"):
            rows.append(training(device, sizes, precision, Path(folder, precision)))
            rows.append(plain_training(device, sizes, precision))
        for precision in ("fp32", "bf16"):
            for beam in (1, 5):
                rows.append(translating(device, sizes, precision, beam, Path(folder, "fp32")))
        rows.append(plain_greedy(device, sizes))
        rows.append(agreement(device, sizes, Path(folder, "fp32")))
    report = {"device": name, "torch": torch.__version__, "sizes": sizes._asdict(), "rows": rows}
    report["seconds"] = time.perf_counter() - started
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{name}, torch {torch.__version__}, {report['seconds']:.0f} s\n")
    print("| part | figure | peak MiB |\n|---|---|---|")
    for row in rows:
        peak = f"{row['peak_mib']:,.0f}" if "peak_mib" in row else ""
        print(f"| {row['part']} | {row['value']:,.6g} {row['unit']} | {peak} |")
    sys.exit(rows[0]["failed"])


def tests(sizes: Sizes) -> Row:
    """Run the tests that need a GPU; without one they are skipped."""
    words = [sys.executable, "-m", "pytest", "-o", "addopts=", "tests/test_gpu.py"]
    try:
        done = subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, timeout=sizes.seconds
        )
        counts = {
            word: int(n)
            for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
        }
        print(done.stdout, done.stderr, file=sys.stderr)
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        counts, failed = {}, True
    passed = counts.get("passed", 0)
    row = {"part": "tests passed", "value": passed, "unit": f"of {sum(counts.values())}"}
    return row | {"failed": failed, "counts": counts}


def measured(device: str, part: str, unit: str, work: Callable[[], float]) -> Row:
    """Return a figure, with the device's peak memory."""
    if device == "cpu":
        return {"part": part, "value": work(), "unit": unit}
    torch.cuda.reset_peak_memory_stats()
    value = work()
    peak = torch.cuda.max_memory_allocated() / 2**20
    return {"part": part, "value": value, "unit": unit, "peak_mib": peak}


def training(device: str, sizes: Sizes, precision: str, run: Path) -> Row:
    """Train the recipe's network on the built-in corpus."""
    settings = {
        "data.corpus": "builtin:phrases",
        "tokenizer.vocabulary_size": sizes.vocabulary,
        "model.hidden_size": sizes.hidden,
        "training.batch_tokens": sizes.batch_tokens,
        "training.max_updates": sizes.updates,
        "training.warmup_updates": sizes.updates // 3,
        "training.validate_every": sizes.updates,
        "training.log_every": max(1, sizes.updates // 6),
        "training.precision": precision,
        "training.device": device,
    }
    config = nmt.load_config(ROOT / "configs" / "multi30k.yaml", settings)

    def work() -> float:
        nmt.train(config, run=run)
        with open(run / "metrics.csv", newline="", encoding="utf-8") as stream:
            rates = [row["tokens_per_second"] for row in csv.DictReader(stream)]
        return median([float(rate) for rate in rates if rate][1:])

    return measured(device, f"training, {precision}", "target tokens/s", work)


def plain_training(device: str, sizes: Sizes, precision: str) -> Row:
    """Train the plain network on random tokens, as many a batch."""
    model = Plain(sizes).to(device)
    optimizer = torch.optim.Adam(model.parameters())
    shape = (sizes.batch_tokens // sizes.words, sizes.words + 1)
    source, target = (torch.randint(sizes.vocabulary, shape, device=device) for _ in range(2))

    def update() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(source[:, 1:], target[:, :-1])
        nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), target[:, 1:].flatten()
        ).backward()
        optimizer.step()
        optimizer.zero_grad()

    def work() -> float:
        seconds = timed(device, update, sizes.updates // 3)
        return shape[0] * sizes.words / seconds

    return measured(device, f"training, {precision}, plain torch", "target tokens/s", work)


def timed(device: str, work: Callable[[], object], times: int) -> float:
    """Return the seconds of one call, after two that are not counted."""
    for number in range(times + 2):
        if number == 2:
            finish(device)
            start = time.perf_counter()
        work()
    finish(device)
    return (time.perf_counter() - start) / times


def finish(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def sources(sizes: Sizes) -> list[str]:
    """Return distinct lines to translate."""
    return [source for source, _ in read_split("train")[: sizes.lines]]


def translating(device: str, sizes: Sizes, precision: str, beam: int, run: Path) -> Row:
    """Translate with the trained model."""
    translator = nmt.load(run, device=device, precision=precision)
    lines, search = sources(sizes), {"greedy": True} if beam == 1 else {"beam_size": beam}
    translator.translate(lines[:64], **search)

    def work() -> float:
        start = time.perf_counter()
        translator.translate(lines, **search)
        return len(lines) / (time.perf_counter() - start)

    name = "greedy" if beam == 1 else f"beam {beam}"
    return measured(device, f"translating, {precision}, {name}", "lines/s", work)


@torch.inference_mode()
def plain_greedy(device: str, sizes: Sizes) -> Row:
    """Write as many tokens as the source has, with the plain network, 256 lines a batch."""
    model = Plain(sizes).to(device).eval()
    source = torch.randint(sizes.vocabulary, (256, sizes.words), device=device)

    def batch() -> None:
        state, tokens = model.encode(source), source[:, :1]
        for _ in range(sizes.words):
            outputs, state = model.decoder(model.embedding(tokens), state)
            tokens = model.projection(outputs).argmax(dim=2)

    work = lambda: len(source) / timed(device, batch, 5)  # noqa: E731
    return measured(device, "translating, fp32, greedy, plain torch", "lines/s", work)


def agreement(device: str, sizes: Sizes, run: Path) -> Row:
    """Compare scores of beam search in fp32 with the CPU's."""
    lines = sources(sizes)[:200]
    scores = [
        [one.score for one in nmt.load(run, device=each, precision="fp32").translate(lines)]
        for each in ("cpu", device)
    ]
    largest = max(abs(ours - other) for ours, other in zip(*scores, strict=True))
    return {
        "part": "largest difference of a score from the CPU's",
        "value": largest,
        "unit": "nats",
    }


if __name__ == "__main__":
    main()
