"""The quickstart, as a stranger runs it: in a clean clone, without an environment."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_the_quickstart_reaches_its_bar_in_a_clean_clone(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}

    def quickstart() -> str:
        return subprocess.run(
            ["scripts/quickstart.sh"],
            cwd=clone,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    quickstart()
    scores = json.loads((clone / "runs/quickstart/scores.test.json").read_text())
    assert scores["bleu"]["score"] >= 90
    assert (clone / "runs/quickstart/scores.long.json").exists()
    again = quickstart()
    assert "The model is there" in again and "BLEU" in again and "→" in again
