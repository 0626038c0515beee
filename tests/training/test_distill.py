"""Learning from a teacher, against `nmt translate` and against the same text given as files."""

import contextlib
import dataclasses
import gc
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nmt.training.run as running
from nmt.bundle import load_bundle
from nmt.config import Config, load_config
from nmt.data.cache import find_translations
from nmt.data.corpus import open_corpus
from nmt.data.scan import scan_corpus
from nmt.errors import NmtError, UsageError
from nmt.inference.search import Translation
from nmt.inference.translator import Translator
from nmt.preflight.run_check import check
from nmt.reading import sha256
from nmt.storage import locked
from nmt.training.checkpoints import checkpoint_files
from nmt.training.data_module import TranslationData
from nmt.training.distill import distilled
from tests.conftest import ROOT, Command, write_pairs
from tests.training.made import assert_equal_weights, opened

Pairs = list[tuple[str, str]]


def student(tiny_config: Path, cache: Path, *words: object, teacher: object = None) -> Config:
    """Ten updates, from a teacher where it is given."""
    fixed = ["--training.max_updates", "10", "--data.cache", str(cache)]
    if teacher is not None:
        fixed += ["--data.distill.teacher", str(teacher)]
    return load_config(tiny_config, [*fixed, *map(str, words)])


def kept(cache: Path) -> dict[str, bytes]:
    """The translations in a cache."""
    (folder,) = cache.glob("translations-*")
    return {path.name: gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("[!.]*"))}


def references(config: Config) -> Pairs:
    return list(open_corpus(config.data).pairs("train"))


def ids(data: TranslationData) -> list[tuple[list[int], list[int]]]:
    sources, targets = data.pairs[np.arange(len(data.pairs))]
    return list(zip(sources, targets, strict=True))


def encoded(data: TranslationData, pairs: Pairs) -> list[tuple[list[int], list[int]]]:
    """What training reads of pairs, the empty and the too long ones left out."""
    both = zip(
        data.tokenizer.source.encode([source for source, _ in pairs]),
        data.tokenizer.target.encode([target for _, target in pairs]),
        strict=True,
    )
    longest = data.config.data.max_length
    assert longest is not None
    return [pair for pair in both if all(pair) and max(map(len, pair)) <= longest]


