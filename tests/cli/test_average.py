"""`nmt export --average` from the command line."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from nmt.bundle import load_bundle
from nmt.models.quantization import dequantize, quantize, tensors_of
from nmt.training.averaging import average_checkpoints
from nmt.training.checkpoints import checkpoint_files
from tests.cli.test_export import SENTENCES, hashes
from tests.conftest import Command


def test_the_mean_of_checkpoints_is_a_model_that_says_so(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    out, before = tmp_path / "mean", hashes(tiny_run / "model")
    result = nmt("export", tiny_run, out, "--average", 2)
    assert result.code == 0 and result.out == "", result.err
    assert result.err.startswith(f"{out}: weights in fp32, ")
    assert hashes(tiny_run / "model") == before
    expected, bundle = average_checkpoints(tiny_run, 2).model, load_bundle(out)
    for name, weight in tensors_of(bundle.model).items():
        assert torch.equal(weight, expected.state_dict()[name]), name
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["averaged_updates"] == [20, 30] and metrics["seed"] == 1
    assert not {"validation", "update"} & metrics.keys()
    card = (out / "README.md").read_text()
    assert "Weights: fp32, the mean of those after the updates 20, 30.\n" in card
    assert "No scores on the validation split are stored." in card
    assert "| bleu |" not in card and "400 sentence pairs" in card
    # A bundle as any other: of the same files, and it translates.
    assert hashes(out).keys() == before.keys()
    source = tmp_path / "in.de"
    source.write_text("".join(f"{line}\n" for line in SENTENCES))
    result = nmt("translate", out, source)
    assert result.code == 0 and result.out.count("\n") == len(SENTENCES), result.err
    plain = nmt("translate", tiny_run, source, "--format", "tsv")
    assert nmt("translate", out, source, "--format", "tsv").out != plain.out


def test_the_mean_is_rounded_after_it_is_taken(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    out = tmp_path / "int8"
    assert nmt("export", tiny_run, out, "--average", 2, "--precision", "int8").code == 0
    expected = dequantize(quantize(average_checkpoints(tiny_run, 2).model))
    bundle = load_bundle(out)
    assert bundle.precision == "int8"
    for name, weight in tensors_of(bundle.model).items():
        assert torch.equal(weight, expected[name]), name
    told = "Weights: int8, the mean of those after the updates 20, 30, rounded to int8.\n"
    assert told in (out / "README.md").read_text()
    assert nmt("translate", out, "/dev/null").code == 0


def test_a_run_without_a_best_model_has_a_mean(
    tiny_run: Path, tmp_path: Path, nmt: Command
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    shutil.rmtree(run / "model")
    assert nmt("export", run, tmp_path / "out", "--average", 2).code == 0


@pytest.mark.parametrize(
    ("model", "out", "number", "told"),
    [
        ("run", "out", "1", "--average: 1 is too few; give at least 2, or leave it out"),
        ("run", "out", "two", "--average: two must be a whole number"),
        ("run", "out", "3", "--average: 3 exceeds the 2 checkpoints in {run}/checkpoints"),
        ("run", "out", "3", "ask for fewer, or raise training.keep_checkpoints"),
        ("run/model", "out", "2", "{run}/model holds no checkpoints; give the folder of a run"),
        ("none", "out", "2", "none holds no checkpoints; give the folder of a run"),
        ("damaged", "out", "2", "damaged/checkpoints/update-000000030.ckpt is damaged (BadZip"),
        ("run", "run/model", "2", "{run}/model lies in the model itself"),
        ("run", "no/out", "2", "there is no folder"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    tiny_run: Path, tmp_path: Path, nmt: Command, model: str, out: str, number: str, told: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    if model == "damaged":
        shutil.copytree(run, tmp_path / "damaged")
        checkpoint_files(tmp_path / "damaged" / "checkpoints")[-1].write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    result = nmt("export", tmp_path / model, tmp_path / out, "--average", number)
    assert result.code == 2 and told.format(run=run) in result.err, result.err
    assert result.err.startswith("nmt: error: ") and result.err.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
