"""The shipped recipes, against a hub on 127.0.0.1 with files in the real sets' layouts."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from nmt.config import load_config
from nmt.data.phrases import read_split
from tests.conftest import ROOT
from tests.data.hub_server import Files, HubServer

UPDATES = 20
SMALL = [
    *("--tokenizer.vocabulary_size", "300", "--model.embedding_size", "16"),
    *("--model.hidden_size", "16", "--model.layers", "1", "--decoding.beam_size", "1"),
    *("--training.max_updates", str(UPDATES), "--training.warmup_updates", "1"),
]
TRAIN = 1800  # pairs; the recipe of IWSLT cuts 1,500 of them for validation
SPLITS = {"train": TRAIN, "validation": 10, "test": 10}


def rows(split: str, number: int, pair: tuple[str, str]) -> list[dict[str, str]]:
    """Sentences of ours under the names of other languages, which no recipe looks at."""
    return [dict(zip(pair, texts, strict=True)) for texts in read_split(split)[:number]]


def parquet(values: list[dict[str, str]], nested: bool) -> bytes:
    stream = io.BytesIO()
    table = [{"translation": row} for row in values] if nested else values
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), stream)
    return stream.getvalue()


def data_set(pair: tuple[str, str], folder: str, nested: bool = False, shards: int = 1) -> Files:
    """Splits as the hub keeps them in Parquet: `FOLDER/SPLIT-00000-of-00003.parquet`."""
    files = {}
    for split, number in SPLITS.items():
        values, parts = rows(split, number, pair), shards if split == "train" else 1
        for part in range(parts):
            name = f"{folder}/{split}-{part:05}-of-{parts:05}.parquet"
            files[name] = parquet(values[part::parts], nested)
    return files


def configured(names: list[str], wanted: str, files: Files) -> Files:
    """A set of several configurations, which its README.md names with their files."""
    text, others = "---\nconfigs:\n", {}
    for name in names:
        text += f"- config_name: {name}\n  data_files:\n"
        for split in SPLITS:
            text += f"  - split: {split}\n    path: {name}/{split}-*\n"
            if name != wanted:
                others[f"{name}/{split}-00000-of-00001.parquet"] = b"never read"
    return files | others | {"README.md": f"{text}---\n".encode()}


def multi30k_lines() -> Files:
    """The files of the real Multi30k, whose validation split is called val."""
    files = {}
    for split, number in SPLITS.items():
        lines = [json.dumps(row) for row in rows(split, number, ("de", "en"))]
        files[f"{split.replace('validation', 'val')}.jsonl"] = "\n".join([*lines, ""]).encode()
    return files


def wmt14(config: str) -> Files:
    names = ["cs-en", "de-en", "fr-en", "hi-en", "ru-en"]
    first, second = config.split("-")
    return configured(names, config, data_set((first, second), config, nested=True, shards=3))


def opus100() -> Files:
    files = data_set(("de", "en"), "de-en", nested=True)
    return configured(["af-en", "de-en", "en-vi"], "de-en", files)


slow = pytest.mark.slow
LAYOUTS = [
    pytest.param("multi30k", multi30k_lines, id="multi30k-jsonl"),
    pytest.param("multi30k", lambda: data_set(("de", "en"), "data"), marks=slow, id="multi30k"),
    pytest.param(
        "iwslt2015-en-vi", lambda: data_set(("vi", "en"), "data"), marks=slow, id="iwslt2015"
    ),
    pytest.param("opus100-de-en", opus100, marks=slow, id="opus100"),
    pytest.param("wmt14-en-de", lambda: wmt14("de-en"), marks=slow, id="wmt14-en-de"),
    pytest.param("wmt14-en-fr", lambda: wmt14("fr-en"), marks=slow, id="wmt14-en-fr"),
]


@pytest.mark.parametrize(("recipe", "files"), LAYOUTS)
def test_a_recipe_trains_from_the_hub(
    tmp_path: Path, recipe: str, files: Callable[[], Files]
) -> None:
    path, run = ROOT / "configs" / f"{recipe}.yaml", tmp_path / "run"
    config = load_config(path)
    name = config.data.corpus.removeprefix("hub:").partition("#")[0]
    words = ["train", path, "--run", run, *SMALL]
    with HubServer({name: files()}).running() as hub:
        done = subprocess.run(
            [sys.executable, "-m", "nmt", *map(str, words)],
            capture_output=True,
            text=True,
            env=os.environ
            | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hub"), "OMP_NUM_THREADS": "1"},
        )
    assert done.returncode == 0, done.stderr
    assert f"update {UPDATES}" in done.stderr
    data = json.loads((run / "environment.json").read_text())["data"]
    cut = (config.data.splits or {}).get("validation", {"cut": 0})
    assert isinstance(cut, dict)
    pairs = TRAIN - cut["cut"]
    assert data["pairs"] == pairs and data["kept"] + sum(data["left_out"].values()) == pairs
    assert json.loads((run / "scores.test.json").read_text())["sentences"] == 10
    # The direction is the config's, whatever the order of the set's columns.
    row = json.loads((run / "translations.test.jsonl").read_text().splitlines()[0])
    german, english = read_split("test")[0]
    swapped = config.data.source_language == "en"
    assert (row["source"], row["reference"]) == (
        (english, german) if swapped else (german, english)
    )
