"""scripts/reproduce.py and scripts/ablation.py, on a toy recipe."""

import dataclasses
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from nmt.config import ModelConfig, load_config
from tests.conftest import ROOT, Command
from tests.scripts.running import run_script


@pytest.fixture
def recipes(tiny_config: Path, tmp_path: Path) -> Path:
    """A folder `configs` with a recipe, a teacher's and a student's."""
    (tmp_path / "configs").mkdir()
    text = tiny_config.read_text(encoding="utf-8")
    figures = {"recipe": "0.00 ± 0.10", "teacher": "0.00 ± 0.10", "student": "99.00 ± 0.40"}
    for name, figure in figures.items():
        head = f"# A toy.\n# figure: de-en test BLEU {figure}\n"
        distill = "\n  distill: {teacher: runs/teacher}" if name == "student" else ""
        body = text.replace("data:", f"data:{distill}")
        (tmp_path / "configs" / f"{name}.yaml").write_text(head + body, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_figure_is_met_by_a_better_run(recipes: Path, nmt: Command) -> None:
    done = run_script("reproduce.py", recipes, "configs/recipe.yaml", "--training.max_updates", 20)
    assert done.returncode == 0, done.stderr
    run = recipes / "runs/recipe-de-en"
    nmt("evaluate", run, "--split", "test", "--json", recipes / "scores.json")
    score = json.loads((recipes / "scores.json").read_text())["bleu"]["score"]
    told = f"met: test BLEU {score:.2f}; the figure is 0.00 ± 0.10 ({score:+.2f})"
    assert done.stdout.splitlines()[-1] == told


@pytest.mark.slow
def test_a_teacher_is_trained_first_and_a_missed_figure_is_said(recipes: Path) -> None:
    stopped = recipes / "runs/teacher-de-en"  # a teacher whose training was stopped is gone on with
    stopped.mkdir(parents=True)
    words = ["--training.max_updates", 10, "--data.distill.n_best", 2]
    done = run_script("reproduce.py", recipes, "configs/student.yaml", *words)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1].startswith("NOT met: test BLEU ")
    assert (recipes / "runs/teacher-de-en/scores.test.json").exists()
    assert done.stdout.index("train configs/teacher.yaml") < done.stdout.index(
        "train configs/student.yaml"
    )


def test_students_of_all_seeds_have_one_teacher(
    recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recipes)
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import reproduce

    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(reproduce, "nmt", lambda *words: called.append(words))
    student, shared = Path("configs/student.yaml"), ["--training.precision", "fp32"]
    for seed in (["--seed", "2"], ["--seed=3", "--training.max_updates", "10"]):
        reproduce.train(student, Path("runs/student"), [*seed, *shared])
        teacher, own = called[-2:]
        told = "train configs/teacher.yaml --run runs/teacher-de-en --resume"
        assert " ".join(teacher) == f"{told} --training.precision fp32"
        taught = ("--data.distill.teacher", '["runs/teacher-de-en"]')
        assert own[1] == str(student) and own[5:] == (*seed, *shared, *taught)
    # A teacher that is given is taken as it is, also where a recipe has its name.
    for given in (["--data.distill.teacher", "runs/teacher"], ["--data.distill.teacher=hf://a/b"]):
        called.clear()
        reproduce.train(student, Path("runs/student"), given)
        assert [words[1] for words in called] == [str(student)]
    # So is one that the recipe names elsewhere, or whose recipe is its own.
    text = student.read_text(encoding="utf-8")
    for named in ("hf://someone/teacher", "bundles/teacher", "runs/student"):
        student.write_text(text.replace("runs/teacher", named), encoding="utf-8")
        called.clear()
        reproduce.train(student, Path("runs/student"), [])
        assert [words[1] for words in called] == [str(student)]


