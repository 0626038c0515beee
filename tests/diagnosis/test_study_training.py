"""Trainings side by side, with scripts in the place of `nmt train`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt.diagnosis.study_training import train_all
from nmt.errors import NmtError
from nmt.storage import locked


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    """Let a shell script train: it knows its run as $run and writes to `folder`."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nrun="$6"; cd {folder}\n{work}\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {4, 9})


def test_all_are_trained_two_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = 'echo + >> log; shift 2; echo "$@ $OMP_NUM_THREADS" >> calls; sleep 0.2; echo - >> log'
    stand_in(tmp_path, monkeypatch, work)
    runs = {tmp_path / name: ["--model.cell", name] for name in "abcd"}
    assert set(train_all(tmp_path / "c.yaml", runs)) == runs.keys()
    going, most = 0, 0
    for sign in (tmp_path / "log").read_text().split():
        going += {"+": 1, "-": -1}[sign]
        most = max(most, going)
    assert (going, most) == (0, 2)
    calls = (tmp_path / "calls").read_text().splitlines()
    word = f"train {tmp_path}/c.yaml --run {tmp_path}/b --resume --model.cell b 1"
    assert len(calls) == 4 and word in calls


def test_a_training_that_fails_is_named_and_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = (
        'case "$run" in *bad) sleep 0.3; echo first; echo "nmt: error: it diverged" >&2; exit 1;; '
        'esac; trap "echo kept > $run.kept; exit 130" TERM; while :; do sleep 0.02; done'
    )
    stand_in(tmp_path, monkeypatch, work)
    runs: dict[Path, list[str]] = {tmp_path / "good": [], tmp_path / "bad": []}
    with pytest.raises(NmtError, match=r"training of .*/bad failed: it diverged"):
        list(train_all(tmp_path / "c.yaml", runs))
    assert (tmp_path / "good.kept").exists()


def test_closing_lets_trainings_keep_what_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = (
        'case "$run" in *quick) exit 0;; esac; '
        'trap "sleep 0.2; echo kept > $run.kept; exit 130" TERM; touch $run.going; '
        "while :; do sleep 0.02; done"
    )
    stand_in(tmp_path, monkeypatch, work)
    runs: dict[Path, list[str]] = {tmp_path / "slow": [], tmp_path / "quick": []}
    trained = train_all(tmp_path / "c.yaml", runs)
    assert next(trained) == tmp_path / "quick"
    while not (tmp_path / "slow.going").exists():
        time.sleep(0.02)
    trained.close()
    assert (tmp_path / "slow.kept").exists()


def test_trainings_end_with_the_process_that_started_them(
    tmp_path: Path, tiny_config: Path
) -> None:
    run = tmp_path / "run"
    words = ["--training.max_updates", "20000"]
    code = (
        "from pathlib import Path; from nmt.diagnosis.study_training import train_all; "
        f"list(train_all(Path({str(tiny_config)!r}), {{Path({str(run)!r}): {words!r}}}))"
    )
    study = subprocess.Popen([sys.executable, "-c", code])
    while not (run / "train.log").exists():
        assert study.poll() is None
        time.sleep(0.05)
    study.kill()
    study.wait()
    with locked(run):  # raises UsageError after ten seconds if the training goes on
        pass