@pytest.fixture
def never_translating(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr("nmt.training.distill._load_teacher", refuse)


@pytest.fixture(scope="module")
def taught(tiny_config: Path, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a student's finished `run` and its `cache`. Do not change it."""
    folder = tmp_path_factory.mktemp("taught")
    running.train(student(tiny_config, folder / "cache", teacher=tiny_run), folder / "run")
    return folder


def test_the_student_learns_from_references_and_then_from_what_translate_says(
    nmt: Command, tiny_config: Path, tiny_run: Path, taught: Path, corpus_folder: Path
) -> None:
    result = nmt("translate", tiny_run, corpus_folder / "train.de")
    assert result.code == 0
    texts = result.out.removesuffix("\n").split("\n")
    config = student(tiny_config, taught / "cache", teacher=tiny_run)
    plain = references(config)
    told = [(source, text) for (source, _), text in zip(plain, texts, strict=True)]
    assert told != plain and len(set(texts)) > 10
    data = opened(config)
    assert ids(data) == encoded(data, [*plain, *told])
    # The tokenizer is that of the references alone.
    same = load_bundle(tiny_run).tokenizer
    assert data.tokenizer.source.model == same.source.model


def test_several_translations_are_those_of_translate(
    nmt: Command, tiny_config: Path, tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    words = ["--n-best", 2, "--beam-size", 4, "--format", "jsonl"]
    result = nmt("translate", tiny_run, corpus_folder / "train.de", *words)
    rows = [json.loads(line) for line in result.out.splitlines()]
    words = ["--data.distill.n_best", 2, "--data.distill.beam_size", 4]
    words += ["--data.distill.references", 0]
    config = student(tiny_config, tmp_path, *words, teacher=tiny_run)
    told = [
        (source, one["text"])
        for (source, _), row in zip(references(config), rows, strict=True)
        for one in row["n_best"]
    ]
    assert len(told) > 700
    data = opened(config)
    assert ids(data) == encoded(data, told)


@pytest.mark.parametrize(
    ("times", "devices"), [(0, 1), (0.5, 1), pytest.param(0.5, 2, marks=pytest.mark.slow)]
)
def test_a_student_has_the_weights_of_one_that_reads_the_same_text_from_files(
    tiny_config: Path,
    tiny_run: Path,
    corpus_folder: Path,
    tmp_path: Path,
    times: float,
    devices: int,
) -> None:
    words = ["--data.distill.references", times, "--training.devices", devices]
    config = student(tiny_config, tmp_path / "cache", *words, teacher=tiny_run)
    running.train(config, tmp_path / "run")
    (text,) = kept(tmp_path / "cache").values()
    sources = [source for source, _ in references(config)]
    write_pairs(tmp_path / "told", list(zip(sources, text.decode().split("\n")[:-1], strict=True)))
    train: list[object] = [{"place": f"{corpus_folder}/train", "weight": times}] if times else []
    train.append(f"{tmp_path}/told")
    words = ["--tokenizer.path", tmp_path / "run" / "tokenizer", "--training.devices", devices]
    words += ["--data.splits.train", json.dumps(train)]
    running.train(student(tiny_config, tmp_path / "other", *words), tmp_path / "files")
    assert_equal_weights(tmp_path / "run", tmp_path / "files")


@pytest.mark.usefixtures("never_translating")
def test_a_second_run_finds_the_translations_and_reaches_the_same_weights(
    tiny_config: Path, tiny_run: Path, taught: Path, tmp_path: Path
) -> None:
    """So a teacher that was loaded and asked leaves no trace in the draws of the student."""
    config = student(tiny_config, taught / "cache", teacher=tiny_run)
    running.train(config, tmp_path / "run")
    assert_equal_weights(tmp_path / "run", taught / "run")


def test_who_taught_is_recorded_and_no_path_leaves_the_run(
    tiny_run: Path, taught: Path, tmp_path: Path
) -> None:
    environment = json.loads((taught / "run" / "environment.json").read_text())
    who = sha256(tiny_run / "model" / "bundle.json")
    expected = {"teacher": [who], "references": 1.0, "n_best": 1, "beam_size": None}
    assert environment["data"]["distill"] == expected
    assert environment["data"]["pairs"] == 800
    bundle = load_bundle(taught / "run")
    assert bundle.metrics["data"]["distill"] == expected
    assert bundle.config.data.distill == Config().data.distill
    for path in (taught / "run" / "model").iterdir():
        assert str(tiny_run).encode() not in path.read_bytes(), path
    plain = json.loads((tiny_run / "environment.json").read_text())["data"]
    assert plain["distill"] is None and plain["train"] == environment["data"]["train"]


def small_chunks(patch: pytest.MonkeyPatch, size: int) -> None:
    for place in ("chunks", "distilled"):
        patch.setattr(f"nmt.data.{place}.CHUNK", size)


KILLED = """
import os, signal, sys
import nmt.data.chunks, nmt.data.distilled
from nmt.cli.main import main
nmt.data.chunks.CHUNK = nmt.data.distilled.CHUNK = 150
write = nmt.data.distilled.open_output
def dying(path):
    if path.name == "000001.txt.gz":
        opened = write(path)
        opened.__enter__().write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path)
nmt.data.distilled.open_output = dying
main(sys.argv[1:])
"""


def test_a_killed_translation_goes_on_where_it_was(
    tiny_config: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data.distill.teacher", str(tiny_run), "--data.cache", f"{tmp_path}/cache"]
    words += ["--run", f"{tmp_path}/run"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "train", tiny_config, *words],
        cwd=ROOT,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "run").exists()
    assert list(kept(tmp_path / "cache")) == ["000000.txt.gz"]
    asked: list[int] = []
    translate = Translator.translate

    def counted(self: Translator, sentences: Sequence[str], **settings: Any) -> list[Translation]:
        asked.append(len(sentences))
        return translate(self, sentences, **settings)

    monkeypatch.setattr(Translator, "translate", counted)
    small_chunks(monkeypatch, 150)
    opened(student(tiny_config, tmp_path / "cache", teacher=tiny_run))
    assert asked == [150, 100]
    opened(student(tiny_config, tmp_path / "whole", teacher=tiny_run))
    assert asked == [150, 100, 150, 150, 100]
    assert kept(tmp_path / "cache") == kept(tmp_path / "whole")
    assert len(kept(tmp_path / "whole")) == 3


def test_a_sentence_that_fails_is_an_error_and_the_chunks_before_are_kept(
    tiny_config: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch, 150)
    config = student(tiny_config, tmp_path, teacher=tiny_run)
    last = references(config)[-1][0]
    translate = Translator.translate

    def failing(self: Translator, sentences: Sequence[str], **settings: Any) -> list[Translation]:
        found = translate(self, sentences, **settings)
        if sentences[-1] == last:
            found[0] = dataclasses.replace(found[0], problem="out of memory", failed=True)
        return found

    monkeypatch.setattr(Translator, "translate", failing)
    told = r"data.distill: out of memory; give a smaller data.distill.beam_size"
    with pytest.raises(NmtError, match=told):
        opened(config)
    assert len(kept(tmp_path)) == 2


def test_the_teacher_is_gone_from_memory_before_training(
    tiny_config: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[Translator]] = []
    load = Translator.load

    def watched(*arguments: Any, **settings: Any) -> Translator:
        translator = load(*arguments, **settings)
        seen.append(weakref.ref(translator))
        return translator

    monkeypatch.setattr("nmt.training.distill.Translator.load", watched)
    gc.disable()  # without a cycle that would have to be found first
    try:
        opened(student(tiny_config, tmp_path, teacher=tiny_run))
        assert len(seen) == 1 and seen[0]() is None
    finally:
        gc.enable()


def test_one_process_of_several_translates_with_the_threads_of_all(
    tiny_config: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, used = torch.get_num_threads(), list[int]()
    translate = "nmt.training.distill._translate"
    monkeypatch.setattr(translate, lambda *_: used.append(torch.get_num_threads()))
    monkeypatch.setattr("nmt.training.distill.local_world_size", lambda: 3)
    config = student(tiny_config, tmp_path, teacher=tiny_run)
    corpus = open_corpus(config.data)
    distilled(config, corpus, scan_corpus(corpus), ["a hash"])
    assert used == [3 * threads]
    assert torch.get_num_threads() == threads


@pytest.fixture
def begun(tiny_config: Path, tiny_run: Path, taught: Path, tmp_path: Path) -> Config:
    """A student's run in `tmp_path`, to be gone on with; teacher and cache lie there, too."""
    shutil.copytree(tiny_run / "model", tmp_path / "teacher")
    shutil.copytree(taught / "cache", tmp_path / "cache")
    config = student(tiny_config, tmp_path / "cache", teacher=tmp_path / "teacher")
    running.train(config, tmp_path / "run")
    checkpoint_files(tmp_path / "run" / "checkpoints")[-1].unlink()
    return config


@pytest.mark.usefixtures("never_translating")
@pytest.mark.parametrize("change", ["gone", "another"])
def test_a_run_goes_on_without_its_teacher(
    begun: Config, taught: Path, tmp_path: Path, change: str
) -> None:
    manifest = tmp_path / "teacher" / "bundle.json"
    if change == "gone":
        shutil.rmtree(tmp_path / "teacher")
    else:  # a teacher that is trained further meanwhile
        manifest.write_text(json.dumps(json.loads(manifest.read_text()), indent=1))
    running.train(begun, tmp_path / "run", resume=True)
    assert_equal_weights(tmp_path / "run", taught / "run")


def test_a_run_that_lost_its_translations_needs_the_teacher_that_it_had(
    begun: Config, taught: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "cache")
    manifest = tmp_path / "teacher" / "bundle.json"
    content = manifest.read_text()
    manifest.write_text(json.dumps(json.loads(content), indent=1))
    told = rf"data.distill.teacher: {tmp_path}/teacher has changed since the run began"
    with pytest.raises(UsageError, match=told):
        running.train(begun, tmp_path / "run", resume=True)
    (tmp_path / "teacher").rename(tmp_path / "away")
    with pytest.raises(UsageError, match=r"data.distill.teacher: there is no model at .*/teacher"):
        running.train(begun, tmp_path / "run", resume=True)
    (tmp_path / "away").rename(tmp_path / "teacher")
    manifest.write_text(content)
    running.train(begun, tmp_path / "run", resume=True)
    assert_equal_weights(tmp_path / "run", taught / "run")


@pytest.mark.parametrize(
    "words",
    [("references", 2.0), ("n_best", 2), ("beam_size", 7), ("teacher", "elsewhere")],
    ids=lambda words: words[0],
)
def test_a_run_does_not_go_on_with_another_teaching(
    begun: Config, tmp_path: Path, words: tuple[str, Any]
) -> None:
    key, value = words
    distill = dataclasses.replace(begun.data.distill, **{key: value})
    other = dataclasses.replace(begun, data=dataclasses.replace(begun.data, distill=distill))
    with pytest.raises(UsageError, match=rf"was made with another data.distill.{key}; give the"):
        running.train(other, tmp_path / "run", resume=True)


@pytest.mark.usefixtures("never_translating")
def test_other_text_is_refused_before_it_is_translated(begun: Config, tmp_path: Path) -> None:
    write_pairs(tmp_path / "train", references(begun)[:300])
    splits = {**(begun.data.splits or {}), "train": str(tmp_path / "train")}
    other = dataclasses.replace(begun, data=dataclasses.replace(begun.data, splits=splits))
    with pytest.raises(UsageError, match=r"the text of data.splits.train is not what the run"):
        running.train(other, tmp_path / "run", resume=True)


def test_other_translations_of_the_same_teacher_are_refused(begun: Config, tmp_path: Path) -> None:
    """Another machine's, say: the run has learned from these."""
    (path,) = (tmp_path / "cache").glob("translations-*/*.txt.gz")
    path.write_bytes(gzip.compress(b"another " + gzip.decompress(path.read_bytes())))
    told = r"the text of data.splits.train, or a teacher's translation of it, is not what the run"
    with pytest.raises(UsageError, match=told):
        running.train(begun, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--data.distill.teacher", "{tmp}/no"],
            "data.distill.teacher: there is no model at {tmp}/no",
        ),
        (
            ["--data.source_language", "en", "--data.target_language", "de"],
            "data.distill.teacher: {teacher} translates de → en, not en → de; choose another",
        ),
        (
            ["--data.distill.n_best", "4"],
            "data.distill.n_best: 4 exceeds the beam: that of {teacher} holds 3; "
            "give data.distill.beam_size of at least 4",
        ),
    ],
    ids=["missing", "languages", "beam"],
)
@pytest.mark.parametrize("verb", ["train", "check"])
def test_what_a_user_gets_wrong_is_one_line_and_leaves_nothing(
    nmt: Command,
    tiny_config: Path,
    tiny_run: Path,
    tmp_path: Path,
    words: list[str],
    told: str,
    verb: str,
) -> None:
    names = {"tmp": tmp_path, "teacher": tiny_run}
    fixed = ["--data.cache", tmp_path / "cache", "--data.distill.teacher", tiny_run]
    fixed += ["--run", tmp_path / "run"] if verb == "train" else []
    result = nmt(verb, tiny_config, *fixed, *(word.format(**names) for word in words))
    assert result.code == 2 and result.out == ""
    assert f"nmt: error: {told.format(**names)}" in result.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def place_of(config: Config, teacher: Path) -> Path:
    """Where a student's translations would be."""
    who = sha256(teacher / "model" / "bundle.json")
    return find_translations(config.data, scan_corpus(open_corpus(config.data)), [who]).folder


def test_a_cache_that_cannot_be_written_is_one_line(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    config = student(tiny_config, tmp_path, teacher=tiny_run)
    place_of(config, tiny_run).touch()
    with pytest.raises(UsageError, match=r"cannot write .*/translations-.*: File exists"):
        opened(config)


@pytest.mark.usefixtures("never_translating")
def test_who_comes_second_waits_for_the_translations_of_the_first(
    tiny_config: Path, tiny_run: Path, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = student(tiny_config, tmp_path, teacher=tiny_run)
    folder = place_of(config, tiny_run)
    folder.mkdir()
    waiting = f"{folder} is in use by another process; waiting for it to end"

    def finish(message: str, *values: object) -> None:
        """Do what the other process does, once this one waits."""
        if message % values == waiting:
            for name, content in kept(taught / "cache").items():
                (folder / name).write_bytes(gzip.compress(content))
            other.close()

    monkeypatch.setattr("nmt.storage.log.info", finish)
    with contextlib.ExitStack() as other:
        other.enter_context(locked(folder))
        data = opened(config)
    first = opened(student(tiny_config, taught / "cache", teacher=tiny_run))
    assert ids(data) == ids(first)


@pytest.mark.usefixtures("never_translating")
def test_check_translates_nothing_and_lets_references_stand_in(
    tiny_config: Path, tiny_run: Path, taught: Path, tmp_path: Path
) -> None:
    words = ["--data.distill.n_best", 2, "--data.distill.references", 0.5]
    found = check(student(tiny_config, tmp_path, *words, teacher=tiny_run))
    assert found.translated == (0, 400) and not list(tmp_path.glob("translations-*"))
    assert found.facts.pairs == found.splits["train"].source.sentences == 400
    epoch = found.cost.updates_per_epoch * found.cost.sentences_per_update
    assert epoch == pytest.approx(2.5 * 400)
    found = check(student(tiny_config, taught / "cache", teacher=tiny_run))
    assert found.translated == (400, 400)
    assert check(student(tiny_config, tmp_path)).translated is None


def test_the_page_of_check_says_how_far_the_teacher_is(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    words = ["--data.cache", tmp_path, "--data.distill.teacher", tiny_run]
    result = nmt("check", tiny_config, *words)
    assert result.code == 0
    page = " ".join(result.out.split())
    assert "translated by the teacher 0 of 400 sentences" in page
    assert "teacher" not in nmt("check", tiny_config, "--data.cache", tmp_path).out


def test_a_student_trains_from_end_to_end(
    nmt: Command, tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    words = ["--data.cache", tmp_path / "cache", "--data.distill.teacher", tiny_run]
    words += ["--data.distill.references", "0.5", "--training.max_updates", "10"]
    result = nmt("train", tiny_config, "--run", tmp_path / "run", *words)
    assert result.code == 0, result.err
    assert "the teacher translates 400 sentences; 0 are done" in result.err
    assert "400 sentences, " in result.err and "train: 800 pairs" in result.err
    log = (tmp_path / "run" / "train.log").read_text()
    assert "the teacher's translations are in" in log
    assert json.loads((tmp_path / "run" / "scores.test.json").read_text())["sentences"] == 20
    assert nmt("train", tiny_config, "--run", tmp_path / "run", "--resume", *words).code == 0
    assert nmt("translate", tmp_path / "run", "/dev/null").code == 0
    # Who was taught can teach.
    words += ["--data.distill.teacher", tmp_path / "run"]
    assert nmt("train", tiny_config, "--run", tmp_path / "third", *words).code == 0
    assert len(list((tmp_path / "cache").glob("translations-*"))) == 2


def test_several_teachers_translate_together(
    tiny_config: Path, tiny_run: Path, taught: Path, tmp_path: Path
) -> None:
    teachers = [str(tiny_run), str(taught / "run")]
    config = student(tiny_config, tmp_path, teacher=json.dumps(teachers))
    data = opened(config)
    sources = [source for source, _ in references(config)]
    texts = Translator.load(teachers[0], ensemble=teachers[1:]).translate_all(sources)
    assert kept(tmp_path) != kept(taught / "cache")
    (text,) = kept(tmp_path).values()
    assert text.decode().split("\n")[:-1] == texts
    assert data.teachers == [sha256(Path(one) / "model" / "bundle.json") for one in teachers]
