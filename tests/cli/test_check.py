"""`nmt check`: its page, its JSON, what it refuses and what it leaves behind."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import Command


def test_the_page_has_the_numbers_of_the_json(
    nmt: Command, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = nmt("check", tiny_config, f"--json={tmp_path}/check.json")
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))
    page = " ".join(result.out.split())
    for name, split in found["splits"].items():
        for tag, side in (("de", split["source"]), ("en", split["target"])):
            numbers = " ".join(f"{side[key]:,}" for key in ("sentences", "tokens", "median"))
            assert f"{name} {tag} {numbers} {side['longest']} {side['per_word']:.3g}" in page
        for example in split["examples"]:
            assert all(text in page for text in example)
    cost, facts = found["cost"], found["facts"]
    assert f"updates per epoch {cost['updates_per_epoch']}" in page
    assert f"parameters {cost['parameters']:,}" in page
    assert f"total updates {cost['total_updates']} validations {cost['validations']}" in page
    assert cost["device"] in page and "estimated minutes" in page
    assert list(facts["found"]) == list(found["filters"]) and len(facts["found"]) == 8
    for name, count in facts["found"].items():
        left_out = facts["left_out"].get(name, 0)
        assert re.search(rf"\b{name} (on|off|100) {count} {left_out}\b", page)
    assert "usual for 400 pairs: 2,000, with hidden size 256" in page
    for warning in found["warnings"]:
        assert warning in page
    assert all(len(line) <= 80 for line in result.out.splitlines())


def test_json_alone_goes_to_standard_output(nmt: Command, tiny_config: Path) -> None:
    result = nmt("check", tiny_config, "--json", "--data.max_length", "12")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    left = found["facts"]["left_out"]["too_long"]
    assert left > 0 and found["splits"]["train"]["source"]["sentences"] == 400 - left
    assert any(
        "longer than 12 tokens: raise data.max_length" in line for line in found["warnings"]
    )  # and still code 0


def test_a_validation_that_is_the_test_is_said(
    nmt: Command, tiny_config: Path, corpus_folder: Path
) -> None:
    words = ["--data.splits.validation", corpus_folder / "test"]
    result = nmt("check", tiny_config, *words)
    assert result.code == 0
    assert "test in validation" in result.out
    assert "20 of the 20 pairs of test are also in validation" in " ".join(result.out.split())


def test_only_the_cache_is_written_and_training_takes_it(
    nmt: Command, tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    assert nmt("check", tiny_config, "--data.cache", cache).code == 0
    assert list(tmp_path.iterdir()) == [cache]
    written = {path: path.stat() for path in cache.rglob("*")}
    assert any(path.is_file() for path in written)
    words = ["--data.cache", cache, "--training.max_updates", "6", "--run", tmp_path / "run"]
    assert nmt("train", tiny_config, *words).code == 0
    for path, before in written.items():
        after = path.stat()
        assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert set(cache.rglob("*")) == set(written)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.layerss", "2"], "command line: unknown key model.layerss"),
        (["--data.splits.train", "{tmp}/nowhere"], "there is no file {tmp}/nowhere.de"),
        (["--data.splits", "{{test: '{tmp}/x'}}"], "data.splits"),
        (["--json", "{tmp}/no/folder.json"], "cannot write {tmp}/no/folder.json: there is no"),
        (["--run", "x"], "run"),
        (["stray"], "unrecognized arguments: stray"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_gets_wrong_is_one_line(
    nmt: Command, tiny_config: Path, tmp_path: Path, words: list[str], told: str
) -> None:
    result = nmt("check", tiny_config, *(word.format(tmp=tmp_path) for word in words))
    assert result.code == 2 and result.out == ""
    last = result.err.splitlines()[-1]
    assert last.startswith("nmt: error: ") and told.format(tmp=tmp_path) in last
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_help_explains_every_key(nmt: Command) -> None:
    result = nmt("check", "--help")
    assert result.code == 0
    for words in ("--json [OUT]", "--model.cell CELL"):
        assert words in result.out