def test_every_pair_has_its_figure_and_its_teacher(
    recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import reproduce

    swapped = ["--data.source_language", "en", "--data.target_language", "de"]
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(reproduce, "nmt", lambda *words: called.append(words))
    student = recipes / "configs" / "student.yaml"
    reproduce.train(student, Path("runs/student"), swapped)
    assert [words[3] for words in called] == ["runs/teacher-en-de", "runs/student"]
    assert reproduce.figure_of(student, "de-en") == ("test", 99.0, 0.4)
    with pytest.raises(SystemExit, match="figure: en-de"):
        reproduce.figure_of(student, "en-de")


def test_a_recipe_without_a_figure_is_refused(recipes: Path, tiny_config: Path) -> None:
    done = run_script("reproduce.py", recipes, tiny_config)
    assert done.returncode == 1 and "has no line such as '# figure:" in done.stderr
    assert not (recipes / "runs").exists()


@pytest.mark.slow
def test_an_ablation_tabulates_rows_over_seeds_and_keeps_what_is_done(recipes: Path) -> None:
    (recipes / "rows.yaml").write_text(
        "the recipe: {}\nwide: {model.hidden_size: 64, model.dropout: 0}\n"
    )
    words = ["configs/recipe.yaml", "rows.yaml", "--out", "out", "--training.max_updates", 10]
    done = run_script("ablation.py", recipes, *words, "--seeds", 1, 2)
    assert done.returncode == 0, done.stderr
    found = {
        name: [
            json.loads((recipes / f"out/{name}-{seed}/ablation.json").read_text())["found"]
            for seed in (1, 2)
        ]
        for name in ("the-recipe", "wide")
    }
    table = done.stdout.strip().split("\n\n")[-1].splitlines()
    for line, (name, runs) in zip(table[2:], found.items(), strict=True):
        values = [one["validation"] for one in runs]
        mean = sum(values) / 2
        deviation = abs(values[0] - values[1]) / 2**0.5  # of two
        assert line.split(" | ")[1] == f"{mean:.2f} ± {deviation:.2f}", name
    sizes = [runs[0]["parameters"] for runs in found.values()]
    import nmt.bundle

    model = nmt.bundle.load_bundle(recipes / "out/wide-1").model
    assert sizes[1] == sum(p.numel() for p in model.parameters()) > sizes[0]
    before = (recipes / "out/wide-1/train.log").read_bytes()
    again = run_script("ablation.py", recipes, *words, "--seeds", 1, 2)  # nothing is trained again
    assert again.returncode == 0 and again.stdout == done.stdout
    assert (recipes / "out/wide-1/train.log").read_bytes() == before
    other = run_script("ablation.py", recipes, *words, "--seeds", 1, "--model.layers", 2)
    assert other.returncode == 1 and "is of another recipe or other keys" in other.stderr


def ablate(
    folder: Path, monkeypatch: pytest.MonkeyPatch, measure: Callable[[str], dict[str, float]]
) -> int:
    """Run the ablation of rows one, two and three, whose measuring is a stand-in; its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import ablation

    monkeypatch.setattr(ablation, "measure", lambda run, *_: measure(run.name))
    Path("rows.yaml").write_text("{one: {}, two: {}, three: {}}\n")
    words = ["ablation.py", "configs/recipe.yaml", "rows.yaml", "--out", "out"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stop:
        ablation.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_a_row_that_fails_is_said_and_the_others_stand_in_the_table(
    recipes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(run: str) -> dict[str, float]:
        if run == "two-1":
            sys.exit("ablation: nmt train diverged")
        return {"validation": 1.0, "test": 2.0, "parameters": 3e6, "minutes": 4.0}

    assert ablate(recipes, monkeypatch, measure) == 1
    printed, told = capsys.readouterr()
    assert told == "ablation: nmt train diverged\n"
    rows = printed.strip().split("\n\n")[-1].splitlines()[2:]
    assert rows == [f"| {name} | 1.00 | 2.00 | 3.0 M | 4 |" for name in ("one", "three")]


def test_an_interrupted_ablation_begins_no_other_row(
    recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def measure(run: str) -> dict[str, float]:
        begun.append(run)
        time.sleep(0.5)  # rows wait in line
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.5)  # the training takes its time to stop
        sys.exit("ablation: nmt train was interrupted")

    main = threading.main_thread().ident
    assert main is not None
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        assert ablate(recipes, monkeypatch, measure) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert begun == ["one-1"]


def test_minutes_are_those_of_trainings_that_were_not_interrupted(
    tiny_run: Path, recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import ablation

    def train_or_evaluate(*words: str, threads: int) -> None:
        if words[0] == "train":
            shutil.copytree(tiny_run / "model", Path(words[3]) / "model")
        else:
            Path(words[5]).write_text('{"bleu": {"score": 1.0}}')

    monkeypatch.setattr(ablation, "nmt", train_or_evaluate)
    (recipes / "stopped").mkdir()  # a training was killed there
    rows = {}
    for name in ("stopped", "whole"):
        config = recipes / "configs/recipe.yaml"
        rows[name] = [ablation.measure(recipes / name, config, [], seed=1, threads=1)]
    last = [line.split(" | ")[-1] for line in ablation.table(rows).splitlines()[2:]]
    assert last == ["? |", "0 |"]
    both = {"seeds": [rows["stopped"][0], rows["whole"][0] | {"minutes": 3.0}]}
    assert ablation.table(both).endswith(" | 3 |")
    one_of_two = ablation.table(both | {"fewer": rows["whole"]}).splitlines()[-1]
    assert one_of_two.startswith("| fewer, 1 of 2 seeds | 1.00 |")


def test_rows_that_would_share_a_folder_are_refused(recipes: Path) -> None:
    (recipes / "rows.yaml").write_text("'+ema': {training.ema: 0.9}\nema: {}\n")
    done = run_script("ablation.py", recipes, "configs/recipe.yaml", "rows.yaml", "--out", "out")
    assert done.returncode == 1 and "another row would have the folder ema" in done.stderr
    assert not (recipes / "out").exists()


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (None, "cannot read the rows rows.yaml: "),
        ("[", "cannot read the rows rows.yaml: "),
        ("wide: 3", "rows.yaml: every row is a name and the keys that differ"),
        ("the recipe:\nwide: {model.width: 3}", "wide: command line: unknown key model.width"),
    ],
)
def test_rows_that_cannot_be_trained_are_told_before_any_training(
    recipes: Path, rows: str | None, told: str
) -> None:
    if rows is not None:
        (recipes / "rows.yaml").write_text(rows)
    done = run_script("ablation.py", recipes, "configs/recipe.yaml", "rows.yaml", "--out", "out")
    assert done.returncode == 1 and done.stdout == "" and not (recipes / "out").exists()
    assert done.stderr.startswith(f"ablation: {told}") and done.stderr.count("\n") == 1


def ablation_rows(name: str) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = yaml.safe_load(
        (ROOT / "scripts" / f"{name}.yaml").read_text(encoding="utf-8")
    )
    return rows


@pytest.mark.parametrize("name", ["ablation", "ablation-long"])
def test_every_row_of_the_ablation_is_a_recipe(name: str) -> None:
    """The same conversion of rows to words as in the script, which refuses a wrong key, too."""
    rows = ablation_rows(name)
    recipe = load_config(ROOT / "configs" / "multi30k.yaml", [])
    assert rows.pop("the recipe", {}) == {}
    for row, keys in rows.items():
        words = [word for key, value in keys.items() for word in (f"--{key}", str(value))]
        assert load_config(ROOT / "configs" / "multi30k.yaml", words) != recipe, row


def test_every_key_of_the_network_has_a_row() -> None:
    """All but those of encoders that stand there for comparison."""
    rows = ablation_rows("ablation") | ablation_rows("ablation-long")
    keys = {key for row in rows.values() for key in row}
    fields = {f"model.{field.name}" for field in dataclasses.fields(ModelConfig)}
    assert fields - keys == {"model.encoder", "model.window"}
