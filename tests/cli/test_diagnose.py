"""`nmt diagnose`: of a run, a bundle and a config; its page, its files and its errors."""

import json
import shutil
from pathlib import Path

import pytest

from nmt.bundle import load_bundle
from nmt.diagnosis.records import Diagnosis
from nmt.reading import read_record, sha256
from tests.conftest import Command


def test_a_run_is_looked_at_as_it_is_and_as_it_began(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    result = nmt("diagnose", run, "--split", "test", "--sentences", "6")
    assert result.code == 0, result.err
    found = read_record(run / "diagnosis.json", Diagnosis)
    assert found.split == "test"
    assert found.weights == sha256(run / "model" / "weights.safetensors")
    assert [(flow.cell, flow.moment) for flow in found.flows] == [
        ("lstm", "trained"),
        ("lstm", "start"),
    ]
    assert all(one.relative_error < 1e-6 for flow in found.flows for one in flow.sums)
    assert found.losses and found.probes and found.states and found.samples
    page = " ".join(result.out.split())
    assert page.startswith(f"{run}, on sentences of test")
    for flow in found.flows:
        for verdict in flow.verdicts:
            of = "lstm, trained: " if flow.moment == "trained" else ""
            assert f"{verdict.level}: {of}{verdict.text}" in page
        for curve in flow.states:
            kept = f"{curve.kept_per_step:.4f}"
            assert f"{curve.network} {curve.layer} {curve.state} {kept}" in page
    for finding in found.probes.verdicts:
        assert f"{finding.level}: {finding.text}" in page
    for probe in found.probes.probes:
        assert f"{probe.name} {probe.loss:.3f}" in page
    assert {path.name for path in run.iterdir()} - {path.name for path in tiny_run.iterdir()} == {
        "diagnosis.json"
    }


def test_a_run_whose_base_model_is_gone_is_looked_at_as_it_is(
    nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    stored = (run / "config.yaml").read_text()
    assert "init_from: null" in stored
    changed = stored.replace("init_from: null", f"init_from: {tmp_path}/gone")
    (run / "config.yaml").write_text(changed)
    result = nmt("diagnose", run, "--sentences", "2")
    assert result.code == 0, result.err
    assert (
        f"the gradient flow before training is left out: there is no model at {tmp_path}/gone"
        in (result.err)
    )
    found = read_record(run / "diagnosis.json", Diagnosis)
    assert [flow.moment for flow in found.flows] == ["trained"] and found.probes


def test_a_config_is_looked_at_before_training_with_another_cell_beside_it(
    nmt: Command, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--sentences", "2", "--cells", "gru", "--updates", "3", "--device", "cpu"]
    keys = ["--model.cell", "tanh", "--model.layers", "2"]
    result = nmt("diagnose", tiny_config, *words, *keys, "--json", "-")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["split"] == "validation" and found["weights"] == ""
    assert [(flow["cell"], flow["moment"]) for flow in found["flows"]] == [
        ("tanh", "start"),
        ("gru", "start"),
        ("gru", "after 3 updates"),
    ]
    assert {one["layer"] for one in found["flows"][0]["states"]} == {1, 2}
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_looked_at_with_sentences_that_are_given(
    nmt: Command, tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_run / "model", bundle)
    given = [
        "--sentences",
        "3",
        "--source",
        corpus_folder / "val.de",
        "--reference",
        corpus_folder / "val.en",
    ]
    result = nmt("diagnose", bundle, *given, "--json", tmp_path / "found.json")
    assert result.code == 0, result.err
    assert f"{bundle}, on sentences of val.de" in " ".join(result.out.split())
    found = read_record(tmp_path / "found.json", Diagnosis)
    assert [flow.moment for flow in found.flows] == ["trained"]
    load_bundle(bundle)
    assert not (bundle / "diagnosis.json").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{tmp}/nowhere"], "there is no run, model or config at {tmp}/nowhere"),
        (["{data}"], "{data} is neither a run nor a model"),
        (["{run}", "--model.cell", "gru"], "--model.cell: {run} is trained; config keys go"),
        (["{config}", "--model.cel", "gru"], "unknown key model.cel"),
        (["{run}", "--split", "dev"], "has no split 'dev'; it has"),
        (["{config}", "--split", "dev"], "has no split 'dev'; it has"),
        (["{run}/model"], "{run}/model is a bundle, which does not say where its data lies"),
        (["{run}", "--cells", "gru,lstn"], "--cells: 'lstn' must be lstm, gru, tanh or relu"),
        (["{run}", "--cells", ""], "--cells: '' must be lstm, gru, tanh or relu"),
        (["{run}", "--updates", "5"], "--updates belongs to --cells"),
        (
            ["{run}", "--cells", "gru", "--updates", "0"],
            "--updates: 0 must be a whole number from 1",
        ),
        (["{run}", "--sentences", "-3"], "--sentences: -3 must be a whole number from 1"),
        (["{run}", "--source", "{tmp}/a"], "--source and --reference belong together"),
        (["{run}", "--split", "test", "--source", "{tmp}/a"], "--split has its own source"),
        (
            ["{config}", "--data.splits.validation", "{empty}"],
            "data.splits.validation: no sentence pair in {empty}",
        ),
        (["{run}", "--source", "{empty}", "--reference", "{empty}"], "{empty} is empty"),
        (
            ["{run}", "--source", "{data}/val.de", "--reference", "{data}/train.en"],
            "{data}/val.de has 20 lines, and {data}/train.en 400",
        ),
        (
            ["{run}/model", "--cells", "gru"],
            "--cells: {run}/model is a bundle, which does not say where its data lies",
        ),
        (["{run}", "--json", "{tmp}/no/folder.json"], "cannot write {tmp}/no/folder.json"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_gets_wrong_is_one_line(
    nmt: Command,
    tiny_run: Path,
    tiny_config: Path,
    corpus_folder: Path,
    tmp_path: Path,
    words: list[str],
    told: str,
) -> None:
    empty = tmp_path / "empty.tsv"
    empty.touch()
    names = {"tmp": tmp_path, "run": tiny_run, "config": tiny_config}
    names |= {"data": corpus_folder, "empty": empty}
    result = nmt("diagnose", *(word.format(**names) for word in words))
    assert result.code == 2 and result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith("nmt: error: ") and told.format(**names) in last
    assert not (tiny_run / "diagnosis.json").exists()
