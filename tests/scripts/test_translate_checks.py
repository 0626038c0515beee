"""`scripts/translate_checks.py` on a tiny model."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.scripts.running import run_script


def test_workers_are_timed_and_compared(
    tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    words = [tiny_run, next(corpus_folder.glob("*.de")), "--lines", "40", "--greedy"]
    words += ["--calls", "one process", "2 workers"]
    done = run_script("translate_checks.py", tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "40 lines: 0 texts and 0 scores differ" in done.stdout
    assert done.stdout.count("lines per CPU s") == 2


@pytest.mark.parametrize("change", ["text", "score", "line"])
def test_a_difference_is_found(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from translate_checks import compare

    row = '{"line": 1, "text": "a", "score": 1}\n'
    (tmp_path / "one").write_text(row)
    (tmp_path / "two").write_text(row.replace(f'"{change}": ', f'"{change}": 2, "x": '))
    if change == "line":
        with pytest.raises(SystemExit, match="after line 0"):
            compare(tmp_path / "one", tmp_path / "two")
    else:
        assert "1 lines" in compare(tmp_path / "one", tmp_path / "two")
        assert f"1 {change}s" in compare(tmp_path / "one", tmp_path / "two")
