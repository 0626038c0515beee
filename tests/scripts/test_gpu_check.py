"""scripts/gpu_check.py runs all its parts in small on a CPU."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scripts.running import run_script


@pytest.mark.slow
def test_every_part_gives_a_figure_on_a_cpu(tmp_path: Path) -> None:
    done = run_script("gpu_check.py", tmp_path, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "gpu_check.json").read_text())["rows"]
    tests = len(re.findall(r"^def test_", (ROOT / "tests" / "test_gpu.py").read_text(), re.M))
    assert rows[0]["failed"] == 0 and sum(rows[0]["counts"].values()) >= tests
    speeds = [row for row in rows if row["unit"].endswith("/s")]
    assert len(speeds) == 9 and all(row["value"] > 0 for row in speeds)
    assert {row["part"] for row in speeds} >= {"training, bf16", "translating, fp32, beam 5"}
    assert rows[-1]["value"] == 0  # the CPU beside itself
    for row in rows:
        assert row["part"] in done.stdout
