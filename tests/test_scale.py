"""The arithmetic of "Projected scale" in configs/README.md."""

import re

import pytest

from nmt.config import load_config
from nmt.models.seq2seq import Seq2Seq
from nmt.models.weights import shapes_only
from tests.conftest import ROOT

TEXT = (
    (ROOT / "configs" / "README.md").read_text(encoding="utf-8").partition("## Projected scale")[2]
)


def number(pattern: str) -> float:
    found = re.search(pattern, TEXT)
    assert found is not None, pattern
    return float(found[1].replace(",", ""))


@pytest.fixture(scope="module")
def parameters() -> dict[str, int]:
    with shapes_only():
        config = load_config(ROOT / "configs" / "wmt14-en-fr.yaml").model
        network = Seq2Seq(config, source_size=32_000, target_size=32_000, shared=False)
    return {name: weight.numel() for name, weight in network.named_parameters()}


def test_the_network_has_the_parameters_of_the_table(parameters: dict[str, int]) -> None:
    total = sum(parameters.values())
    products = sum(n for name, n in parameters.items() if "weight" in name and "emb" not in name)
    assert number(r"\| ([\d.]+) M parameters") == pytest.approx(total / 1e6, abs=0.05)
    assert number(r"([\d.]+) M of them in matrix products") == pytest.approx(
        products / 1e6, abs=0.05
    )
    tokens = number(r"yaml` \| ([\d,]+) target tokens")
    operations = 6 * products * tokens  # per source token the encoder's, per target token the rest
    assert number(r"([\d.]+) TFLOP in") == pytest.approx(operations / 1e12, abs=0.05)
    assert number(r"TFLOP in (\d+) ms") == pytest.approx(operations / 50e12 * 1e3, abs=0.5)


def test_measured_update(parameters: dict[str, int]) -> None:
    rate, tokens = number(r"measured: ([\d,]+) target"), number(r"pairs, ([\d,]+) target tokens")
    update = 1e3 * tokens / rate
    assert number(r"\| ([\d.]+) ms, 104 pairs") == pytest.approx(update, abs=0.05)
    assert number(r"a pair of it \| ([\d.]+) ms") == pytest.approx(update / 104, abs=0.0005)
    assert number(r"launches of an update \| (\d+) ms") == pytest.approx(update * 2 * 1.8, abs=0.5)


def test_hours(parameters: dict[str, int]) -> None:
    size = 4 * sum(parameters.values())
    arithmetic, launches = (
        number(r"TFLOP in (\d+) ms"),
        number(r"launches of an update \| (\d+) ms"),
    )
    rows = re.findall(
        r"^\| (\d+) \| (\d+) \| (\d+) \| ([\d,]+) \| ([\d.]+) \|$", TEXT, re.MULTILINE
    )
    assert [int(row[0]) for row in rows] == [1, 8, 64]
    for row in rows:
        gpus, exchange, update, hours = (float(row[n]) for n in (0, 1, 2, 4))
        sent = 2 * (gpus - 1) / gpus * size
        assert gpus == 1 or f"{sent / 1e9:.2f} GB on {int(gpus)}" in TEXT
        assert exchange == pytest.approx(sent / (300e9 if gpus <= 8 else 30e9) * 1e3, abs=0.5)
        assert update == pytest.approx(arithmetic + launches + exchange, abs=0.5)
        updates = float(row[3].replace(",", ""))
        assert updates == pytest.approx(300_000 / gpus, abs=1)
        assert hours == pytest.approx(updates * update / 3.6e6, abs=0.05)


def test_a_billion_lines() -> None:
    seconds = 1e9 / number(r"at (\d+) lines per CPU second")
    assert number(r"take (\d+) core-hours") == pytest.approx(seconds / 3600, abs=0.5)
    assert number(r"([\d.]+) hours on 64 cores") == pytest.approx(seconds / 3600 / 64, abs=0.05)
    assert number(r"(\d+) minutes on 1,024") == pytest.approx(seconds / 60 / 1024, abs=0.5)
