"""The target language on the command line: what is scored how, and said before any work."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Command

CHINESE = ["一只狗在雪地里奔跑。", "一个男人在公园里看报纸。"]


@pytest.fixture
def without_mecab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_ja_mecab.MeCab", None)


@pytest.fixture
def texts(tmp_path: Path) -> list[object]:
    (tmp_path / "ref").write_text("\n".join(CHINESE) + "\n", encoding="utf-8")
    (tmp_path / "hyp").write_text(f"{CHINESE[0]}\n一个女人在公园里看报纸。\n", encoding="utf-8")
    return ["evaluate", "--hypotheses", tmp_path / "hyp", "--reference", tmp_path / "ref"]


@pytest.mark.parametrize("tag", ["zh", "cmn", "zho_Hans", "Chinese"])
def test_bleu_and_ter_fit_the_language_however_it_is_written(
    nmt: Command, texts: list[object], tag: str
) -> None:
    result = nmt(*texts, "--target-language", tag, "--json", "-")
    scores = json.loads(result.out)
    assert "|tok:zh|" in scores["bleu"]["signature"] and "|asian:yes" in scores["ter"]["signature"]
    assert scores["bleu"]["score"] > 75
    assert "warning" not in result.err


def test_a_language_that_is_taken_is_said(nmt: Command, texts: list[object]) -> None:
    result = nmt(*texts)
    assert result.code == 0 and "--target-language" in result.err and "13a" in result.err
    assert "few spaces" in result.err
    result = nmt(*texts, "--target-language", "cn")
    assert "'cn' is no ISO 639" in result.err and "tok:zh" in result.out
    result = nmt(*texts, "--bleu-tokenizer", "char")
    assert "--target-language" not in result.err and "tok:char" in result.out
    assert nmt(*texts, "--bleu-tokenizer", "chars").code == 2


@pytest.mark.usefixtures("without_mecab")
def test_a_missing_tokenizer_is_said_first_and_leaves_what_does_not_need_it(
    nmt: Command, texts: list[object], tmp_path: Path
) -> None:
    result = nmt(*texts, "--target-language", "jpn")
    assert result.code == 0 and "nmt[ja]" in result.err
    assert "chrF" in result.out and "TER" in result.out and "BLEU" not in result.out
    result = nmt(*texts, "--target-language", "jpn", "--baseline", tmp_path / "hyp")
    assert result.code == 2 and "nmt[ja]" in result.err and result.out == ""


@pytest.fixture
def japanese(tiny_config: Path, corpus_folder: Path, tmp_path: Path) -> list[object]:
    """Words that train ten updates into Japanese, without BLEU's tokenizer."""
    for name in ("train", "val", "test"):
        shutil.copy(corpus_folder / f"{name}.de", tmp_path)
        shutil.copy(corpus_folder / f"{name}.en", tmp_path / f"{name}.ja")
    places = [f"--data.splits.{name}={tmp_path}/{file}" for name, file in SPLITS.items()]
    words = ["train", tiny_config, "--run", tmp_path / "run", "--data.target_language", "ja"]
    return [*words, *places, "--training.max_updates", "10"]


@pytest.mark.usefixtures("without_mecab")
def test_a_missing_tokenizer_does_not_forbid_training_by_loss(
    nmt: Command, japanese: list[object], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    refused = nmt(*japanese)
    assert refused.code == 2 and "nmt[ja]" in refused.err and not run.exists()
    result = nmt(*japanese, "--training.monitor", "loss")
    assert result.code == 0, result.err
    assert result.err.index("BLEU is left out") < result.err.index("update 5")
    scores = json.loads((run / "scores.test.json").read_text())
    assert scores["bleu"] is None and scores["chrf"]["score"] > 0
    page = tmp_path / "page.html"
    result = nmt("report", run, "-o", page)
    assert result.code == 0, result.err
    assert "tokenizer ja-mecab is not installed" in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("without_mecab")
def test_a_missing_tokenizer_is_said_before_a_diagnosis(
    nmt: Command, japanese: list[object], tmp_path: Path
) -> None:
    assert nmt(*japanese, "--training.monitor", "loss").code == 0
    result = nmt("diagnose", tmp_path / "run", "--sentences", "2")
    assert result.code == 0, result.err
    assert result.err.index("ja-mecab is not installed") < result.err.index("losses:")


def test_a_split_that_is_not_the_runs_is_said(
    nmt: Command, tiny_config: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    """A cut is made anew from what train is now, and may hold what the model has learned."""
    for side in ("de", "en"):
        shutil.copy(corpus_folder / f"train.{side}", tmp_path)
    splits = f"{{train: {tmp_path}/train, validation: {{cut: 9}}, test: {{cut: 20}}}}"
    words = [tiny_config, "--run", tmp_path / "run", "--data.splits", splits]
    assert nmt("train", *words, "--training.max_updates", "6").code == 0
    for split in ("test", "validation"):
        assert "not the text" not in nmt("evaluate", tmp_path / "run", "--split", split).err
    for side in ("de", "en"):
        _, _, rest = (tmp_path / f"train.{side}").read_text().partition("\n")
        (tmp_path / f"train.{side}").write_text(rest)
    for split in ("test", "validation"):
        result = nmt("evaluate", tmp_path / "run", "--split", split)
        assert f"warning: data.splits.{split}: it is not the text that the run used" in result.err
        assert result.code == 0


SPLITS = {"train": "train", "validation": "val", "test": "test"}


def test_a_split_from_another_folder_names_the_folder(
    nmt: Command,
    tiny_config: Path,
    corpus_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(corpus_folder)
    words = [f"--data.splits.{name}={file}" for name, file in SPLITS.items()]
    words += ["--training.max_updates", "6"]
    run = tmp_path / "run"
    assert nmt("train", tiny_config, "--run", run, *words).code == 0
    assert nmt("evaluate", run, "--split", "test").code == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for verb in ("evaluate", "diagnose"):
        result = nmt(verb, run, "--split", "test")
        assert result.code == 2 and "there is no file test.de" in result.err
        assert f"relative to the working folder, {tmp_path}/elsewhere" in result.err
    result = nmt("check", tiny_config, *words)
    assert result.code == 2 and f"{tmp_path}/elsewhere" in result.err
