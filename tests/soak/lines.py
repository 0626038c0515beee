"""Attacks by text: generated lines through every engine and search."""

import dataclasses
import functools
import itertools
import json
import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nmt.bundle import load_bundle
from nmt.config import ModelConfig
from nmt.inference.device import cpu_has_bf16
from nmt.inference.search import Translation
from nmt.inference.translator import Translator
from nmt.text.lines import is_blank, one_line
from tests.conftest import MEMBER, save_member
from tests.soak.kinds import Outcome, World, kind, nmt

_WORDS = (
    "der",
    "hund",
    "schläft",
    "ein",
    "mann",
    "sieht",
    "das",
    "haus",
    "am",
    "see",
    ".",
    "?",
    "nicht",
)
_ODD = (
    *"\t\v\f\r\x00\x1b\x1c\x1d\x1e\x1f\x7f\x85\xa0\xad",
    *"\u1680\u2003\u200b\u200d\u2028\u2029\u202e\u2060\u3000\ufeff\ufffd\ufffe",
    *"▁⁇ß漢字アㄱ한ไทยעב🙂🏳️‍🌈e\u0301ﬁ①",
    *("<s>", "</s>", "<unk>", "&amp;", "\\n", "%s", "http://a.de/?b=c"),
)


def generated(draw: random.Random) -> str:
    """Return a line: words, odd characters, any characters, or nothing to read."""
    way = draw.random()
    if way < 0.4:
        return " ".join(draw.choices(_WORDS, k=draw.randrange(1, 12)))
    if way < 0.7:
        return "".join(draw.choices([*_WORDS, *_ODD, " "], k=draw.randrange(1, 16)))
    if way < 0.8:
        return "".join(draw.choices(" \t\r\x85\x1c\u2003\u200b\ufeff", k=draw.randrange(6)))
    codes = (draw.randrange(0x110000) for _ in range(draw.randrange(1, 24)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000).replace("\n", "")


_MODELS: dict[str, dict[str, Any]] = {
    "lstm": {"cell": "lstm", "bidirectional": True},
    "gru, attention": {"cell": "gru", "attention": "dot", "layers": 2},
    "lstm, additive, fed": {"attention": "additive", "feed_context": True},
    "relu": {"cell": "relu"},
    "bag": {"encoder": "bag"},
    "window": {"encoder": "window", "window": 3},
}
_SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"greedy": True},
    "beam": {"beam_size": 3},
    "n-best": {"beam_size": 4, "n_best": 3},
    "wide, penalties": {"beam_size": 6, "length_penalty": 0.6, "prune": None},
    "shortlist": {"beam_size": 2, "shortlist": 60},
    "sample": {"sample": True, "top_k": 20, "n_best": 2},
}


@functools.cache
def translators(run: Path, folder: Path) -> dict[str, Translator]:
    """Return a trained model in every precision, untrained ones of all kinds, and an ensemble."""
    precisions = ["fp32", "int8", *(["bf16"] if cpu_has_bf16() else [])]
    found = {name: Translator.load(run, device="cpu", precision=name) for name in precisions}
    for name, settings in _MODELS.items():
        model = ModelConfig(**{"layers": 1, "embedding_size": 12, "hidden_size": 20, **settings})
        path = save_member(run, folder / name, config=dataclasses.replace(MEMBER, model=model))
        found[name] = Translator.load(path, device="cpu")
    found["int8 bundle"] = Translator.load(save_member(run, folder / "int8", "int8"), device="cpu")
    found["ensemble"] = Translator.load(run, ensemble=[folder / "int8"], device="cpu")
    bundle = load_bundle(run)
    plain = Translator(bundle.model, bundle.tokenizer, bundle.config, models=[bundle.model])
    return found | {"plain network": plain}


def ways(engines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give engines with searches, again and again; untrained ones have counted no tokens."""
    for engine, search in itertools.cycle(itertools.product(engines, _SEARCHES)):
        if search != "shortlist" or engine in ("fp32", "int8", "bf16", "plain network"):
            yield engine, search


def line_fault(line: str, found: Translation) -> Outcome:
    """Say what is wrong with the translation of a line."""
    for text in (found.text, *(one.text for one in found.n_best)):
        if text != one_line(text):
            return f"{text!r} is not one line"
        text.encode()
    if is_blank(line) and (found.text or found.problem):
        return f"a blank line gives {found.text!r}, {found.problem}"
    scores = [one.score for one in found.n_best]
    if not all(math.isfinite(score) and score <= 0 for score in scores) or not scores:
        return f"scores {scores}"
    return "failed" if found.failed else None


@kind("generated lines, every engine and search", goal=100_000, share=0.16)
def lines(world: World) -> Iterator[Outcome]:
    """Translate what nobody would write: one line out for each, never a failure."""
    draw = random.Random(world.seed)
    engines = translators(world.run, world.folder)
    for engine, search in ways(engines):
        given = [generated(draw) for _ in range(200)]
        try:
            found = engines[engine].translate(given, **_SEARCHES[search])
        except Exception as error:
            yield f"{engine}, {search}: {error!r}"[:300]
            continue
        if len(found) != len(given):
            yield f"{engine}, {search}: {len(found)} lines of {len(given)}"
        for line, translation in zip(given, found, strict=True):
            fault = line_fault(line, translation)
            yield fault and f"{engine}, {search}, {line!r}: {fault}"


@kind("alone and in company", goal=5_000, share=0.12)
def company(world: World) -> Iterator[Outcome]:
    """Translate a sentence among others and by itself: the same text, scores within 1e-4."""
    draw = random.Random(world.seed)
    engines = translators(world.run, world.folder)
    engines = {name: engines[name] for name in engines if name != "bf16"}  # exempt
    for engine, search in ways(engines):
        given = [generated(draw) for _ in range(24)]
        together = engines[engine].translate(given, **_SEARCHES[search])
        for line, one in zip(given, together, strict=True):
            (alone,) = engines[engine].translate([line], **_SEARCHES[search])
            near = abs(one.score - alone.score) <= 1e-4 * max(1, len(one.n_best[0].tokens) + 1)
            # Candidates within float error of each other may change places.
            fault = not near or (one.text != alone.text and abs(one.score - alone.score) > 1e-4)
            told = f"{one.text!r} {one.score} in company, {alone.text!r} {alone.score} alone"
            yield f"{engine}, {search}, {line!r}: {told}" if fault else None


@kind("generated files, nmt translate", goal=20_000, share=0.02)
def files(world: World) -> Iterator[Outcome]:
    """Translate files by the command: as many lines out, in order, in every format."""
    draw = random.Random(world.seed)
    source, out = world.folder / "in", world.folder / "out"
    while True:
        given = [generated(draw) for _ in range(500)]
        end = draw.choice(["\n", "\r\n"])
        source.write_bytes(end.join(given).encode() + draw.choice([b"", b"\n"]))
        layout = draw.choice(["text", "tsv", "jsonl"])
        code, _, err = nmt("translate", world.run, source, "-o", out, "--format", layout)
        read = source.read_bytes().split(b"\n")
        number = len(read) - (read[-1] == b"")
        written = out.read_bytes().decode().split("\n")[:-1]
        if layout == "tsv":
            written = [row for row in written if row.split("\t")[1] == "1"]
        if layout == "jsonl":
            written = [json.loads(row)["text"] for row in written]
        fault = None if code == 0 and len(written) == number else f"{len(written)} of {number}"
        yield from [fault and f"{layout}: exit {code}, {fault} lines: {err[-200:]}"] * number
