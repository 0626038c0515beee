"""The shipped config of a data set on the hub, against a hub on 127.0.0.1 in both its layouts."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from nmt.data.phrases import read_split
from tests.conftest import ROOT
from tests.data.hub_server import Files, HubServer

SMALL = [
    *("--tokenizer.vocabulary_size", "300", "--model.hidden_size", "16", "--model.layers", "1"),
    *("--training.max_updates", "4", "--training.warmup_updates", "1"),
    *("--decoding.beam_size", "1"),
]


def rows(split: str, number: int) -> list[dict[str, str]]:
    return [{"en": english, "de": german} for german, english in read_split(split)[:number]]


def data_set(layout: str) -> Files:
    """Files named as in the real one: JSON lines, or the hub's own Parquet."""
    splits = {"train": rows("train", 300), "val": rows("validation", 10), "test": rows("test", 10)}
    if layout == "jsonl":
        return {
            f"{name}.jsonl": "".join(json.dumps(row) + "\n" for row in split).encode()
            for name, split in splits.items()
        }
    files = {}
    for name, split in splits.items():
        stream = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(split), stream)
        full = name.replace("val", "validation")
        files[f"data/{full}-00000-of-00001.parquet"] = stream.getvalue()
    return files


@pytest.mark.parametrize("layout", [pytest.param("jsonl", marks=pytest.mark.slow), "parquet"])
def test_multi30k_trains_from_the_hub(tmp_path: Path, layout: str) -> None:
    server = HubServer({"bentrevett/multi30k": data_set(layout)})
    run = tmp_path / "run"
    words = ["train", ROOT / "configs" / "multi30k.yaml", "--run", run, *SMALL]
    with server.running() as hub:
        done = subprocess.run(
            [sys.executable, "-m", "nmt", *map(str, words)],
            capture_output=True,
            text=True,
            env=os.environ
            | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hub"), "OMP_NUM_THREADS": "1"},
        )
    assert done.returncode == 0, done.stderr
    data = json.loads((run / "environment.json").read_text())["data"]
    assert (data["pairs"], data["kept"]) == (300, 300)
    assert json.loads((run / "scores.test.json").read_text())["sentences"] == 10
