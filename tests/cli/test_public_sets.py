"""`nmt evaluate --test-set`, beside sacreBLEU's own command on the same cached files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sacrebleu.dataset import DATASETS

from nmt.data.phrases import read_split
from nmt.data.public_sets import language_pair
from tests.conftest import Command

NOWHERE = "http://127.0.0.1:9"  # nothing listens there


def cache(folder: Path, name: str, references: list[str], start: int = 0) -> None:
    """Put a set of 12 sentences into sacreBLEU's cache, German to English."""
    pairs = read_split("test")[start : start + 12]
    plain = name.replace("/", "_")
    (folder / name).mkdir(parents=True)
    sides = {"src": [german for german, _ in pairs], "docid": ["d"] * 12, "genre": ["g"] * 12}
    sides |= {"origlang": ["de"] * 12}
    for number, field in enumerate(references):
        sides[field] = [english if number == 0 else english.lower() for _, english in pairs]
    for field, lines in sides.items():
        path = folder / name / f"{plain}.de-en.{field.replace(':', '-')}"
        write_lines(path, lines)


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """sacreBLEU's folder, in this process too; it found its own when it was imported."""
    folder = tmp_path / "cache"
    for name, one in DATASETS.items():
        monkeypatch.setattr(one, "_outdir", str(folder / name))
        monkeypatch.setattr(one, "_rawdir", str(folder / name / "raw"))
    monkeypatch.setattr("sacrebleu.utils.SACREBLEU_DIR", str(folder))
    return folder


