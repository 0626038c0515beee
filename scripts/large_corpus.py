#!/usr/bin/env python
"""Measure how reading, encoding, planning and starting to train grow with the corpus.

Makes corpora out of the built-in grammar's sentences, each with a made-up name before it so that no
pair stands twice, and starts `nmt train` on them. Memory is RssAnon of the main process at its
highest, as /proc has it: what the system cannot put back into files.

Usage: scripts/large_corpus.py [--pairs 500000 5000000] [--gzip]
"""

import argparse
import gzip
import itertools
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nmt.data.phrases import read_split
from nmt.data.plan import plan_epoch

BATCH_TOKENS = 4096
CONFIG = f"""
data:
  source_language: de
  target_language: en
  splits: {{train: FOLDER/train, validation: FOLDER/validation}}
  cache: FOLDER/cache
  filters:
    {{control_characters: true, untranslated: true, script: 0.5, length_ratio: 4, overlap: true,
    duplicates: true}}
model: {{layers: 1, embedding_size: 16, hidden_size: 16}}
training:
  {{max_updates: 3, warmup_updates: 1, batch_tokens: {BATCH_TOKENS}, log_every: 1, device: cpu}}
decoding: {{beam_size: 1}}
"""
# What is done when a line of the log appears that begins like this.
STAGES = {
    "device:": "start",
    "learning the tokenizer": "read",
    "encoding": "learn tokenizer",
    "train:": "encode",
    "update 1/": "first update",
}
COLUMNS = ["pairs", *STAGES.values(), "plan", "peak MiB", "plan MiB", "text MB", "cache MB"]


def main() -> None:
    """Measure each size, and print a table: seconds, MiB and MB."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="+", default=[500_000, 5_000_000])
    parser.add_argument("--gzip", action="store_true", help="pack the text")
    arguments = parser.parse_args()
    rows = []
    for pairs in arguments.pairs:
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"pairs": f"{pairs:,}", **measure(Path(folder), pairs, arguments.gzip)})
            print(rows[-1], file=sys.stderr)
    table = [COLUMNS, *([row[column] for column in COLUMNS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def measure(folder: Path, pairs: int, packed: bool) -> dict[str, str]:
    """Make a corpus, start training on it, and return the figures as text."""
    write(folder / "train", varied(pairs), packed)
    write(folder / "validation", iter(read_split("validation")[:100]), packed=False)
    text = size(folder)
    config = folder / "config.yaml"
    config.write_text(CONFIG.replace("FOLDER", str(folder)))
    figures, peak = train(config, folder / "run")
    seconds, memory = plan(folder / "cache")
    return {name: f"{value:.1f}" for name, value in figures.items()} | {
        "peak MiB": f"{peak / 2**10:.0f}",
        "plan": f"{seconds:.1f}",
        "plan MiB": f"{memory / 2**20:.0f}",
        "text MB": f"{text / 1e6:.0f}",
        "cache MB": f"{size(folder / 'cache') / 1e6:.0f}",
    }


def varied(pairs: int) -> Iterator[tuple[str, str]]:
    """Give the grammar's pairs again and again, each round under another name."""
    syllables = ["".join(two) for two in itertools.product("bdfgklmnprst", "aeiou")]
    names = itertools.product(syllables, repeat=3)
    base = read_split("train")
    endless = (
        (f"{name}: {german}", f"{name}: {english}")
        for name in map("".join, names)
        for german, english in base
    )
    return itertools.islice(endless, pairs)


def write(prefix: Path, pairs: Iterator[tuple[str, str]], packed: bool) -> None:
    """Write PREFIX.de and PREFIX.en, each with .gz where it is packed."""
    end, opened = (".gz", gzip.open) if packed else ("", open)
    with opened(f"{prefix}.de{end}", "wt") as german, opened(f"{prefix}.en{end}", "wt") as english:
        for source, target in pairs:
            german.write(f"{source}\n")
            english.write(f"{target}\n")


def train(config: Path, run: Path) -> tuple[dict[str, float], int]:
    """Return the seconds of each stage of `nmt train`, and its highest RssAnon in KiB."""
    command = [sys.executable, "-m", "nmt", "train", str(config), "--run", str(run)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    peaks = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peaks))
    watcher.start()
    figures: dict[str, float] = {}
    since = time.perf_counter()
    assert process.stderr is not None
    for line in process.stderr:
        sys.stderr.write(line)
        stage = next((name for start, name in STAGES.items() if line.startswith(start)), None)
        if stage is not None and stage not in figures:
            figures[stage] = time.perf_counter() - since
            since = time.perf_counter()
    watcher.join()
    if process.wait():
        sys.exit("large_corpus: the training failed")
    return figures, peaks[0]


def watch(pid: int, peaks: list[int]) -> None:
    """Keep the highest RssAnon of a process in `peaks`, until it ends."""
    while found := re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()):
        peaks[0] = max(peaks[0], int(found[1]))
        time.sleep(0.02)


def plan(cache: Path) -> tuple[float, int]:
    """Return the seconds and the bytes of the first epoch's plan."""
    (lengths,) = cache.glob("*/lengths.npy")
    source, target = np.load(lengths, mmap_mode="r")
    since = time.perf_counter()
    made = plan_epoch(source, target, batch_tokens=BATCH_TOKENS, seed=1, epoch=0)
    return time.perf_counter() - since, made.order.nbytes + made.slices.nbytes


def size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
