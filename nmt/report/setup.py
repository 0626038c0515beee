"""The set-up of a run: settings, data and environment."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from nmt.config import Config, dump_config, flat_config
from nmt.report.blocks import Block, Code, Details, Section, Table
from nmt.report.runs import Run
from nmt.report.tables import of_run, run_table


def settings(runs: Sequence[Run]) -> Section:
    """Return the settings that differ from the defaults, and all settings, collapsed."""
    defaults = flat_config(Config())
    configs = [flat_config(run.config) for run in runs]
    rows = [
        [key, *(_value(config.get(key)) for config in configs), _value(defaults.get(key))]
        for key in dict.fromkeys(key for config in configs for key in config)
        if any(config.get(key) != defaults.get(key) for config in configs)
    ]
    names = ["value"] if len(runs) == 1 else [run.name for run in runs]
    words = range(len(names) + 2)
    table = Table(["key", *names, "default"], rows, words, "Settings that differ from the defaults")
    whole = [
        Details(of_run(runs, run, "all settings"), [Code(dump_config(run.config))]) for run in runs
    ]
    return Section("Settings", [table, *whole])


def data(runs: Sequence[Run]) -> Section:
    """Return sizes and fingerprints of the data, and the counts of the filters."""
    records = [(run, run.environment.get("data", {})) for run in runs]
    sizes = [
        (run, [_count(facts.get(key)) for key in ("pairs", "kept", *_TOKENS)])
        for run, facts in records
        if facts
    ]
    if not sizes:
        return Section("Data", [])
    columns = ["training pairs", "kept", "source tokens", "target tokens"]
    blocks: list[Block] = [run_table(runs, columns, sizes, words=0)]
    prints = [
        (run, [text, facts[key]])
        for run, facts in records
        for key, text in _FINGERPRINTS
        if facts.get(key) and (key != "fingerprint" or facts.get("distill"))
    ]
    blocks.append(run_table(runs, ["text", "SHA-256"], prints, words=2, title="Fingerprints"))
    filtered = [
        (run, [name, _setting(run, name), _count(count), _count(left_out.get(name))])
        for run, facts in records
        for left_out in [facts.get("left_out", {})]
        for name, count in facts.get("found", {}).items()
    ]
    columns = ["filter", "setting", "found", "left out"]
    blocks.append(run_table(runs, columns, filtered, words=2, title="Filters of train"))
    teachers = [
        (run, [_value(distill.get("teacher"))]) for run, facts in records
        if (distill := facts.get("distill"))
    ]  # fmt: skip
    if teachers:
        blocks.append(run_table(runs, ["teacher"], teachers))
    return Section("Data", blocks)


def environment(runs: Sequence[Run]) -> Section:
    """Return seed, machine and versions."""
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
    """Format the setting of a filter; `too_long` is `data.max_length`."""
    value = dataclasses.asdict(run.config.data.filters).get(name)
    value = run.config.data.max_length if name == "too_long" else value
    return "off" if value in (None, False) else "on" if value is True else str(value)


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _value(value: Any) -> str:
    """Format a setting as in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
