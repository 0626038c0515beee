"""The set-up of a run: settings, data and environment."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nmt.config import Config, dump_config, flat_config
from nmt.data.filters import FILTER_COLUMNS, FilterSettings, filter_rows
from nmt.report.blocks import Block, Code, Details, Section, Table
from nmt.report.runs import Run
from nmt.report.tables import run_table

_SIZES = ("pairs", "kept", "source_tokens", "target_tokens")
_FINGERPRINTS = {
    "train": "train",
    "fingerprint": "train, with a teacher's translations",
    "validation": "validation",
}


def settings(runs: Sequence[Run]) -> Section:
    """Return the settings that differ from the defaults, and all settings, collapsed."""
    rows = _side_by_side([*(flat_config(run.config) for run in runs), flat_config(Config())])
    changed = [[key, *values] for key, *values in rows if set(values) != {values[-1]}]
    names = [run.name if run.compared else "value" for run in runs]
    words = range(len(runs) + 2)
    title = "Settings that differ from the defaults"
    whole = [Details(run.titled("all settings"), [Code(dump_config(run.config))]) for run in runs]
    return Section("Settings", [Table(["key", *names, "default"], changed, words, title), *whole])


def data(runs: Sequence[Run]) -> Section:
    """Return sizes and fingerprints of the data, and the counts of the filters."""
    sizes, prints, filtered, teachers = [], [], [], []
    for run in runs:
        facts = run.environment.get("data", {})
        if not facts:
            continue
        sizes.append((run, [f"{facts[key]:,}" if key in facts else "-" for key in _SIZES]))
        distill, found = facts.get("distill"), facts.get("found", {})
        prints += [
            (run, [text, facts[key]])
            for key, text in _FINGERPRINTS.items()
            if facts.get(key) and (key != "fingerprint" or distill)
        ]
        rows = filter_rows(FilterSettings.of(run.config).by_name, found, facts.get("left_out", {}))
        filtered += [(run, row) for row in rows if row[0] in found]
        teachers += [(run, [_value(distill.get("teacher"))])] if distill else []
    if not sizes:
        return Section("Data", [])
    columns = ["training pairs", "kept", "source tokens", "target tokens"]
    blocks: list[Block] = [
        run_table(columns, sizes, words=0),
        run_table(["text", "SHA-256"], prints, words=2, title="Fingerprints"),
        run_table(FILTER_COLUMNS, filtered, words=2, title="Filters of train"),
    ]
    return Section("Data", [*blocks, *([run_table(["teacher"], teachers)] if teachers else [])])


def environment(runs: Sequence[Run]) -> Section:
    """Return seed, machine and versions."""
    known = [run for run in runs if "seed" in run.environment]
    rows = _side_by_side(
        [
            {"seed": part["seed"], **part.get("machine", {}), **part.get("versions", {})}
            for part in (run.environment for run in known)
        ]
    )
    names = [run.name if run.compared else "" for run in known]
    table = Table(["", *names], rows, range(len(names) + 1))
    return Section("Environment", [table] if rows else [])


def _side_by_side(columns: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a row for each key of some mappings, with all their values."""
    keys = dict.fromkeys(key for column in columns for key in column)
    return [[key, *(_value(column.get(key)) for column in columns)] for key in keys]


def _value(value: Any) -> str:
    """Format a setting as in YAML."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)