def call(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a module in a process of its own: sacreBLEU finds its folder when it is imported."""
    proxies = {name: NOWHERE for name in ("http_proxy", "https_proxy", "HTTPS_PROXY")}
    return subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        env=os.environ | proxies | {"SACREBLEU": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def theirs(folder: Path, name: str, hypotheses: Path) -> list[dict[str, str]]:
    words = ["-t", name, "-l", "de-en", "-i", hypotheses, "-m", "bleu", "chrf", "ter"]
    done = call(folder, "sacrebleu", *words, "--confidence", "-w", "8")
    assert done.returncode == 0, done.stderr
    scores: list[dict[str, str]] = json.loads(done.stdout)
    return scores


def compare(
    scores: dict[str, dict[str, object]], reported: list[dict[str, str]], name: str
) -> None:
    for metric, entry in zip(("bleu", "chrf", "ter"), reported, strict=True):
        ours = scores[metric]
        assert ours["score"] == pytest.approx(entry["score"], abs=1e-6)
        # sacreBLEU has a place for the set and the direction, and its command leaves them empty.
        fields = str(ours["signature"]).split("|")
        own = [f"test:{name}", "lang:de-en"]
        assert [field for field in fields if field not in own] == entry["signature"].split("|")
        assert fields.index(own[0]) + 1 == fields.index(own[1])


def test_sets_are_scored_as_sacrebleu_scores_them(
    nmt: Command, tiny_run: Path, own_folder: Path, tmp_path: Path
) -> None:
    """Two with one reference, both as one text, and one with two references."""
    folder, out = own_folder, tmp_path / "out"
    cache(folder, "wmt14/full", ["ref"])
    cache(folder, "wmt16", ["ref"], start=12)
    cache(folder, "wmt20/tworefs", ["ref:0", "ref:1"])
    names = ["wmt14/full", "wmt16", "wmt14/full,wmt16", "wmt20/tworefs"]
    words = [word for name in names for word in ("--test-set", name)]
    result = nmt("evaluate", tiny_run, *words, "-o", out, "--json", tmp_path / "json")
    assert result.code == 0, result.err
    found = json.loads((tmp_path / "json").read_text())
    assert list(found) == names and all(name in result.out for name in names)
    kept = {name: out / f"{name.replace('/', '_')}.de-en" for name in names}
    for name in names:
        compare(found[name], theirs(folder, name, kept[name]), name)
    one, other, both = (kept[name].read_text() for name in names[:3])
    assert one + other == both and found[names[2]]["sentences"] == 24
    assert found[names[3]]["bleu"]["signature"].startswith("nrefs:2|")


def test_a_set_that_cannot_be_had_is_one_line_and_loses_nothing(
    tiny_run: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was\n")
    words = ["nmt", "evaluate", tiny_run, "--test-set", "wmt14/full", "-o", kept]
    done = call(tmp_path / "cache", *words)
    assert done.returncode == 2 and done.stdout == "" and kept.read_text() == "as it was\n"
    (told,) = done.stderr.splitlines()
    assert told.startswith("nmt: error: the test set wmt14/full ") and "refused" in told


def test_half_a_set_is_refused_by_its_folder(
    nmt: Command, tiny_run: Path, own_folder: Path
) -> None:
    """As a download leaves it that was killed."""
    cache(own_folder, "wmt15", ["ref"])
    path = own_folder / "wmt15" / "wmt15.de-en.ref"
    path.write_text(path.read_text()[:200])
    result = nmt("evaluate", tiny_run, "--test-set", "wmt15")
    assert result.code == 2 and str(path.parent) in result.err and "12 lines" in result.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--test-set", "wmt14/ful"], ["wmt14/ful", "wmt14/full"]),
        (["--test-set", "wmt15", "--test-set", "wmt1"], ["--test-set wmt1:"]),
        (["--test-set", "wmt14", "--test-set", "mtnt1.1/test"], ["mtnt1.1/test", "de-en", "en-fr"]),
        (["--test-set", "wmt14", "--test-set", "wmt14"], ["wmt14"]),
        (["--test-set", "wmt14", "--split", "test"], ["--split"]),
        (["--test-set", "wmt14", "--tune"], ["--tune", "wmt14"]),
        (["--test-set", "wmt14", "--test-set", "wmt15", "--json", "no/x"], ["no/x", "no folder"]),
        (["--test-set", "wmt14", "--test-set", "wmt15", "--baseline", "x"], ["--baseline"]),
    ],
)
def test_what_no_set_is_for_is_refused_before_any_work(
    nmt: Command, tiny_run: Path, tmp_path: Path, words: list[str], told: list[str]
) -> None:
    result = nmt("evaluate", tiny_run, *words, "-o", tmp_path / "out")
    assert result.code == 2 and all(one in result.err for one in told), result.err
    assert not (tmp_path / "out").exists()


def test_the_sets_are_listed_without_a_model(nmt: Command) -> None:
    from sacrebleu.utils import get_available_testsets

    result = nmt("evaluate", "--test-set", "list")
    rows = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert result.code == 0 and set(rows) == set(get_available_testsets())
    assert rows["wmt14/full"].split() == sorted(rows["wmt14/full"].split())
    assert "en-de" in rows["wmt14/full"].split()
    assert nmt("evaluate", "--test-set", "wmt14").code == 2


@pytest.mark.parametrize(
    ("tags", "pair"),
    [(("de", "en"), "de-en"), (("deu", "eng"), "de-en"), (("en_GB", "zh_Hans"), "en-zh")],
)
def test_a_direction_is_named_as_sacrebleu_names_it(tags: tuple[str, str], pair: str) -> None:
    assert language_pair(*tags) == pair


def test_several_references_are_scored_as_sacrebleu_scores_them(
    nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    pairs = read_split("test")[:12]
    references = [tmp_path / "one", tmp_path / "other"]
    write_lines(tmp_path / "source", [german for german, _ in pairs])
    write_lines(references[0], [english for _, english in pairs])
    write_lines(references[1], [english.replace("the", "a") for _, english in pairs])
    words = [word for path in references for word in ("--reference", path)]
    out = ["-o", tmp_path / "hyp", "--json", tmp_path / "json"]
    result = nmt("evaluate", tiny_run, "--source", tmp_path / "source", *words, *out)
    assert result.code == 0, result.err
    first = json.loads((tmp_path / "json").read_text())
    again = ["--hypotheses", tmp_path / "hyp", *words, "--target-language", "en", "--json", "-"]
    assert json.loads(nmt("evaluate", *again).out) == first
    their = [*references, "-i", tmp_path / "hyp", "-m", "bleu", "chrf", "ter"]
    done = call(tmp_path, "sacrebleu", *their, "--confidence", "-w", "8")
    for metric, entry in zip(("bleu", "chrf", "ter"), json.loads(done.stdout), strict=True):
        assert first[metric]["score"] == pytest.approx(entry["score"], abs=1e-6)
        assert first[metric]["signature"] == entry["signature"]
        assert first[metric]["signature"].startswith("nrefs:2|")
    # The order of the files does not matter, a shorter file is refused.
    words[1], words[3] = words[3], words[1]
    swapped = json.loads(nmt("evaluate", "--hypotheses", tmp_path / "hyp", *words, *again[-4:]).out)
    assert swapped["bleu"] == first["bleu"]
    write_lines(references[1], ["short"])
    result = nmt("evaluate", "--hypotheses", tmp_path / "hyp", *words, "--target-language", "en")
    assert result.code == 2 and str(references[1]) in result.err
    result = nmt("evaluate", tiny_run, "--source", tmp_path / "source", *words, "--tune")
    assert result.code == 2 and "--tune" in result.err


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
