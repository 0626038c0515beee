import html
import json
from pathlib import Path

import pytest

from nmt.data.phrases import read_split
from nmt.diagnosis.study import Study
from nmt.diagnosis.study_run import MODELS, _shuffled
from nmt.reading import read_record
from tests.conftest import Command


def test_a_small_study_trains_measures_argues_and_goes_on(nmt: Command, tmp_path: Path) -> None:
    words = ["study", "--out", tmp_path / "out", "--updates", "4", "--models", "tanh", "bag"]
    first = nmt(*words, "--json", tmp_path / "study.json")
    assert first.code == 0, first.err
    study = read_record(tmp_path / "study.json", Study)
    assert study == read_record(tmp_path / "out" / "study.json", Study)
    assert [row.name for row in study.rows] == ["bag", "tanh"]
    bag, tanh = study.rows
    assert (bag.encoder, bag.cell, bag.state_size) == ("bag", "lstm", 512)
    assert (tanh.encoder, tanh.cell, tanh.state_size) == ("rnn", "tanh", 256)
    assert bag.minutes and tanh.minutes and bag.parameters != tanh.parameters
    for row in study.rows:
        assert row.flow is not None and row.flow.moment == "trained"
        assert (row.flow.reach is None) == (row.encoder == "bag")
        for split, count in (("test", 1000), ("long", 500)):
            groups = [group for group in row.lengths if group.split == split]
            assert sum(group.sentences for group in groups) == count
        assert row.test.signature.startswith("nrefs:1|bs:1000")
    assert bag.shuffled.score == pytest.approx(bag.test.score, abs=1e-6)
    assert [step.claim for step in study.steps] == [
        "A bag of words cannot see order.",
        "A plain network keeps the order, and loses long sentences.",
    ]
    page = (tmp_path / "out" / "study.html").read_text(encoding="utf-8")
    for shown in (*(step.outcome.capitalize() for step in study.steps), "11–13", "752,208"):
        assert shown in first.out and shown in page
    for step in study.steps:
        assert step.text in html.unescape(page)
    assert page.count("<svg") > 3 and "http://" not in page.replace("http://www.w3.org", "")
    before = (tmp_path / "out" / "bag" / "study.json").stat().st_mtime_ns
    again = nmt(*words, "--json")
    assert again.code == 0 and "0 of 2 models to train" in again.err
    assert json.loads(again.out) == json.loads((tmp_path / "study.json").read_text())
    assert (tmp_path / "out" / "bag" / "study.json").stat().st_mtime_ns == before
    other = nmt("study", "--out", tmp_path / "out", "--updates", "5")
    assert other.code == 2 and "--updates 5: the study in" in other.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--models", "tanh", "transformer"],
            "--models: there is no 'transformer'; there are bag,",
        ),
        (["--updates", "1"], "--updates: 1 makes no sense: give at least 2"),
        (["--updates", "many"], "argument --updates: invalid int value: 'many'"),
        (["--json", "/no/such/folder/x"], "cannot write /no/such/folder/x: there is no folder"),
    ],
)
def test_senseless_calls_are_refused_and_leave_nothing(
    words: list[str], told: str, nmt: Command, tmp_path: Path
) -> None:
    result = nmt("study", "--out", tmp_path / "out", *words)
    assert result.code == 2 and told in result.err and not (tmp_path / "out").exists()


def test_a_stopped_study_says_how_to_go_on(
    nmt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt.diagnosis.study_run.train_all", interrupted)
    result = nmt("study", "--out", tmp_path / "out")
    assert result.code == 130 and f"the same call goes on in {tmp_path}/out" in result.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"study.yaml"}


def test_another_folder_is_left_alone(nmt: Command, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    result = nmt("study", "--out", tmp_path)
    assert result.code == 2 and f"--out {tmp_path}: it holds something else" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_every_model_is_one_that_a_config_allows(nmt: Command, tmp_path: Path) -> None:
    """Each differs from the others, and has no second way to the source."""
    from nmt.config import parse_config
    from nmt.diagnosis.study_run import _SETTINGS, _words

    text = _SETTINGS.format(updates=2000, warmup=200)
    configs = {name: parse_config(text, _words(keys)).model for name, keys in MODELS.items()}
    assert len(set(configs.values())) == 7
    for model in configs.values():
        assert not model.feed_context and model.attention == "none" and model.pool == "none"
        assert not model.bidirectional and model.bridge == "copy"


def test_shuffling_keeps_the_words() -> None:
    pairs = read_split("test")[:50]
    for (source, _), mixed in zip(pairs, _shuffled(pairs), strict=True):
        assert sorted(source.split()) == sorted(mixed.split())
    assert _shuffled(pairs) == _shuffled(pairs) != [source for source, _ in pairs]
