#!/usr/bin/env python
"""Kill a training run at random moments, resume it each time, and compare with one never killed.

    .venv/bin/python scripts/kill_and_resume.py [--kills 20] [--seed 1] [--KEY VALUE …]

The run is small and covers every source of randomness and state: dropout, several layers,
accumulation, loader workers, patience. Every kill is a `kill -9` of the whole process group at a
moment drawn between a checkpoint and a little after, so that it strikes while batches are computed,
models validated and checkpoints written. Weights and validation history are compared. Any config
key may follow, such as --training.devices 2, or --training.checkpoint_every null
--training.validate_every 6, with which every checkpoint is written at a validation.
"""

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

CONFIG = """
data: {source_language: de, target_language: en, corpus: "builtin:phrases",
       splits: {train: train, validation: validation, test: test, long: long}}
tokenizer: {vocabulary_size: 500}
model: {layers: 2, embedding_size: 32, hidden_size: 64, dropout: 0.3}
training: {max_updates: 240, batch_tokens: 512, accumulate: 2, workers: 1, warmup_updates: 20,
           monitor: loss, patience: 50, validate_every: 80, checkpoint_every: 7, log_every: 10}
"""


def start(config: Path, run: Path, words: list[str]) -> subprocess.Popen[str]:
    """Start or resume the run, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "nmt", "train", str(config), "--run", str(run), "--resume", *words],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a run to end well."""
    _, output = process.communicate()
    if process.returncode != 0:
        sys.exit(f"nmt train failed:\n{output}")


def newest(run: Path) -> Path | None:
    """Return the newest checkpoint."""
    return max((run / "checkpoints").glob("update-*.ckpt"), default=None)


def kill_somewhere(process: subprocess.Popen[str], run: Path, wait: float) -> bool:
    """Kill a while after the first checkpoint that it writes; False where it ended before."""
    before = newest(run)
    while newest(run) == before:
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    time.sleep(wait)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return True


def history(run: Path) -> list[dict[str, str]]:
    """Return the rows of a run's metrics, without speed."""
    with open(run / "metrics.csv", newline="", encoding="utf-8") as stream:
        return [row | {"tokens_per_second": ""} for row in csv.DictReader(stream)]


def state(run: Path) -> dict[str, torch.Tensor]:
    """Return the last weights of a finished run."""
    path = newest(run)
    assert path is not None
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["run"]["finished"], path
    weights: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return weights


def main() -> None:
    """Run, kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments, words = parser.parse_known_args()
    draw = random.Random(arguments.seed).uniform
    with tempfile.TemporaryDirectory() as folder:
        config, whole, killed = (Path(folder, name) for name in ("c.yaml", "whole", "killed"))
        config.write_text(CONFIG)
        finish(start(config, whole, words))
        kills = 0
        while kills < arguments.kills:
            before = newest(killed)
            process = start(config, killed, words)
            if not kill_somewhere(process, killed, draw(0, 0.6)):
                finish(process)
                sys.exit(f"the run ended after {kills} kills: raise --training.max_updates")
            kills += 1
            after = newest(killed)
            print(f"kill {kills}: from {before and before.stem} to {after and after.stem}")
        finish(start(config, killed, words))
        expected, found = state(whole), state(killed)
        if history(whole) != history(killed):
            sys.exit(f"after {kills} kills the rows of metrics.csv differ")
    different = [name for name in expected if not torch.equal(expected[name], found[name])]
    if different:
        sys.exit(f"after {kills} kills these weights differ: {', '.join(different)}")
    print(
        f"after {kills} kills all {len(expected)} weight tensors are equal bit for bit, "
        "and so is the history"
    )


if __name__ == "__main__":
    main()
