"""Reads run folders, without torch."""

import contextlib
import datetime
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

import safetensors

from nmt.card import Environment, Metrics
from nmt.config import Config, load_stored_config
from nmt.diagnosis.records import Diagnosis
from nmt.errors import DataError
from nmt.evaluation.metrics import Scores
from nmt.evaluation.translations import Translations, read_translations
from nmt.log import STARTED
from nmt.reading import read_record, read_rows
from nmt.report.blocks import file_name


@dataclass(frozen=True)
class Run:
    """One run; missing parts are empty or None."""

    name: str
    """Unique in the report."""
    config: Config
    environment: dict[str, Any]
    history: list[dict[str, float]]
    """Rows of `metrics.csv` by column, without empty fields."""
    scores: dict[str, Scores]
    """By test split."""
    translations: dict[str, Translations]
    """By test split."""
    best: dict[str, Any]
    """`metrics.json` of the best model."""
    diagnosis: Diagnosis
    stale: bool
    """Whether the diagnosis is of other weights than those of the best model."""
    parameters: int = 0
    """Number of weights of the best model; 0 if unknown."""
    minutes: float = 0.0
    """Time of training and scoring, without the time between a stop and the next start."""
    ended: str = ""
    """The day of the last line in `train.log`, as YYYY-MM-DD."""

    number: int = 0
    """Position in the report."""
    compared: bool = False
    """Whether the report has several runs."""

    def titled(self, text: str) -> str:
        """Prefix a heading with the run's name if there are several runs."""
        return f"{self.name}: {text}" if self.compared else text

    def figure_name(self, *words: object) -> str:
        """Make the name of a figure's files, with the run's number if there are several runs."""
        return file_name(self.number + 1, *words) if self.compared else file_name(*words)

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Return the updates at which a number was recorded, and the numbers."""
        rows = [row for row in self.history if name in row]
        return [row["update"] for row in rows], [row[name] for row in rows]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read run folders.

    Raises:
        DataError: a folder is not a run, or a file in it is damaged; the message names it.
    """
    names = [os.path.basename(os.path.realpath(folder)) for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{twice} is given twice; give each run once")
    runs = map(_read, folders, names)
    return [replace(run, number=i, compared=len(names) > 1) for i, run in enumerate(runs)]


def _read(folder: Path, name: str) -> Run:
    if (folder / "bundle.json").exists():
        raise DataError(f"{folder} is a bundle, a model alone; give the folder of its run")
    if not (folder / "config.yaml").exists():
        raise DataError(f"{folder} is not a run folder: it has no config.yaml")
    config = load_stored_config(folder / "config.yaml")
    splits = ["test", *(config.data.splits or ())]  # the main test set first
    translations = _by_split(folder, "translations.*.jsonl", splits)
    diagnosis = Diagnosis("", "", [])
    if (folder / "diagnosis.json").exists():
        diagnosis = read_record(folder / "diagnosis.json", Diagnosis)
    files = _record(folder / "model" / "bundle.json", _Files).get("files", {})
    weights = files.get("weights.safetensors")
    minutes, ended = _times(folder / "train.log")
    return Run(
        name=name,
        config=config,
        environment=_record(folder / "environment.json", Environment),
        history=_history(folder / "metrics.csv"),
        scores=read_scores(folder, splits),
        translations={split: read_translations(path) for split, path in translations},
        best=_record(folder / "model" / "metrics.json", Metrics),
        diagnosis=diagnosis,
        stale=diagnosis.weights not in ("", weights),
        parameters=count_parameters(folder / "model" / "weights.safetensors"),
        minutes=minutes,
        ended=ended,
    )


def read_scores(folder: Path, splits: Sequence[str] = ("test",)) -> dict[str, Scores]:
    """Read a run's scores by test split: those of `splits` first, then the others by name."""
    found = _by_split(folder, "scores.*.json", splits)
    return {split: read_record(path, Scores) for split, path in found}


def _by_split(folder: Path, kind: str, order: Sequence[str]) -> list[tuple[str, Path]]:
    """Return the split and the path of each file KIND.SPLIT.…; splits outside `order` come last.

    Others, such as an editor's copies, are left alone.
    """
    files = [(path.stem.partition(".")[2], path) for path in sorted(folder.glob(kind))]
    return sorted(files, key=lambda file: order.index(file[0]) if file[0] in order else len(order))


def count_parameters(path: Path) -> int:
    """Count the weights in a safetensors file; 0 if it is missing or damaged."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = {*file.keys()} - {"decoder.token_counts"}  # not trained
            return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    except (OSError, safetensors.SafetensorError):
        return 0


def _times(path: Path) -> tuple[float, str]:
    """Return the minutes of all sessions in a log, and the day of its last line."""
    if not path.exists():
        return 0.0, ""
    seconds, last = 0.0, None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):  # the rest of an entry with several lines
            time = datetime.datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S")
            if last is not None and not line[24:].startswith(STARTED):
                seconds += (time - last).total_seconds()
            last = time
    return seconds / 60, "" if last is None else f"{last:%Y-%m-%d}"


class _Files(TypedDict, total=False):
    files: dict[str, str]


def _record(path: Path, kind: type[Any]) -> dict[str, Any]:
    """Read a typed dict; an empty one if the file is missing."""
    return read_record(path, kind) if path.exists() else {}


def _history(path: Path) -> list[dict[str, float]]:
    """Read the numbers of `metrics.csv`; incomplete rows, as after a kill, are left out."""
    rows = read_rows(path)[0] if path.exists() else []
    return [{name: float(value) for name, value in row.items()} for row in rows]
