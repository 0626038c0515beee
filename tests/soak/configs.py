"""Attacks by configs, made from the config's fields, so that a new key is covered by itself."""

import copy
import random
import shutil
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import yaml

from nmt.config import dump_config, load_config
from nmt.config.parser import flat_config
from nmt.config.values import Range
from tests.soak.kinds import Outcome, World, kind, nmt, refusal_fault
from tests.test_config import KEYS, MINIMAL, plain_types, wrong_values

_ELSEWHERE = {"training.devices", "training.threads", "training.loggers", "training.max_updates"}
"""Keys that start other processes or services, or train for longer."""


def with_values(base: str, values: Mapping[str, object]) -> str:
    """Return the YAML of a config in which some keys have other values."""
    config = copy.deepcopy(yaml.safe_load(base))
    for path, value in values.items():
        *sections, key = path.split(".")
        place = config
        for name in sections:
            place = place.setdefault(name, {})
        place[key] = value
    return yaml.safe_dump(config)


def in_words(key: str, value: object) -> list[str] | None:
    """Return a value as a word of the command line; None where it has none."""
    texts = str if str in plain_types(KEYS[key]) else str | float
    if value is not None and not isinstance(value, texts):
        return None
    return [f"--{key}={'null' if value is None else str(value).lower()}"]


def legal_values(hint: Any) -> Iterator[Any]:
    """Yield the choices of a type, the low end of a range, and the high end of one of rates."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated and isinstance(parts[1], Range):
        kind, limits = parts
        step = 1 if kind is int else 1e-6
        yield limits.low + step
        yield from [] if limits.above else [limits.low]
        if kind is float:
            yield limits.high - step if limits.below else limits.high
    elif origin is Literal:
        yield from parts
    elif origin in (types.UnionType, typing.Union):
        for part in parts:
            yield from legal_values(part)
    elif origin is list:
        yield from ([value] for value in legal_values(parts[0]))
    elif hint in (bool, types.NoneType):
        yield from [True, False] if hint is bool else [None]


@kind("configs with a wrong value", goal=2_000, share=0.06)
def wrong(world: World) -> Iterator[Outcome]:
    """Give a key what it must refuse, in a file or on the command line: one line names it."""
    draw = random.Random(world.seed)
    path = world.folder / "wrong.yaml"
    values = [(key, value) for key in KEYS for value in wrong_values(key)]
    while True:
        draw.shuffle(values)
        for key, value in values:
            words = in_words(key, value) if draw.random() < 0.5 else None
            path.write_text(MINIMAL if words else with_values(MINIMAL, {key: value}))
            code, out, err = nmt("train", path, "--print-config", *(words or []))
            fault = refusal_fault(code, err, key) or (f"prints {out[:99]!r}" if out else None)
            yield fault and f"{key}: {value!r:.60}, {words and 'a word'}: {fault}"


@kind("configs of any values", goal=1_000, share=0.04)
def mixed(world: World) -> Iterator[Outcome]:
    """Give keys their own and other keys' values: one line names a key, or all are read."""
    draw = random.Random(world.seed)
    path = world.folder / "mixed.yaml"
    known = [value for hint in KEYS.values() for value in legal_values(hint)]
    while True:
        values = {}
        for key in draw.sample(list(KEYS), draw.choice([1, 2, 5])):
            own = list(legal_values(KEYS[key]))
            values[key] = draw.choice(own if own and draw.random() < 0.8 else known)
        path.write_text(with_values(MINIMAL, values))
        code, out, err = nmt("train", path, "--print-config")
        fault = refusal_fault(code, err, *values) if code else None
        if code == 0:
            path.write_bytes(out)
            config = load_config(path)
            read = flat_config(config)
            if any(read[key] != value for key, value in values.items()):
                fault = f"reads {read}"
            if dump_config(config).encode() != out:
                fault = "prints what reads back as something else"
        yield fault and f"{values}: {fault}"


@kind("configs that are accepted, trained", goal=60, share=0.1)
def accepted(world: World) -> Iterator[Outcome]:
    """Train an update with values from the ends of ranges: a model, or a line that names a key."""
    draw = random.Random(world.seed)
    path, run = world.folder / "accepted.yaml", world.folder / "run"
    base = {"training.max_updates": 1, "training.warmup_updates": 0}
    keys = [key for key in KEYS if key not in _ELSEWHERE and list(legal_values(KEYS[key]))]
    while True:
        chosen = draw.sample(keys, 2)
        values = {key: draw.choice(list(legal_values(KEYS[key]))) for key in chosen}
        path.write_text(with_values(world.config.read_text(), base | values))
        code, _, err = nmt("train", path, "--run", run)
        fault = refusal_fault(code, err, *chosen) if code else None
        if "Traceback" in err or "rror" in err.replace("nmt: error: ", "", 1):
            fault = fault or f"says {err[-300:]}"
        shutil.rmtree(run, ignore_errors=True)
        yield fault and f"{values}: {fault}"
