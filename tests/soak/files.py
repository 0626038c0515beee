"""Attacks by files: bundles, caches and runs that are damaged or made to do harm."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from nmt.config import Config, load_config
from nmt.data.cache import encode_pairs, learn_tokenizer
from nmt.data.corpus import open_corpus
from nmt.data.scan import scan_corpus
from nmt.log import quiet
from nmt.training.checkpoints import checkpoint_files
from tests.soak.damage import damages, link_out, reseal
from tests.soak.kinds import Hangs, Outcome, World, kind, nmt, patience, refusal_fault
from tests.training.made import last_weights

LINE = "Der Hund schläft .\n"


def fresh(source: Path, copy: Path) -> Path:
    """Put a new copy of a folder in the place of an old one."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy, symlinks=True)
    return copy


def files_of(folder: Path) -> list[Path]:
    """Return a folder's files, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def other_run(world: World) -> Path:
    """Train a run of another seed, whose files go to wrong places."""
    run = world.folder / "other"
    code, _, err = nmt("train", world.config, "--run", run, "--seed", 2)
    assert code == 0, err
    return run


@kind("damaged bundles", goal=600, share=0.1)
def bundles(world: World) -> Iterator[Outcome]:
    """Translate with a bundle of which one file is not what it was; half with sums that fit."""
    draw = random.Random(world.seed)
    text = world.folder / "text"
    text.write_text(LINE)
    whole, other = world.run / "model", other_run(world) / "model"
    expected = nmt("translate", whole, text)
    while True:
        model = fresh(whole, world.folder / "model")
        path = draw.choice(files_of(model))
        sealed = path.name != "bundle.json" and draw.random() < 0.5
        if draw.random() < 0.1:
            what = "linked out"
            link_out(path, world.folder / "outside")
        elif draw.random() < 0.1 and path.read_bytes() != (other / path.name).read_bytes():
            what = "swapped"
            shutil.copy(other / path.name, path)
        else:
            damage = draw.choice(damages(path))
            what = damage.__name__
            damage(path, draw)
        if sealed:
            reseal(model)
        code, out, err = nmt("translate", model, text)
        fault = refusal_fault(code, err, path.name, "does not fit")
        if code == 0 and (sealed or out == expected[1]):
            fault = None  # other weights, other text: whoever can make sums can make a model
        if (model / "ran").exists():
            fault = "a payload ran"
        yield fault and f"{path.name} {what}{' and sealed' if sealed else ''}: {fault}"


@kind("weights that are no numbers", goal=40, share=0.01)
def infinite_weights(world: World) -> Iterator[Outcome]:
    """Put NaN or infinity into one weight of a bundle whose sums fit."""
    draw = random.Random(world.seed)
    text = world.folder / "text"
    text.write_text(LINE)
    while True:
        model = fresh(world.run / "model", world.folder / "model")
        tensors = safetensors.torch.load_file(model / "weights.safetensors")
        name = draw.choice([name for name, one in tensors.items() if one.is_floating_point()])
        value = draw.choice([float("nan"), float("inf"), float("-inf")])
        tensors[name].view(-1)[draw.randrange(tensors[name].numel())] = value
        safetensors.torch.save_file(tensors, model / "weights.safetensors")
        reseal(model)
        code, _, err = nmt("translate", model, text)
        fault = refusal_fault(code, err, name)
        yield fault and f"{name} {value}: {fault}"


def learned(config: Config) -> tuple[bytes, bytes, list[list[int]], list[int]]:
    """Return what training would learn from: tokenizers, all rows and their lengths."""
    with quiet():
        corpus = open_corpus(config.data)
        scan = scan_corpus(corpus)
        tokenizer, _ = learn_tokenizer(config, corpus, scan)
        pairs = encode_pairs(config, corpus, scan, tokenizer)
    sources, targets = pairs[np.arange(len(pairs))]
    lengths = [*pairs.source_lengths.tolist(), *pairs.target_lengths.tolist()]
    return tokenizer.source.model, tokenizer.target.model, sources + targets, lengths


@kind("damaged caches", goal=250, share=0.05)
def caches(world: World) -> Iterator[Outcome]:
    """Open a cache of which one file is not what it was: it must be found, and made anew."""
    draw = random.Random(world.seed)
    cache = world.folder / "cache"
    config = load_config(world.config, ["--data.cache", str(cache)])
    expected = learned(config)
    kept = fresh(cache, world.folder / "kept")
    while True:
        fresh(kept, cache)
        path = draw.choice(files_of(cache))
        damage = draw.choice(damages(path))
        damage(path, draw)
        fault = None
        try:
            with patience():
                if learned(config) != expected:
                    fault = "other pairs, in silence"
        except (Exception, Hangs) as error:
            fault = repr(error)[:300]
        if (path.parent / "ran").exists():
            fault = "a payload ran"
        if not fault and {path.name for path in files_of(cache)} != {
            p.name for p in files_of(kept)
        }:
            fault = "something is left behind"
        yield fault and f"{path.name} {damage.__name__}: {fault}"


def unfinished(world: World) -> Path:
    """Return a run that was stopped after its second checkpoint, with a bundle."""
    run = fresh(world.run, world.folder / "unfinished")
    checkpoint_files(run / "checkpoints")[-1].unlink()
    for scored in (*run.glob("scores.*"), *run.glob("translations.*"), *run.glob("report*")):
        scored.unlink()
    return run


_MATTER = ("config.yaml", "environment.json", "metrics.csv", "source.model", "target.model")


def _swap_or_damage(path: Path, other: Path, draw: random.Random, swaps: float) -> str:
    """Replace a file by another run's, in a share of the cases, or damage it; return which."""
    if draw.random() < swaps:
        shutil.copy(other, path)
        return "swapped"
    damage = draw.choice(damages(path))
    damage(path, draw)
    return damage.__name__


