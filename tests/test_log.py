"""Where progress is drawn as a bar, and the log file of a run."""

import importlib.util
import logging
import sys
import types
from pathlib import Path

import pytest

from nmt.log import kept_log, shows_bars


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_shows_bars_where_it_has_widgets(
    monkeypatch: pytest.MonkeyPatch, widgets: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert not shows_bars()
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    spec = importlib.util.spec_from_loader("ipywidgets", None) if widgets else None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert shows_bars() is widgets


def test_a_log_file_has_each_record_once_from_the_start(tmp_path: Path) -> None:
    log, file, lines = logging.getLogger("nmt"), tmp_path / "train.log", 10_100
    with kept_log() as log_to_file:
        log.warning("0")
        log_to_file(file)
        for number in range(1, lines):
            log.warning("%d", number)
    log.warning("after the end")
    written = [line.split()[-1] for line in file.read_text(encoding="utf-8").splitlines()]
    assert written == ["started", *(str(number) for number in range(lines))]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_prints_no_traceback_for_each_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with kept_log() as log_to_file:
        log_to_file(Path("/dev/full"))
        logging.getLogger("nmt").warning("one more")
    assert "Traceback" not in capsys.readouterr().err
