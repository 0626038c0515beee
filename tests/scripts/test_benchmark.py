"""scripts/benchmark.py: one row for each model, engine and search, with the model's own BLEU."""

import json
from pathlib import Path

import pytest
import sacrebleu

import nmt as package
from tests.scripts.running import run_script


@pytest.mark.slow
def test_rows_have_the_bleu_of_their_search(
    tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    source, reference = (corpus_folder / f"test.{language}" for language in ("de", "en"))
    words = [f"tiny={tiny_run}", "--source", source, "--reference", reference, "--rounds", 1]
    words += ["--engines", "fp32", "int8", "int8, shortlist, prune 1", "--lines", 70]
    words += ["--json", tmp_path / "out.json", "--plot", tmp_path / "out.png"]
    done = run_script("benchmark.py", tmp_path, *words)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "out.json").read_text())
    names = [(row["search"], row["engine"]) for row in rows]
    every = ["fp32", "int8", "int8, shortlist, prune 1"]
    expected = [("greedy", name) for name in every[:2]] + [("beam 5", name) for name in every]
    assert names == expected
    lines, references = (
        path.read_text(encoding="utf-8").split("\n")[:-1] for path in (source, reference)
    )
    for row, settings in [(rows[0], {"greedy": True}), (rows[2], {"beam_size": 5})]:
        found = package.load(tiny_run, precision="fp32").translate(lines, **settings)
        texts = [each.text for each in found]
        assert row["bleu"] == pytest.approx(sacrebleu.corpus_bleu(texts, [references]).score)
    for row in rows:
        assert row["lines_per_cpu_second"] == pytest.approx(70 / row["rounds"][0]["cpu"])
        assert f"{row['lines_per_cpu_second']:,.0f}" in done.stdout and row["peak_mib"] > 0
    assert (tmp_path / "out.png").stat().st_size > 10_000
