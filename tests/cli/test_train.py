"""`nmt train` from the command line: what it prints, refuses and leaves behind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.conftest import Command, needs_bf16, write_pairs

FAST = ["--training.max_updates", "10", "--training.validate_every", "5"]


def test_overrides_reach_the_run_from_any_place(
    nmt: Command, tiny_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    result = nmt("train", "--model.cell", "gru", tiny_config, f"--run={run}", "--seed=5", *FAST)
    assert result.code == 0, result.err
    assert result.out == ""  # everything but results goes to standard error
    stored = yaml.safe_load((run / "config.yaml").read_text())
    assert stored["model"]["cell"] == "gru" and stored["seed"] == 5
    assert result.err.startswith("device: cpu (")
    assert "update 10: validation loss" in result.err
    assert f"the best model is {run}/model" in result.err


def test_the_run_folder_defaults_to_the_configs_name(
    nmt: Command, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert nmt("train", tiny_config, *FAST).code == 0
    assert (tmp_path / "runs" / "tiny" / "model" / "bundle.json").exists()


def test_print_config_shows_every_key_and_does_nothing(
    nmt: Command, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = nmt("train", tiny_config, "--print-config", "--model.layers", "4")
    assert result.code == 0
    shown = yaml.safe_load(result.out)
    assert shown["model"]["layers"] == 4
    assert shown["training"]["clip_norm"] == 1.0  # a default
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_exists_is_refused_or_resumed(
    nmt: Command, tiny_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert nmt("train", tiny_config, "--run", run, "--resume", *FAST).code == 0  # starts it
    refused = nmt("train", tiny_config, "--run", run, *FAST)
    assert refused.code == 2
    assert f"nmt: error: {run} exists; continue with --resume" in refused.err
    again = nmt("train", tiny_config, "--run", run, "--resume", *FAST)
    assert again.code == 0 and "training is finished" in again.err
    harmless = ["--training.log_every", "3", "--data.cache", tmp_path / "cache"]
    assert nmt("train", tiny_config, "--run", run, "--resume", *FAST, *harmless).code == 0
    other = nmt("train", tiny_config, "--run", run, "--resume", *FAST, "--model.dropout", "0.4")
    assert other.code == 2
    assert "was made with another model.dropout" in other.err


@pytest.mark.parametrize(
    ("schedule", "monitor"),
    [("cosine", "bleu"), ("inverse_sqrt", "chrf"), ("plateau", "loss"), ("constant", "bleu")],
)
def test_every_schedule_and_monitor_trains(
    nmt: Command, tiny_config: Path, tmp_path: Path, schedule: str, monitor: str
) -> None:
    words = ["--training.schedule", schedule, "--training.monitor", monitor]
    result = nmt("train", tiny_config, "--run", tmp_path / "run", *FAST, *words)
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    "words",
    [
        ["--tokenizer.model", "bpe", "--tokenizer.shared", "false"],
        ["--tokenizer.model", "char", "--tokenizer.normalization", "nmt_nfkc_cf"],
        ["--tokenizer.model", "word", "--training.accumulate", "2"],
        ["--tokenizer.byte_fallback", "true", "--tokenizer.vocabulary_size", "400"],
        pytest.param(
            ["--training.precision", "bf16", "--training.weight_decay", "0.01"], marks=needs_bf16
        ),
        ["--training.workers", "1", "--training.label_smoothing", "0", "--training.clip_norm", "0"],
        ["--training.max_epochs", "1", "--training.max_updates", "null"],
        ["--model.attention", "general", "--model.reverse_source", "true"],
        ["--model.encoder", "bag", "--model.attention", "general"],
        ["--model.encoder", "window", "--model.window", "2", "--model.hidden_size", "31"],
        ["--data.source_language", "en", "--data.target_language", "de"],
    ],
    ids=lambda words: " ".join(words),
)
def test_options_train_from_end_to_end(
    nmt: Command, tiny_config: Path, tmp_path: Path, words: list[str]
) -> None:
    result = nmt("train", tiny_config, "--run", tmp_path / "run", *FAST, *words)
    assert result.code == 0, result.err
    scores = json.loads((tmp_path / "run" / "scores.test.json").read_text())
    assert scores["sentences"] == 20


@pytest.mark.slow
def test_the_built_in_corpus_trains_without_any_file(
    nmt: Command, tiny_config: Path, tmp_path: Path
) -> None:
    words = [
        "--data.corpus",
        "builtin:phrases",
        "--data.splits",
        "null",
        "--decoding.beam_size",
        "1",
    ]
    result = nmt("train", tiny_config, "--run", tmp_path / "run", *FAST, *words)
    assert result.code == 0, result.err
    for name, sentences in (("test", 1000), ("long", 500)):
        scores = json.loads((tmp_path / "run" / f"scores.{name}.json").read_text())
        assert scores["sentences"] == sentences


def test_a_vocabulary_that_was_lowered_is_said(
    nmt: Command, tiny_config: Path, tmp_path: Path
) -> None:
    words = ["--tokenizer.vocabulary_size", "50000"]
    result = nmt("train", tiny_config, "--run", tmp_path / "run", *FAST, *words)
    assert result.code == 0
    assert "nmt: warning: tokenizer.vocabulary_size 50000 exceeds the pieces" in result.err


def place(corpus: Path, name: str, source: bytes, target: bytes) -> Path:
    prefix = corpus / name
    Path(f"{prefix}.de").write_bytes(source)
    Path(f"{prefix}.en").write_bytes(target)
    return prefix


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.layerss", "2"], "command line: unknown key model.layerss"),
        (["--model.layers", "many"], "model.layers: many must be a whole number from 1 to"),
        (["--model.hidden_size", "31"], "model.hidden_size: 31 is refused: two directions"),
        (
            ["--data.splits.train", "{tmp}/uneven"],
            "uneven.de has 3 lines but {tmp}/uneven.en has 2",
        ),
        (["--data.splits.train", "{tmp}/nowhere"], "there is no file {tmp}/nowhere.de"),
        (["--data.splits.train", "{tmp}/empty"], "data.splits.train: no sentence pair"),
        (["--data.splits.train", "{tmp}/latin"], "latin.de: line 2, byte 3 (0xfc) is not UTF-8"),
        (["--data.splits.train", "{tmp}/table.csv"], "no columns 'de' and 'en'"),
        (["--data.target_language", "fr"], "there is no file {tmp}/train.fr"),
        (["--data.target_language", "fr", "--data.corpus", "builtin:phrases"], "not fr"),
        (["--data.corpus", "builtin:novels"], "there is no builtin corpus 'novels'"),
        (["--data.splits", "{{train: '{tmp}/train'}}"], "there is no validation split"),
        (["--tokenizer.vocabulary_size", "10"], "tokenizer.vocabulary_size: 10 is too small"),
        (["--tokenizer.path", "{tmp}/no.model"], "tokenizer.path: cannot read {tmp}/no.model"),
        (["--training.init_from", "{tmp}/no"], "training.init_from: there is no model at {tmp}/no"),
        (["--data.max_length", "1"], "no pair of the training split is left"),
        (["--training.batch_tokens", "50"], "training.batch_tokens: 50 is refused: one sentence"),
        (["stray"], "unrecognized arguments: stray"),
        (["--seed", "-1"], "seed: -1 must be a whole number"),
        (["--run", "{tmp}/table.csv", "--resume"], "{tmp}/table.csv is a file"),
        (["--run", "{tmp}/table.csv/run"], "{tmp}/table.csv is a file"),
        (["--run", "{tmp}", "--resume"], "--run {tmp}: the folder is not a run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_gets_wrong_is_one_line_and_leaves_nothing(
    nmt: Command,
    tiny_config: Path,
    corpus_folder: Path,
    tmp_path: Path,
    words: list[str],
    told: str,
) -> None:
    pairs = [("eins zwei", "one two"), ("drei", "three"), ("vier", "four")]
    write_pairs(tmp_path / "train", pairs)
    place(tmp_path, "uneven", b"a\nb\nc\n", b"a\nb\n")
    place(tmp_path, "empty", b"", b"")
    place(tmp_path, "latin", b"gut\nm\xfcde\n", b"good\ntired\n".replace(b"\n", b"\n"))
    Path(f"{tmp_path}/latin.de").write_bytes(b"gut\nso\xfc\n")
    (tmp_path / "table.csv").write_text("german,english\na,b\n")
    before = sorted(tmp_path.rglob("*"))
    # Three pairs do not need the tiny config's 300 pieces: only data.splits.train is replaced.
    if "fr" in words and "builtin:phrases" not in words:
        words = [*words, "--data.splits.train", f"{tmp_path}/train"]
    filled = [word.format(tmp=tmp_path) for word in words]
    if "--run" not in filled:
        filled += ["--run", str(tmp_path / "run")]
    result = nmt("train", tiny_config, *filled)
    assert result.code == 2
    last = result.err.splitlines()[-1]
    assert last.startswith("nmt: error: ") and told.format(tmp=tmp_path) in last
    assert "Traceback" not in result.err and "INTERNAL" not in result.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_is_no_run_to_go_on_with(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(tiny_run / "model", tmp_path / "bundle"))
    before = {path: path.read_bytes() for path in bundle.iterdir()}
    result = nmt("train", tiny_config, "--run", bundle, "--resume")
    assert result.code == 2
    assert result.err.startswith(f"nmt: error: --run {bundle}: the folder is not a run")
    assert {path: path.read_bytes() for path in bundle.iterdir()} == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_device_is_an_error(nmt: Command, tiny_config: Path, tmp_path: Path) -> None:
    words = ["--run", tmp_path / "run", "--training.device", "cuda"]
    result = nmt("train", tiny_config, *words)
    assert result.code == 2
    assert "training.device: cuda needs a GPU, and torch finds none" in result.err
    assert not (tmp_path / "run").exists()


def test_an_unreachable_hub_is_one_line(tiny_config: Path, tmp_path: Path) -> None:
    """In a process of its own: the hub's address is read when its library is imported."""
    environment = os.environ | {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    words = ["--data.corpus", "hub:someone/something", "--data.splits", "null"]
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "train", tiny_config, "--run", tmp_path / "run", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("nmt: error: ") and "someone/something" in last
    assert not (tmp_path / "run").exists()
