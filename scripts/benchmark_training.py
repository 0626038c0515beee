#!/usr/bin/env python
"""Measure the speed of training beside Marian's: the same corpus, pieces and sizes, on one thread.

The two take turns, each for some updates in fp32. Seconds are CPU seconds between two updates, so
starting and other work on the machine do not count; target tokens include end tokens.

Usage: scripts/benchmark_training.py CONFIG --peer PYTHON [--updates N] [--rounds N] [--KEY VALUE …]

PYTHON is that of an environment with pymarian. Its network has the config's width and layers; the
config should name LSTM cells, additive attention and one vocabulary, since Marian has no other,
and its length in `max_epochs`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import psutil

from nmt.config import load_config
from nmt.data.corpus import open_corpus
from nmt.errors import NmtError
from nmt.text.tokenizer import train_tokenizer

NMT = [sys.executable, "-m", "nmt"]
SKIPPED = 10
"""Updates before the clock starts."""
MARIAN = "--type s2s --enc-cell lstm --dec-cell lstm --enc-type bidirectional --tied-embeddings-all"
MARIAN += " --label-smoothing 0.1 --max-length 100 --maxi-batch 500 --clip-norm 1 --seed 1"
MARIAN += f" --shuffle-in-ram --cpu-threads 1 --overwrite --disp-freq {SKIPPED} --save-freq 1000000"
"""Options of Marian that no config changes."""


def main() -> None:
    """Prepare, take turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--peer", required=True, metavar="PYTHON")
    parser.add_argument("--updates", type=int, default=40, help=f"a multiple of {SKIPPED}")
    parser.add_argument("--rounds", type=int, default=3)
    arguments, keys = parser.parse_known_args()
    if arguments.updates < SKIPPED or arguments.updates % SKIPPED:
        parser.error(f"--updates: {arguments.updates} is not a multiple of {SKIPPED}")
    keys += ["--training.precision", "fp32", "--training.threads", "1"]
    last = SKIPPED + arguments.updates
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        marian = [arguments.peer, "-m", "pymarian", "train", *MARIAN.split()]
        options, tokens = prepare(folder, arguments.config, keys)
        marian += ["--after-batches", str(last), *options]
        ours = [*NMT, "train", str(arguments.config), *keys]
        ours += ["--training.log_every", str(SKIPPED), "--run"]
        speeds: dict[str, list[float]] = {"nmt": [], "Marian": []}
        for number in range(arguments.rounds):
            seconds, _, total = timed(
                [*ours, str(folder / str(number))], r"update (\d+)/(\d+)", last
            )
            speeds["nmt"].append(arguments.updates * tokens / total / seconds)
            seconds, first, total = timed(marian, r"Up\. (\d+) .* after ([\d,]+)", last)
            speeds["Marian"].append((total - first) / seconds)
            print(f"round {number + 1}: { {name: each[-1] for name, each in speeds.items()} }")
    ours_, theirs = (median(each) for each in speeds.values())
    print(f"target tokens per CPU second: {ours_:,.0f} and {theirs:,.0f}, {ours_ / theirs:.2f} x")


def prepare(folder: Path, config: Path, keys: list[str]) -> tuple[list[str], int]:
    """Write the corpus in pieces; return Marian's options, and the target tokens of all epochs."""
    try:
        settings = load_config(config, keys)
    except NmtError as error:
        sys.exit(f"benchmark_training: {error}")
    if settings.training.max_epochs is None:
        sys.exit("give --training.max_epochs: an epoch has a known number of tokens")
    if settings.training.max_updates is not None:
        sys.exit("give --training.max_updates null: the epochs are to be trained whole")
    pairs = list(open_corpus(settings.data).pairs("train"))
    tokenizer, _ = train_tokenizer(settings.tokenizer, pairs)
    sides = (tokenizer.source, tokenizer.target)  # which normalise text each in its own way
    encoded = [one.encode([pair[side] for pair in pairs]) for side, one in enumerate(sides)]
    for side, vocabulary in enumerate(sides):
        text = "".join(f"{' '.join(vocabulary.pieces(ids))}\n" for ids in encoded[side])
        (folder / f"train.{side}").write_text(text, encoding="utf-8", newline="\n")
    pieces = tokenizer.source.pieces(range(len(tokenizer.source)))
    names = dict.fromkeys(["</s>", "<unk>", *pieces])
    rows = (f"{json.dumps(name, ensure_ascii=False)}: {id_}\n" for id_, name in enumerate(names))
    (folder / "vocab.yml").write_text("".join(rows), encoding="utf-8")
    model, options = settings.model, {"model": folder / "model.npz"}
    options |= {"dim-emb": model.hidden_size, "dim-rnn": model.hidden_size}
    options |= {"enc-depth": model.layers, "dec-depth": model.layers}
    options |= {"dropout-rnn": model.dropout, "mini-batch-words": settings.training.batch_tokens}
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    words += ["--train-sets", *(str(folder / f"train.{side}") for side in (0, 1))]
    words += ["--vocabs", *[str(folder / "vocab.yml")] * 2]
    return words, sum(len(ids) + 1 for ids in encoded[1]) * settings.training.max_epochs


def timed(command: list[str], row: str, last: int) -> tuple[float, int, int]:
    """Run a command until an update; return the CPU seconds since `SKIPPED`, and both numbers."""
    alone = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    process = psutil.Popen(command, env=os.environ | alone, **streams)
    marks: dict[int, tuple[float, int]] = {}
    lines = []
    for line in process.stdout:
        lines.append(line)
        if found := re.search(row, line):
            times = process.cpu_times()
            marks[int(found[1])] = times.user + times.system, int(found[2].replace(",", ""))
            if last in marks:
                break
    process.kill()
    process.wait()
    if last not in marks:
        sys.exit(f"{' '.join(command)} failed:\n{''.join(lines[-20:])}")
    (start, first), (end, total) = marks[SKIPPED], marks[last]
    return end - start, first, total


if __name__ == "__main__":
    main()
