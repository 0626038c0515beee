"""scripts/scaling.py walks its axes at toy size, and fits what it measured."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.scripts.running import run_script

AXES = ["source length", "beam size", "training: vocabulary"]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """The script's folder, its rows and what it printed."""
    folder = tmp_path_factory.mktemp("scaling")
    words = ["--quick", "--json", "out.json", "--plot", "out.png", "--axes", *AXES]
    done = run_script("scaling.py", folder, *words)
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "out.json").read_text()), done.stdout


@pytest.mark.slow
def test_each_axis_is_walked_with_all_else_at_its_base(
    walked: tuple[Path, list[dict[str, Any]], str],
) -> None:
    _, rows, _ = walked
    names = [(row["work"], row["axis"]) for row in rows]
    assert names == [
        ("translating", "source length"),
        ("translating", "beam size"),
        ("training", "vocabulary"),
    ]
    for row in rows:
        assert row["values"] == [row["base"][row["axis"]], 2 * row["base"][row["axis"]]]
        assert all(len(row[name]) == 2 for name in ("seconds", "mib", "tokens_per_second"))
    length, beam, _ = rows
    assert length["tokens"] == [4 * 12, 4 * 24] and beam["tokens"] == [4 * 12, 4 * 12]
    assert length["seconds"][0] == beam["seconds"][0]  # the base is measured once


@pytest.mark.slow
def test_the_exponents_follow(walked: tuple[Path, list[dict[str, Any]], str]) -> None:
    _, rows, printed = walked
    for row in rows:
        assert f"{row['work']}: {row['axis']}" in printed
        for name, exponent in row["exponents"].items():
            slope, _ = np.polyfit(np.log(row["values"]), np.log(row[name]), 1)
            assert exponent == pytest.approx(slope) and f"{exponent:.2f}" in printed


def test_a_power_law_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from scaling import slope

    assert slope([1, 2, 5, 9], [3 * x**1.5 for x in (1, 2, 5, 9)]) == pytest.approx(1.5)
    assert math.isnan(slope([4], [2.0]))


@pytest.mark.slow
def test_it_is_drawn(walked: tuple[Path, list[dict[str, Any]], str]) -> None:
    assert (walked[0] / "out.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_axis_is_refused(tmp_path: Path) -> None:
    done = run_script("scaling.py", tmp_path, "--axes", "depth")
    assert done.returncode == 2 and "'depth'" in done.stderr
