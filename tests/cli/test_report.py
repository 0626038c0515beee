import errno
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.report import report_training
from tests.conftest import Command
from tests.report.made import HTML, make_diagnosed_run, make_run, poor_hypotheses


def test_the_page_of_one_run_lies_in_its_folder(nmt: Command, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    result = nmt("report", run)
    assert (result.code, result.out) == (0, "")
    assert f"report: {run}/report.html" in result.err
    assert (run / "report.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_several_runs_images_and_text_at_once(nmt: Command, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, poor_hypotheses()) for name in ("a", "b")]
    refused = nmt("report", *runs)
    assert refused.code == 2 and "give -o OUT.html" in refused.err
    out, images = tmp_path / "both.html", tmp_path / "images"
    result = nmt("report", *runs, "--text", "-o", out, "--images", images)
    assert result.code == 0, result.err
    assert "a, b: de → en" in result.out
    assert out.exists() and (images / "bleu.png").exists() and (images / "bleu.svg").exists()
    assert not (runs[0] / "report.html").exists()


def test_text_has_the_same_numbers_and_all_of_them(
    nmt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run = make_diagnosed_run(tmp_path / "run")
    result = nmt("report", run, "--text")
    assert result.code == 0, result.err
    assert not (run / "report.html").exists()
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "zeroed 4.000 +1.500 0.25 -30.25" in lines
    assert "decoder 1 forget 0.875 1 % 50 % 1.5 2.5 3.5 4.5 55.5" in lines
    assert "30 2 3.875 4.000 12.50 at 20 0.75 (1.25) 2,000" in lines
    assert f"bad: gradient halves every 1.0 steps {HTML}" in " ".join(lines)
    assert "translation a [-<b>-]" in lines
    assert "…" not in result.out.replace("every … steps", "")


def test_no_number_is_broken_in_80_columns(
    nmt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_diagnosed_run(tmp_path / "alpha"), make_run(tmp_path / "beta", poor_hypotheses())]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = nmt("report", *runs, "--text").out
    monkeypatch.setenv("COLUMNS", "300")
    wide = nmt("report", *runs, "--text").out
    assert max(map(len, narrow.splitlines())) <= 80 < max(map(len, wide.splitlines()))

    def numbers(text: str) -> set[str]:
        return set(re.findall(r"[-+]?\d[\d.,]*\d", re.sub("[ab]{20,}", "", text)))

    assert numbers(narrow) == numbers(wide)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing"], "missing is not a run folder: it does not exist"),
        (["missing", "--text"], "missing is not a run folder: it has no config.yaml"),
        (["run", "-o", "nowhere/x.html"], "cannot write nowhere/x.html: there is no folder"),
        (["run", "-o", "run"], "cannot write run: it is a folder"),
        (["run", "-o", "-"], "- is no page; give a name that ends in .html"),
        (["run", "-o", "run/train.log"], "run/train.log is no page"),
        (["run", "run", "--text"], "run is given twice; give each run once"),
        (["run/model"], "run/model is a bundle, a model alone; give the folder of its run"),
        (["loop", "--text"], "loop is not a run folder"),
        (["run", "-o", "page.html", "--images", "run/train.log"], "cannot write run/train.log"),
        ([], "arguments are required: RUN"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(
    nmt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run", poor_hypotheses())
    (tmp_path / "run" / "train.log").touch()
    (tmp_path / "loop").symlink_to("loop")
    result = nmt("report", *words)
    assert result.code == 2 and not (tmp_path / "page.html").exists()
    assert result.err.startswith("nmt: error: ") and result.err.count("\n") == 1
    assert message in result.err


def test_a_broken_diagnosis_leaves_the_old_page(nmt: Command, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    (run / "diagnosis.json").write_text("{}")
    (run / "report.html").write_text("old")
    result = nmt("report", run)
    assert result.code == 2 and result.err.count("\n") == 1
    assert f"{run}/diagnosis.json is damaged" in result.err
    assert (run / "report.html").read_text() == "old"


def test_a_full_disk_leaves_the_old_page(
    nmt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())
    (run / "report.html").write_text("old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nmt.storage.os.fsync", full)
    result = nmt("report", run)
    assert result.code == 1
    assert f"cannot write {run}/report.html: No space left on device" in result.err
    assert (run / "report.html").read_text() == "old"
    assert not list(run.glob(".*.tmp"))


def test_training_is_no_failure_where_its_report_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(tmp_path / "run", poor_hypotheses())

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nmt.storage.os.fsync", full)
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    report_training(run)
    record = caplog.records[-1]
    assert record.levelno == logging.WARNING
    assert "No space left on device" in record.getMessage()
    assert f"`nmt report {run}` tries again" in record.getMessage()


def test_training_ends_with_a_report(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    assert (tiny_run / "translations.test.jsonl").read_bytes().count(b"\n") == 20
    assert f"report: {tiny_run}/report.html" in (tiny_run / "train.log").read_text()
    content = (tiny_run / "report.html").read_text()
    assert "By source length" in content and "Translations" in content

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "report.html").unlink()
    assert nmt("train", tiny_config, "--run", run, "--resume").code == 0
    assert (run / "report.html").exists()


def test_a_report_needs_no_torch(tmp_path: Path) -> None:
    run = make_diagnosed_run(tmp_path / "run")
    program = (
        "import sys; from nmt.cli.main import main\n"
        f"try: main(['report', {str(run)!r}, '--text', '-o', {str(tmp_path / 'x.html')!r}])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'lightning', 'datasets'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
