"""`--ensemble` from the command line."""

import argparse
import json
from pathlib import Path

import pytest

import nmt as package
from nmt.cli.translate import _key
from nmt.config import SearchOptions, TokenizerConfig
from nmt.text.tokenizer import train_tokenizer
from tests.conftest import Command, save_member

LINES = ["Der Hund schläft.", "", "Maria möchte schwimmen.", "Peter liest ein Buch."]


@pytest.fixture(scope="module")
def members(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("members")
    one = save_member(tiny_run, folder / "one")
    return [one, save_member(tiny_run, folder / "two", "int8")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    path.write_text("".join(f"{line}\n" for line in LINES))
    return path


def test_the_words_may_stand_in_any_order_but_for_files_behind_members(
    nmt: Command, tiny_run: Path, members: list[Path], source: Path
) -> None:
    together = package.load(str(tiny_run), ensemble=[str(path) for path in members])
    expected = [one.text for one in together.translate(LINES)]
    one, two = members
    for words in (
        [tiny_run, source, "--ensemble", one, two],
        [tiny_run, "--ensemble", one, two, "--batch-size", 1, source],
        ["--ensemble", one, "--ensemble", two, "--threads", 1, tiny_run, source],
    ):
        result = nmt("translate", *words)
        assert result.code == 0, result.err
        assert result.out.splitlines() == expected
    assert nmt("translate", tiny_run, source).out.splitlines() != expected
    greedy = nmt("translate", tiny_run, "--ensemble", one, source, "-o", source.with_name("out"))
    assert greedy.code == 2 and f"{source} is neither a run nor a model" in greedy.err
    assert not source.with_name("out").exists()


def test_evaluate_and_score_take_an_ensemble(
    nmt: Command, tiny_run: Path, members: list[Path], corpus_folder: Path, tmp_path: Path
) -> None:
    files = [corpus_folder / "test.de", corpus_folder / "test.en"]
    ensemble = ["--ensemble", members[0]]
    out = tmp_path / "out"
    assert nmt("translate", tiny_run, files[0], "-o", out, *ensemble).code == 0
    scores = [
        json.loads(nmt("evaluate", *words, "--json", "-").out)
        for words in (
            [tiny_run, "--split", "test", *ensemble],
            [tiny_run, "--source", files[0], "--reference", files[1], *ensemble],
            ["--hypotheses", out, "--reference", files[1]],
        )
    ]
    assert scores[0] == scores[1] == scores[2] and scores[0]["sentences"] == 20
    found = nmt("score", tiny_run, "--source", files[0], "--target", files[1], *ensemble)
    lines = [path.read_text().splitlines() for path in files]
    parts = [package.load(str(path)).score(*lines) for path in (tiny_run, members[0])]
    mean = [(one + other) / 2 for one, other in zip(*parts, strict=True)]
    assert [float(line) for line in found.out.splitlines()] == pytest.approx(mean, abs=1e-3)


def test_refusals_are_one_line_and_leave_nothing(
    nmt: Command, tiny_run: Path, members: list[Path], source: Path
) -> None:
    other, _ = train_tokenizer(TokenizerConfig(vocabulary_size=40), [("Der Hund", "the dog")])
    stranger = save_member(tiny_run, source.with_name("stranger"), tokenizer=other)
    before = sorted(source.parent.rglob("*"))
    translate = ["translate", tiny_run, source, "-o", source.with_name("out"), "--ensemble"]
    hypotheses = ["evaluate", "--hypotheses", source, "--reference", source, "--ensemble"]
    for words, told in [
        ([*translate, members[0], stranger], f"{tiny_run} and {stranger} have different tokenizer"),
        ([*translate, source.with_name("no")], f"there is no model at {source.with_name('no')}"),
        (translate, "--ensemble: expected at least one argument"),
        ([*hypotheses, tiny_run], "--ensemble: --hypotheses are scored as they are; leave it out"),
        (["translate", "--ensemble", tiny_run, source], "arguments are required: MODEL"),
    ]:
        result = nmt(*words)
        assert result.code == 2 and told in result.err and result.err.count("\n") == 1, result.err
        assert sorted(source.parent.rglob("*")) == before


def test_a_stopped_translation_goes_on_only_with_the_same_members(
    tiny_run: Path, members: list[Path]
) -> None:
    def key(*ensemble: Path) -> str:
        arguments = argparse.Namespace(
            model=tiny_run,
            ensemble=list(ensemble),
            precision="auto",
            format="text",
        )
        return _key(arguments, SearchOptions())

    one, two = members
    keys = [key(), key(one), key(two), key(one, two), key(one, one)]
    assert len(set(keys)) == len(keys)
    assert key(one, two) == keys[3]
