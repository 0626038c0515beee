"""Real text, where NMT_MULTI30K names its folder."""

import json
from pathlib import Path

import pytest

from nmt.text.lines import read_lines
from tests.conftest import ROOT, Command


def test_the_shipped_config_trains_on_local_files(
    nmt: Command, multi30k: Path, tmp_path: Path
) -> None:
    words = ["--data.corpus", "files", "--data.splits.train", multi30k / "val"]
    words += ["--data.splits.validation", multi30k / "test_2016_flickr"]
    words += ["--data.splits.test", multi30k / "test_2016_flickr", "--model.hidden_size", "32"]
    words += ["--tokenizer.vocabulary_size", "1000", "--decoding.beam_size", "1"]
    words += ["--training.max_updates", "6", "--training.warmup_updates", "2"]
    config = ROOT / "configs" / "multi30k.yaml"
    result = nmt("train", config, "--run", tmp_path / "run", *words)
    assert result.code == 0, result.err
    assert "1,014 pairs, 1,014 kept" in result.err
    scores = json.loads((tmp_path / "run" / "scores.test.json").read_text())
    assert scores["sentences"] == 1000


@pytest.mark.parametrize("tag", ["de", "en", "fr"])
def test_real_files_read_line_by_line_as_the_system_counts(multi30k: Path, tag: str) -> None:
    for name, lines in [("train", 29_000), ("val", 1_014), ("test_2016_flickr", 1_000)]:
        path = multi30k / f"{name}.{tag}"
        assert sum(1 for _ in read_lines(path)) == lines == path.read_bytes().count(b"\n")
