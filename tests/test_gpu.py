"""On a GPU: training, resuming and translating, compared with the CPU."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

import nmt
from nmt.config import Config
from nmt.data.phrases import read_split
from nmt.errors import UsageError
from nmt.training.run import train
from tests.conftest import Command
from tests.training.made import assert_equal_runs, changed, train_until_killed, with_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

CELLS = ("lstm", "gru", "tanh", "relu")
NETWORKS: dict[str, dict[str, Any]] = {
    "wide": {"bridge": "wide", "pool": "mean"},
    "attention": {"attention": "general"},
    "input feeding": {"attention": "additive", "input_feeding": True},
    "locked": {"locked_dropout": True},
}
SOURCES = [source for source, _ in read_split("test")[:60]]


@pytest.fixture(scope="module")
def config(tiny_config: Path) -> Config:
    return changed(tiny_config, max_updates=20, validate_every=8)


def losses(run: Path) -> list[float]:
    with open(run / "metrics.csv", newline="", encoding="utf-8") as stream:
        return [float(row["train_loss"]) for row in csv.DictReader(stream) if row["train_loss"]]


@pytest.mark.parametrize("cell", CELLS)
def test_a_gpu_finds_the_losses_of_the_cpu(config: Config, cell: str, tmp_path: Path) -> None:
    """Without dropout both compute the same, but for the order of sums, and cuDNN's TF32.

    States of relu cells have no bound, and differences grow with them: 0.05 on an H200.
    """
    model = with_model(config, cell=cell, dropout=0.0)
    for device in ("cpu", "cuda"):
        train(changed(model, device=device, precision="fp32"), tmp_path / device)
    assert losses(tmp_path / "cuda") == pytest.approx(
        losses(tmp_path / "cpu"), rel=0.1 if cell == "relu" else 0.02
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_on_a_gpu_resumes_bit_for_bit(
    config: Config, network: str, precision: str, tmp_path: Path
) -> None:
    wanted = with_model(
        changed(config, device="cuda", precision=precision, checkpoint_every=4), **NETWORKS[network]
    )
    train(wanted, tmp_path / "whole")
    train_until_killed(wanted, tmp_path / "run", after=11)
    train(wanted, tmp_path / "run", resume=True)
    assert_equal_runs(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("beam_size", [1, 5])
def test_a_gpu_translates_as_the_cpu_does(tiny_run: Path, beam_size: int) -> None:
    """Scores differ by rounding; a translation only where two hypotheses are as good."""
    found = {
        device: nmt.load(tiny_run, device=device, precision="fp32").translate(
            SOURCES, beam_size=beam_size
        )
        for device in ("cpu", "cuda")
    }
    scores = {device: [one.score for one in each] for device, each in found.items()}
    assert scores["cuda"] == pytest.approx(scores["cpu"], abs=1e-3)
    texts = {device: [one.text for one in each] for device, each in found.items()}
    same = sum(a == b for a, b in zip(texts["cpu"], texts["cuda"], strict=True))
    assert same >= len(SOURCES) - 1


def test_a_translation_on_a_gpu_does_not_depend_on_its_company(tiny_run: Path) -> None:
    translator = nmt.load(tiny_run, device="cuda", precision="fp32")
    together = translator.translate(SOURCES)
    assert [translator.translate([source])[0].text for source in SOURCES] == [
        one.text for one in together
    ]


def test_int8_is_refused_on_a_gpu(tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="int8 needs a CPU"):
        nmt.load(tiny_run, device="cuda", precision="int8")


def test_a_batch_that_does_not_fit_into_the_gpu_names_the_remedy(
    nmt: Command, tiny_config: Path, tmp_path: Path
) -> None:
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        words = ["--model.hidden_size", 512, "--training.device", "cuda", "--run", tmp_path / "run"]
        result = nmt("train", tiny_config, *words)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert result.code == 1
    assert "training does not fit into memory: lower training.batch_tokens" in result.err


@pytest.mark.parametrize("word", ["check", "diagnose"])
def test_commands_that_train_a_little_run_on_a_gpu(
    nmt: Command, tiny_config: Path, tiny_run: Path, word: str
) -> None:
    words = {
        "check": [tiny_config, "--training.device", "cuda"],
        "diagnose": [tiny_config, "--cells", "lstm,relu", "--updates", 5, "--device", "cuda"],
    }[word]
    result = nmt(word, *words)
    assert result.code == 0, result.err
