"""Cells and metrics of other packages: the example of configs/README.md, installed as it stands."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt import load, load_config
from nmt.cli.main import main
from nmt.data.phrases import read_split
from nmt.errors import UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import corpus_scores
from nmt.models.cells import CELLS, Cell
from nmt.plugins import load_plugin
from tests.conftest import ROOT, Command

BLOCKS = dict(
    re.findall(
        r"```\w+\n# (\S+)\n(.*?)```", (ROOT / "configs" / "README.md").read_text(), re.DOTALL
    )
)


def test_the_cell_has_20_lines() -> None:
    lines = (BLOCKS["my_cells.py"] + BLOCKS["pyproject.toml"]).splitlines()
    assert len(lines) <= 20 and all(len(line) <= 100 for line in lines)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages: the README's text, by pip."""
    folder = tmp_path_factory.mktemp("package")
    for name in ("my_cells.py", "pyproject.toml"):
        (folder / name).write_text(BLOCKS[name], encoding="utf-8")
    words = ["pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    words += ["--target", str(folder / "site"), str(folder)]
    subprocess.run([sys.executable, "-m", *words], check=True)
    return folder / "site"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Forget what was imported from packages."""
    yield
    CELLS.pop("light", None)
    for name in ("my_cells", "my_metrics", "others"):
        sys.modules.pop(name, None)


def register(folder: Path, package: str, group: str, points: str, code: str = "") -> None:
    """Install a package by hand, as pip leaves it."""
    info = folder / f"{package.replace('-', '_')}-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
    if code:
        (folder / f"{package.replace('-', '_')}.py").write_text(code)


@pytest.fixture(scope="module")
def light_run(installed: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the README's cell, from the command line."""
    run = tmp_path_factory.mktemp("light") / "run"
    words = ["train", tiny_config, "--run", run, "--model.cell", "light"]
    words += ["--training.max_updates", 6, "--training.warmup_updates", 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(installed))
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
    assert stop.value.code == 0
    sys.modules.pop("my_cells", None)
    CELLS.pop("light", None)
    return run


def test_the_readmes_cell_does_what_ours_do(
    nmt: Command,
    light_run: Path,
    installed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    assert "my_cells" not in sys.modules
    model = load(light_run).models[0]
    assert model.config.cell == "light" and "my_cells" in sys.modules
    (tmp_path / "in").write_text("Der Hund schläft.\n")
    expected = nmt("translate", light_run, tmp_path / "in", "--beam-size", 2)
    assert expected.code == 0, expected.err
    assert nmt("export", light_run, tmp_path / "out").code == 0
    assert nmt("translate", tmp_path / "out", tmp_path / "in", "--beam-size", 2).out == expected.out
    result = nmt("diagnose", light_run, "--sentences", 2, "--cells", "lighter")
    assert result.code == 2 and "'lighter'" in result.err and "lstm" in result.err
    config = load_config(light_run / "config.yaml", {"model.cell": "light"})
    assert config.model.cell == "light"


def test_a_model_of_a_cell_that_is_missing_names_its_package(
    nmt: Command, light_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_text("Gut.\n")
    for words in (["translate", light_run, tmp_path / "in"], ["export", light_run, tmp_path / "o"]):
        result = nmt(*words)
        assert result.code == 2 and result.out == "" and result.err.count("\n") == 1
        assert "'light'" in result.err and "'my-cells'" in result.err
    result = nmt("report", light_run, "--text")
    assert result.code == 2 and "model.cell" in result.err and "'light'" in result.err
    # Another package has a cell of this name: its equations are others, and its code is not run.
    register(tmp_path, "others", "nmt.cells", "light = others:LIGHT", "raise SystemExit(9)")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = nmt("translate", light_run, tmp_path / "in")
    assert result.code == 2 and "'my-cells'" in result.err and "others" in result.err


def test_a_cell_that_no_package_has_is_refused_with_the_key(
    nmt: Command, tiny_config: Path, tmp_path: Path
) -> None:
    result = nmt("train", tiny_config, "--run", tmp_path / "run", "--model.cell", "light")
    assert result.code == 2 and "model.cell" in result.err and "light" in result.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("raise ValueError('worn out')", "ValueError: worn out"),
        ("OTHER = 3", "AttributeError"),
        ("LIGHT = 3", "3"),
    ],
)
def test_a_package_that_does_not_work_is_named(
    code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tmp_path, "others", "nmt.cells", "light = others:LIGHT", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError) as error:
        CELLS["light"]
    assert told in str(error.value) and "others" in str(error.value)
    register(tmp_path, "more", "nmt.cells", "light = others:LIGHT")
    with pytest.raises(UsageError, match="more and others"):
        load_plugin("nmt.cells", "light", Cell)


def test_the_readmes_metric_stands_beside_ours(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = BLOCKS["my_metrics.py"]
    register(tmp_path, "my-metrics", "nmt.metrics", "exact = my_metrics:EXACT", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, lines in {
        "hyp": "a\nb\nc\nd\n",
        "ref": "a\nx\nc\ny\n",
        "too": "z\nb\nz\nz\n",
    }.items():
        (tmp_path / name).write_text(lines)
    words = ["evaluate", "--hypotheses", tmp_path / "hyp", "--target-language", "en", "--json", "-"]
    found = []
    for references in (["ref"], ["ref", "too"]):
        given = [word for name in references for word in ("--reference", tmp_path / name)]
        result = nmt(*words, *given)
        assert "exact" in result.err
        found.append(json.loads(result.out)["others"]["exact"])
    assert [one["score"] for one in found] == [50.0, 75.0]
    assert found[1]["signature"] == "nrefs:2|bs:1000|seed:12345|case:mixed"
    # Four sentences, half of them right: 2.5 % of the samples have none, or all.
    assert (found[0]["low"], found[0]["high"]) == (0.0, 100.0)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    (run / "scores.test.json").unlink()
    assert "others" in json.loads(result.out)
    with_metric = json.loads((tiny_run / "scores.test.json").read_text())
    with_metric["others"] = {"exact": found[0]}
    (run / "scores.test.json").write_text(json.dumps(with_metric))
    shown = nmt("report", run, "--text")
    assert shown.code == 0 and "exact" in shown.out


def test_an_interval_is_sacrebleus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sacreBLEU's own BLEU, taken as another package's metric."""
    code = """
from sacrebleu.metrics import BLEU
from nmt.evaluation.plugin_metrics import CorpusMetric

def statistics(hypotheses, references):
    return BLEU()._extract_corpus_statistics(list(hypotheses), [list(one) for one in references])

def score(sums):
    return BLEU()._compute_score_from_stats([int(one) for one in sums]).score

AGAIN = CorpusMetric(statistics, score, "tok:13a")
BROKEN = CorpusMetric(lambda *_: [[1]], score, "")
"""
    register(tmp_path, "others", "nmt.metrics", "again = others:AGAIN\nworn = others:BROKEN", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    pairs = read_split("test")[:40]
    references = [english for _, english in pairs]
    hypotheses = [english.replace("the", "a") for english in references]
    scores = corpus_scores(hypotheses, [references], TargetLanguage("en"))
    again, bleu = scores.others["again"], scores.bleu
    assert (
        bleu is not None and again.score == pytest.approx(bleu.score, abs=1e-6) and bleu.score < 95
    )
    assert again.high - again.low == pytest.approx(bleu.high - bleu.low, abs=1e-3)
    assert set(scores.others) == {"again"}  # a metric that fails costs no other its score
