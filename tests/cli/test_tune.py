"""`nmt evaluate MODEL --tune` from the command line."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from nmt.bundle import load_bundle
from nmt.errors import BundleError
from nmt.inference import search_tuning
from nmt.reading import sha256
from nmt.storage import locked
from tests.conftest import Command, save_member

BEAM_SIZES, PENALTIES = (1, 3, 12), (0.0, 1.0, 2.0)


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_tuning, "BEAM_SIZES", BEAM_SIZES)
    monkeypatch.setattr(search_tuning, "LENGTH_PENALTIES", PENALTIES)


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to be tuned."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in folder.iterdir()}


def search_words(trial: dict[str, float]) -> list[object]:
    return ["--beam-size", trial["beam_size"], "--length-penalty", trial["length_penalty"]]


def test_the_best_setting_is_kept_in_the_bundle_and_used(
    nmt: Command, run: Path, tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    before = hashes(run / "model")
    result = nmt("evaluate", run, "--split", "validation", "--tune", "--json", tmp_path / "json")
    assert result.code == 0, result.err
    scores = json.loads((tmp_path / "json").read_text())
    tuned = scores["tuned"]
    grid = tuned.pop("grid")

    # Each number is what an ordinary evaluation of the untouched model gives.
    assert len(grid) == len(BEAM_SIZES) * len(PENALTIES)
    for trial in (grid[0], grid[5], grid[-1]):
        words = [tiny_run, "--split", "validation", *search_words(trial), "--json", "-"]
        assert json.loads(nmt("evaluate", *words).out)["bleu"]["score"] == trial["bleu"]
    best = max(
        grid, key=lambda one: (one["bleu"], -one["beam_size"], -abs(one["length_penalty"] - 1))
    )
    assert tuned.items() >= best.items() and tuned["split"] == "validation"
    assert scores["bleu"]["score"] == best["bleu"] and "bs:1000" in scores["bleu"]["signature"]
    lines = result.out.splitlines()
    assert lines[1].split() == ["beam", "0", "1", "2"] and lines[2].split()[0] == "1"
    assert f"best: beam size {best['beam_size']}, length penalty" in lines[5]
    told = f"{run}/model is changed: its defaults are now beam size {best['beam_size']} and length"
    assert told in result.err
    assert lines[6].startswith("BLEU ") and lines[-1] == "20 sentences"

    # The bundle has it, and else is the same.
    after = hashes(run / "model")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"bundle.json", "config.yaml", "metrics.json", "README.md"}
    assert after.keys() == before.keys()
    bundle, plain = load_bundle(run), load_bundle(tiny_run)
    assert bundle.metrics == plain.metrics | {"tuned": tuned}
    decoding = bundle.config.decoding
    assert decoding.beam_size == best["beam_size"]
    assert decoding.length_penalty == best["length_penalty"]
    card = (run / "model" / "README.md").read_text()
    assert f"beam size {best['beam_size']}, length penalty" in card
    assert "tuned on\nthe validation split" in card and tuned["signature"] in card
    assert [path.name for path in run.parent.iterdir() if path.name.startswith(".")] == []

    # And it is how translations are searched from now on.
    source = corpus_folder / "test.de"
    found = nmt("translate", run, source).out
    assert found == nmt("translate", tiny_run, source, *search_words(best)).out
    assert best["beam_size"] != 3  # of the tiny config
    assert found != nmt("translate", tiny_run, source).out


def test_tuned_again_it_is_the_same_and_an_export_keeps_it(
    nmt: Command, run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    words = ["evaluate", run, "--split", "validation", "--tune"]
    first = nmt(*words)
    once = hashes(run / "model")
    assert nmt(*words).out == first.out and hashes(run / "model") == once
    assert nmt("export", run, tmp_path / "out").code == 0
    assert hashes(tmp_path / "out") == once


def test_other_text_tunes_a_bundle_whose_int8_weights_stay(
    nmt: Command, tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    out, link = tmp_path / "int8", tmp_path / "link"
    assert nmt("export", tiny_run, out, "--precision", "int8").code == 0
    link.symlink_to(out)
    weights, manifest = (
        sha256(out / "weights.safetensors"),
        json.loads((out / "bundle.json").read_text()),
    )
    files = [corpus_folder / "test.de", corpus_folder / "test.en"]
    result = nmt("evaluate", link, "--source", files[0], "--reference", files[1], "--tune")
    assert result.code == 0, result.err
    assert link.is_symlink() and sha256(out / "weights.safetensors") == weights
    bundle = load_bundle(out)
    assert bundle.precision == manifest["precision"] == "int8"
    assert bundle.metrics["tuned"]["split"] is None
    assert str(corpus_folder) not in (out / "metrics.json").read_text()
    assert "tuned on\nother text" in (out / "README.md").read_text()


def test_a_reader_finds_a_whole_bundle_at_any_moment(
    nmt: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_tuning, "BEAM_SIZES", (3,))
    monkeypatch.setattr(search_tuning, "LENGTH_PENALTIES", (1.0,))
    stop, errors = threading.Event(), list[Exception]()

    def read() -> None:
        while not stop.is_set():
            try:
                load_bundle(run)
            except Exception as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        assert nmt("evaluate", run, "--split", "validation", "--tune").code == 0
    stop.set()
    reader.join()
    assert not errors


def test_weights_damaged_while_it_tunes_are_not_blessed(
    nmt: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = search_tuning.tune

    def damaging(*words, **settings):  # type: ignore[no-untyped-def]
        found = plain(*words, **settings)
        file = run / "model" / "weights.safetensors"
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.unlink()
        file.write_bytes(data)
        return found

    monkeypatch.setattr(search_tuning, "tune", damaging)
    assert nmt("evaluate", run, "--split", "validation", "--tune").code == 0
    with pytest.raises(BundleError, match=r"weights.safetensors is damaged"):
        load_bundle(run)


SPLIT = ["{run}", "--split", "validation", "--tune"]
ALONE = "--tune finds out how MODEL by itself searches best; leave it out"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*SPLIT, "--beam-size", "5"], f"--beam-size: {ALONE}"),
        ([*SPLIT, "--length-penalty", "0.5"], f"--length-penalty: {ALONE}"),
        ([*SPLIT, "--greedy"], f"--greedy: {ALONE}"),
        ([*SPLIT, "--sample"], f"--sample: {ALONE}"),
        ([*SPLIT, "--prune", "3"], f"--prune: {ALONE}"),
        ([*SPLIT, "--shortlist", "50"], f"--shortlist: {ALONE}"),
        ([*SPLIT, "--max-length-ratio", "3"], f"--max-length-ratio: {ALONE}"),
        ([*SPLIT, "--ensemble", "{run}"], f"--ensemble: {ALONE}"),
        (["--tune", "--hypotheses", "{hyp}", "--reference", "{hyp}"], f"--hypotheses: {ALONE}"),
        (["{run}", "--tune"], "--tune: the split test must not choose a setting; give --split val"),
        (["{run}", "--split", "test", "--tune"], "--tune: the split test must not choose"),
        (["{run}", "--split", "train", "--tune"], "--tune: the split train must not choose"),
        (["--tune"], "without MODEL, give --hypotheses and --reference"),
        (
            ["hf://someone/model", "--split", "validation", "--tune"],
            "--tune: hf://someone/model cannot be changed from here; nmt export it to a folder",
        ),
        (["{run}", "--source", "{hyp}", "--tune"], "--source needs --reference"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals_are_one_line_and_change_nothing(
    nmt: Command, run: Path, corpus_folder: Path, words: list[str], told: str
) -> None:
    before = hashes(run / "model")
    filled = [word.format(run=run, hyp=corpus_folder / "val.en") for word in words]
    result = nmt("evaluate", *filled)
    assert result.code == 2 and result.out == ""
    assert told in result.err and result.err.count("\n") == 1
    assert hashes(run / "model") == before


def test_a_folder_with_more_than_a_model_is_left_alone(
    nmt: Command, tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    folder = save_member(tiny_run, tmp_path / "model")
    (folder / "notes.txt").write_text("mine")
    files = [corpus_folder / "val.de", corpus_folder / "val.en"]
    result = nmt("evaluate", folder, "--source", files[0], "--reference", files[1], "--tune")
    assert result.code == 2 and f"--tune: {folder} holds more than a model" in result.err
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("model", ["run", "run/model"])
def test_a_run_that_trains_is_not_tuned(
    nmt: Command, run: Path, corpus_folder: Path, model: str
) -> None:
    files = [corpus_folder / "val.de", corpus_folder / "val.en"]
    words = ["evaluate", run.parent / model, "--source", files[0], "--reference", files[1]]
    with locked(run):
        result = nmt(*words, "--tune")
    assert result.code == 2 and f"{run} is in use by another process" in result.err
    assert "tuned" not in load_bundle(run).metrics


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named_before_any_search(
    nmt: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_tuning, "tune", lambda *_, **__: pytest.fail("it searched"))
    run.chmod(0o500)
    result = nmt("evaluate", run, "--split", "validation", "--tune")
    run.chmod(0o700)
    assert result.code == 2 and f"cannot write {run / 'model'}: Permission denied" in result.err


def test_resuming_a_finished_run_leaves_the_tuning(nmt: Command, run: Path) -> None:
    assert nmt("evaluate", run, "--split", "validation", "--tune").code == 0
    before = hashes(run / "model")
    assert nmt("train", run / "config.yaml", "--run", run, "--resume").code == 0
    assert hashes(run / "model") == before
