"""Standard streams, locales and users that a service or a container has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NMT = f"{sys.executable} -m nmt"

pytestmark = pytest.mark.slow


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    words = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(
        words, cwd=folder, capture_output=True, timeout=200, env=os.environ | environment
    )


@pytest.mark.parametrize(
    "words", ["--help", "translate --help", "report RUN --text", "evaluate RUN", "check tiny.yaml"]
)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16"])
def test_a_terminal_that_is_not_utf8_gets_all_it_can_show(
    tiny_run: Path, words: str, encoding: str
) -> None:
    if words != "report RUN --text" and encoding != "ascii":
        pytest.skip("one verb for each encoding")
    command = f"{NMT} {words.replace('RUN', str(tiny_run))}"
    done = shell(command, tiny_run.parent, PYTHONIOENCODING=encoding)
    plain = shell(command, tiny_run.parent, PYTHONIOENCODING="utf-8")
    assert done.returncode == plain.returncode == 0, done.stderr
    lines = done.stdout.decode(encoding).splitlines()
    # The last line of a check is an estimate of time.
    assert len(lines) == len(plain.stdout.decode().splitlines())


@pytest.mark.parametrize(
    "command",
    [
        "--help >&-",
        "--help > /dev/full",
        "evaluate RUN > /dev/full",
        "translate RUN in >&-",
        "translate RUN in > /dev/full",
        "report RUN --text >&-",
    ],
)
def test_an_output_that_is_closed_or_full_is_one_line(
    tiny_run: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "in").write_text("Der Hund.\n")
    done = shell(f"{NMT} {command.replace('RUN', str(tiny_run))}", tmp_path)
    assert done.returncode in (1, 2)
    told = done.stderr.decode().splitlines()
    assert [line.startswith("nmt: error: ") for line in told].count(True) == 1
    assert "standard output" in told[-1]
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_stop_work_or_become_files(
    tiny_run: Path, tmp_path: Path, closed: str
) -> None:
    (tmp_path / "in").write_text("Der Hund.\n")
    expected = shell(f"{NMT} translate {tiny_run} in", tmp_path).stdout
    done = shell(f"{NMT} translate {tiny_run} in -o out {closed}", tmp_path)
    assert done.returncode == 0 and (tmp_path / "out").read_bytes() == expected


def test_training_needs_no_standard_stream(tiny_config: Path, tmp_path: Path) -> None:
    words = f"train {tiny_config} --run run --training.max_updates 6 <&- >&- 2>&-"
    assert shell(f"{NMT} {words}", tmp_path).returncode == 0
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    "words",
    ["translate RUN BAD", "predict RUN BAD", "train BAD", "train C --data.cache BAD", "BAD"],
)
def test_an_argument_that_is_not_utf8_is_one_line(
    tiny_run: Path, tiny_config: Path, tmp_path: Path, words: str
) -> None:
    command = words.replace("RUN", str(tiny_run)).replace("C ", f"{tiny_config} ")
    done = shell(f"{NMT} {command.replace('BAD', '$BAD')}", tmp_path, BAD="Hund\udcff")
    assert done.returncode == 2 and list(tmp_path.iterdir()) == []
    (line,) = done.stderr.decode().splitlines()
    assert "Hund\\udcff" in line and "UTF-8" in line


HOMELESS = """
import os, pwd, sys

def getpwuid(number):
    raise KeyError(number)

pwd.getpwuid = getpwuid
for name in ("HOME", "XDG_CACHE_HOME", "HF_HOME", "LOGNAME", "USER", "USERNAME", "LNAME"):
    os.environ.pop(name, None)
from nmt.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("train CONFIG --data.cache cache --run run", 0),
        ("train CONFIG --run run", 2),
        ("translate hf://owner/name", 2),
        ("check CONFIG --data.corpus hub:owner/name --data.splits null", 2),
        ("translate RUN -o out", 0),
    ],
)
def test_a_user_without_home_is_told_of_caches_alone(
    tiny_run: Path, tiny_config: Path, tmp_path: Path, words: str, code: int
) -> None:
    command = words.replace("RUN", str(tiny_run)).replace("CONFIG", str(tiny_config))
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS, *command.split()],
        cwd=tmp_path,
        input="Der Hund.\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert code == 0 or "XDG_CACHE_HOME" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("files", [12, 24])
def test_workers_with_few_open_files_work_or_fail_at_once(
    tiny_config: Path, tmp_path: Path, files: int
) -> None:
    """Each tensor that went through shared memory took an open file, and then all waited."""
    words = f"train {tiny_config} --run run --training.workers 2"
    done = shell(f"ulimit -n {files}; timeout 100 {NMT} {words}", tmp_path)
    told = done.stderr.decode().splitlines()
    assert done.returncode == (0 if files == 24 else 1), told
    assert files == 24 or told[-1].startswith("nmt: error: training.workers: 2"), told
    assert "Traceback" not in done.stderr.decode()
