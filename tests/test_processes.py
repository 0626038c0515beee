"""Child processes and training processes, whose parent is killed at any moment."""

import os
import subprocess
import sys
import time
import tokenize
from pathlib import Path

import psutil
import pytest

from nmt.processes import ChildProcess

PARENT = """
import sys, time
from nmt.processes import ChildProcess
child = ChildProcess("import subprocess, sys; subprocess.run([sys.executable, '-c', "
                     "'import time; time.sleep(600)'])")
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
"""


def test_a_users_script_in_the_working_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's `-c` looks there first, and `tokenize` is a module that others import."""
    (tmp_path / "tokenize.py").write_text("print('the user's own')")
    monkeypatch.chdir(tmp_path)
    child = ChildProcess("import tokenize; print(tokenize.__file__)", stdout=subprocess.PIPE)
    found, _ = child.communicate()
    assert child.returncode == 0 and found.decode().strip() == tokenize.__file__


def wait_for_end(processes: list[psutil.Process]) -> None:
    """Wait until all have ended; a zombie that nobody reaps here counts as ended."""
    deadline = time.monotonic() + 60
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes):
        assert time.monotonic() < deadline, processes
        time.sleep(0.05)


@pytest.mark.parametrize("moment", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kill", [True, False])
def test_a_child_and_its_children_end_with_their_parent(moment: float, kill: bool) -> None:
    words = [sys.executable, "-c", PARENT, "600" if kill else str(moment)]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    time.sleep(moment if kill else moment / 2)
    family = [child, *child.children(recursive=True)]
    if kill:
        parent.kill()
    parent.communicate()
    wait_for_end(family)


@pytest.mark.parametrize(
    "moment",
    [0.2, pytest.param(2.0, marks=pytest.mark.slow), pytest.param(6.0, marks=pytest.mark.slow)],
)
def test_no_training_process_outlives_its_parent(
    tiny_config: Path, tmp_path: Path, moment: float
) -> None:
    """Killed while Python starts, while torch is imported, and in training."""
    words = ["train", tiny_config, "--run", tmp_path / "run", "--training.max_updates", "100000"]
    words += ["--training.devices", "3", "--training.workers", "1", "--training.schedule"]
    parent = subprocess.Popen(
        [sys.executable, "-m", "nmt", *map(str, words), "constant"],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while len(family := psutil.Process(parent.pid).children(recursive=True)) < 2:
        assert parent.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(moment)
    family = psutil.Process(parent.pid).children(recursive=True) or family
    parent.kill()
    parent.communicate()
    wait_for_end(family)