@kind("damaged runs", goal=160, share=0.09)
def runs(world: World) -> Iterator[Outcome]:
    """Resume a run of which one file is not what it was: the same weights, or a refusal."""
    draw = random.Random(world.seed)
    begun, other = unfinished(world), unfinished(World(**{**vars(world), "run": other_run(world)}))
    expected = last_weights(world.run)
    while True:
        run = fresh(begun, world.folder / "run")
        paths = [path for path in files_of(run) if path.name in _MATTER or path.suffix == ".ckpt"]
        path = draw.choice(paths)
        what = _swap_or_damage(path, other / path.relative_to(run), draw, 0.15)
        code, _, err = nmt("train", world.config, "--run", run, "--resume")
        fault = refusal_fault(code, err, str(run))
        if code == 0:
            found = last_weights(run)
            same = all(torch.equal(weight, found[name]) for name, weight in expected.items())
            fault = None if same else "other weights, in silence"
        if "Traceback" in err:
            fault = f"traceback: {err[-300:]}"
        if any(run.rglob("ran")):
            fault = "a payload ran"
        yield fault and f"{path.relative_to(run)} {what}: {fault}"


@kind("damaged checkpoints, averaged", goal=100, share=0.06)
def averages(world: World) -> Iterator[Outcome]:
    """Average checkpoints of which one is not what it was."""
    draw = random.Random(world.seed)
    other, out = other_run(world), world.folder / "out"
    while True:
        run = fresh(world.run, world.folder / "run")
        path = draw.choice(checkpoint_files(run / "checkpoints"))
        what = _swap_or_damage(path, other / path.relative_to(run), draw, 0.3)
        code, _, err = nmt("export", run, out, "--average", 2)
        gone = what in ("delete", "make_folder")
        fault = refusal_fault(code, err, *([] if gone else [path.name]))
        if code == 0 and what == "flip":  # a name or a date in the archive
            fault = None
        yield fault and f"{path.name} {what}: {fault}"


@kind("damaged results, reported", goal=100, share=0.02)
def reports(world: World) -> Iterator[Outcome]:
    """Report on a run of which one file of results is not what it was."""
    draw = random.Random(world.seed)
    kept = [path for path in files_of(world.run) if path.suffix in (".json", ".jsonl", ".csv")]
    while True:
        run = fresh(world.run, world.folder / "run")
        path = run / draw.choice(kept).relative_to(world.run)
        damage = draw.choice(damages(path))
        damage(path, draw)
        code, _, err = nmt("report", run, "--text")
        fault = None if code == 0 else refusal_fault(code, err, path.name)
        yield fault and f"{path.relative_to(run)} {damage.__name__}: {fault}"
