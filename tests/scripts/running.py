"""Runs a script as its user does, with this tree's package."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def run_script(name: str, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a script on one thread in a folder, with its output kept."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / name, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
    )
