import html
import json
from pathlib import Path

import pytest

from nmt.data.phrases import read_split
from nmt.diagnosis.study_records import MODELS, Study
from nmt.diagnosis.study_run import SETTINGS, shuffled_words
from nmt.reading import read_record
from tests.conftest import Command


@pytest.mark.slow
def test_a_small_study_trains_measures_argues_and_goes_on(nmt: Command, tmp_path: Path) -> None:
    words = ["study", "--out", tmp_path / "out", "--updates", "4", "--models", "tanh", "bag"]
    first = nmt(*words, "--json", tmp_path / "study.json")
    assert first.code == 0, first.err
    study = read_record(tmp_path / "study.json", Study)
    assert study == read_record(tmp_path / "out" / "study.json", Study)
    assert [row.name for row in study.rows] == ["bag", "tanh"]
    bag, tanh = study.rows
    assert (bag.state_size, tanh.state_size) == (512, 256)
    assert bag.parameters != tanh.parameters
    for row in study.rows:
        assert row.flow.moment == "trained"
        assert (row.flow.reach is None) == (row.name == "bag")
        for groups, count in ((row.test_lengths, 1000), (row.long_lengths, 500)):
            assert sum(group.sentences for group in groups) == count
        assert row.test.signature.startswith("nrefs:1|bs:1000")
    assert [(group.first, group.last) for group in bag.test_lengths] == [
        (3, 5),
        (6, 8),
        (9, 10),
        (11, 13),
    ]
    assert bag.shuffled.score == pytest.approx(bag.test.score, abs=1e-6)
    (step,) = study.steps
    page = (tmp_path / "out" / "study.html").read_text(encoding="utf-8")
    for shown in ("11–13", f"{tanh.parameters:,}", f"{tanh.test.low:.1f}, {tanh.test.high:.1f}"):
        assert shown in first.out and shown in page
    assert step.text in html.unescape(page)
    assert page.count("<svg") >= 2 and "http://" not in page.replace("http://www.w3.org", "")
    before = (tmp_path / "out" / "bag" / "study.json").stat().st_mtime_ns
    again = nmt(*words, "--json")
    assert again.code == 0 and "0 of 2 models to train" in again.err
    assert json.loads(again.out) == json.loads((tmp_path / "study.json").read_text())
    assert (tmp_path / "out" / "bag" / "study.json").stat().st_mtime_ns == before
    other = nmt("study", "--out", tmp_path / "out", "--updates", "5")
    assert other.code == 2 and "--updates 5: " in other.err and "study.yaml" in other.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--models", "tanh", "transformer"], "transformer"),
        (["--updates", "1"], "--updates: 1"),
        (["--updates", "many"], "--updates: many"),
        (["--json", "/no/such/folder/x"], "cannot write /no/such/folder/x: there is no folder"),
    ],
)
def test_senseless_calls_are_refused_and_leave_nothing(
    words: list[str], told: str, nmt: Command, tmp_path: Path
) -> None:
    result = nmt("study", "--out", tmp_path / "out", *words)
    assert result.code == 2 and told in result.err and not (tmp_path / "out").exists()


def test_an_interrupted_study_keeps_its_folder(
    nmt: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nmt.diagnosis.study_run.train_all", interrupted)
    result = nmt("study", "--out", tmp_path / "out")
    assert result.code == 130
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"study.yaml"}


def test_another_folder_is_left_alone(nmt: Command, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear")
    result = nmt("study", "--out", tmp_path)
    assert result.code == 2 and f"--out {tmp_path}: " in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_every_model_is_one_that_a_config_allows(nmt: Command, tmp_path: Path) -> None:
    """Each differs from the others, and has no second way to the source."""
    from nmt.config import parse_config

    text = SETTINGS.format(updates=2000, warmup=200)
    configs = {name: parse_config(text, keys.split()).model for name, keys in MODELS.items()}
    assert len(set(configs.values())) == 7
    for model in configs.values():
        assert not model.feed_context and model.attention == "none" and model.pool == "none"
        assert not model.bidirectional and model.bridge == "copy"


def test_shuffling_keeps_the_words() -> None:
    pairs = read_split("test")[:50]
    for (source, _), mixed in zip(pairs, shuffled_words(pairs), strict=True):
        assert sorted(source.split()) == sorted(mixed.split())
    assert shuffled_words(pairs) == shuffled_words(pairs) != [source for source, _ in pairs]
