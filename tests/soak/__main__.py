"""Attack the product for at most so many minutes, and print a table of what happened."""

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

from nmt.data.phrases import read_split
from tests.conftest import write_pairs
from tests.soak import configs, disks, files, kills, lines, together
from tests.soak.kinds import KINDS, World, nmt

CONFIG = """
data: {{source_language: de, target_language: en, cache: {folder}/cache,
       splits: {{train: {folder}/train, validation: {folder}/val, test: {folder}/test}}}}
tokenizer: {{vocabulary_size: 300}}
model: {{layers: 1, embedding_size: 16, hidden_size: 32, dropout: 0.2}}
training: {{max_updates: 30, warmup_updates: 5, batch_tokens: 256, learning_rate: 0.01,
           validate_every: 10, log_every: 5}}
decoding: {{beam_size: 3}}
"""
_ATTACKS = (
    configs,
    disks,
    files,
    kills,
    lines,
    together,
)  # imported for the kinds that they register


def make_world(folder: Path, seed: int) -> World:
    """Train the model that is attacked."""
    for name, split, number in [
        ("train", "train", 400),
        ("val", "validation", 20),
        ("test",) * 2 + (20,),
    ]:
        write_pairs(folder / name, read_split(split)[:number])
    config = folder / "tiny.yaml"
    config.write_text(CONFIG.format(folder=folder))
    code, _, err = nmt("train", config, "--run", folder / "run")
    if code:
        sys.exit(err)
    return World(folder, config, folder / "run", seed)


def main() -> None:
    """Run every kind, or those that are named."""
    parser = argparse.ArgumentParser(prog="scripts/soak.sh", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=float, default=1, help="times the goal of each kind")
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = [one for one in KINDS if arguments.only in one.name]
    seconds, shares = arguments.minutes * 55, sum(one.share for one in chosen)
    with tempfile.TemporaryDirectory(prefix="nmt-soak-") as name:
        world = make_world(Path(name), arguments.seed)
        print(f"{'kind':42} {'cases':>8} {'goal':>8} {'faults':>7} {'seconds':>8}", flush=True)
        for one in chosen:
            place = Path(name, "here")
            place.mkdir()
            goal = max(1, round(one.goal * arguments.cases))
            here = World(place, world.config, world.run, arguments.seed)
            one.run(here, goal, seconds * one.share / shares)
            seconds, shares = seconds - one.seconds, shares - one.share
            row = f"{one.name:42} {one.cases:8,} {goal:8,} {len(one.faults):7,} {one.seconds:8.0f}"
            print(row, flush=True)
            place.rename(Path(name, f"done-{len(os.listdir(name))}"))
    logging.shutdown()
    for one in chosen:
        for fault in one.faults[:20]:
            print(f"{one.name}: {fault}")
    short = [one.name for one in chosen if one.cases < round(one.goal * arguments.cases)]
    if short:
        print(f"not done in time: {', '.join(short)}")
    sys.exit(bool(short or any(one.faults for one in chosen)))


if __name__ == "__main__":
    main()
