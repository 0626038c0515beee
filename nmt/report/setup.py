"""What a run was made of: settings, data and environment."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from nmt.config import Config, dump_config, flat_config
from nmt.report.blocks import Block, Code, Fold, Section, Table
from nmt.report.runs import Run
from nmt.report.tables import of_run, run_table


def settings(runs: Sequence[Run]) -> Section:
    """What differs from the defaults, and all of it to unfold."""
    defaults = flat_config(Config())
    configs = [flat_config(run.config) for run in runs]
    rows = [
        [key, *(_value(config.get(key)) for config in configs), _value(defaults.get(key))]
        for key in dict.fromkeys(key for config in configs for key in config)
        if any(config.get(key) != defaults.get(key) for config in configs)
    ]
    names = ["value"] if len(runs) == 1 else [run.name for run in runs]
    words = range(len(names) + 2)
    table = Table(["key", *names, "default"], rows, words, "What differs from the defaults")
    whole = [
        Fold(of_run(runs, run, "all settings"), [Code(dump_config(run.config))]) for run in runs
    ]
    return Section("Settings", [table, *whole])


def data(runs: Sequence[Run]) -> Section:
    """Sizes and fingerprints of the data, and what the filters took."""
    facts = [(run, run.environment.get("data", {})) for run in runs]
    sizes = [
        (run, [_count(found.get(key)) for key in ("pairs", "kept", *_TOKENS)])
        for run, found in facts
        if found
    ]
    if not sizes:
        return Section("Data", [])
    columns = ["training pairs", "kept", "source tokens", "target tokens"]
    blocks: list[Block] = [run_table(runs, columns, sizes, words=0)]
    prints = [
        (run, [what, found[key]])
        for run, found in facts
        for key, what in _FINGERPRINTS
        if found.get(key) and (key != "fingerprint" or found.get("distill"))
    ]
    blocks.append(run_table(runs, ["text", "SHA-256"], prints, words=2, title="Fingerprints"))
    filtered = [
        (run, [name, _setting(run, name), _count(count), _count(left_out.get(name))])
        for run, found in facts
        for left_out in [found.get("left_out", {})]
        for name, count in found.get("found", {}).items()
    ]
    columns = ["filter", "setting", "found", "left out"]
    blocks.append(run_table(runs, columns, filtered, words=2, title="Filters of train"))
    teachers = [
        (run, [_value(taught.get("teacher"))]) for run, found in facts
        if (taught := found.get("distill"))
    ]  # fmt: skip
    if teachers:
        blocks.append(run_table(runs, ["teacher"], teachers))
    return Section("Data", blocks)


def environment(runs: Sequence[Run]) -> Section:
    """Versions, machine and seed."""
    parts = [
        {"seed": run.environment["seed"]}
        | run.environment.get("machine", {})
        | run.environment.get("versions", {})
        if "seed" in run.environment
        else {}
        for run in runs
    ]
    rows = [
        [key, *(_value(part.get(key)) for part in parts)]
        for key in dict.fromkeys(key for part in parts for key in part)
    ]
    if not rows:
        return Section("Environment", [])
    names = [""] if len(runs) == 1 else [run.name for run in runs]
    return Section("Environment", [Table(["", *names], rows, range(len(names) + 1))])


_TOKENS = ("source_tokens", "target_tokens")
_FINGERPRINTS = [
    ("train", "train"),
    ("fingerprint", "train, with a teacher's translations"),
    ("validation", "validation"),
]


def _setting(run: Run, name: str) -> str:
    """Show how a filter was set; `too_long` is `data.max_length`."""
    found = dataclasses.asdict(run.config.data.filters).get(name)
    found = run.config.data.max_length if name == "too_long" else found
    return "off" if found in (None, False) else "on" if found is True else str(found)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _value(value: Any) -> str:
    """Write a setting as in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
