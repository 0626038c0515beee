"""Every command and every example of the READMEs runs. Only long trainings are cut short."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.main import VERBS
from nmt.config import parse_config
from tests.conftest import ROOT, Command, save_member, write_pairs
from tests.data.hub_server import HubServer, reach_hub
from tests.serving.conftest import serving

README = (ROOT / "README.md").read_text(encoding="utf-8")
ALL = README + "".join(
    (ROOT / folder / "README.md").read_text(encoding="utf-8") for folder in ("configs", "scripts")
)
SMALL = ["--model.hidden_size", "16", "--model.layers", "1", "--decoding.beam_size", "1"]
SHORT = ["--training.max_updates", "4", "--training.warmup_updates", "1", *SMALL]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", ALL, re.DOTALL)


def commands() -> list[str]:
    """The shell lines, without comments."""
    lines = "\n".join(blocks("sh")).splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


@pytest.fixture
def readers_folder(
    tmp_path: Path, tiny_run: Path, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Where a reader of the README stands, with a model and the files that it speaks of."""
    monkeypatch.chdir(tmp_path)
    for name in ("configs", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("quickstart", "other"):
        shutil.copytree(tiny_run, tmp_path / "runs" / name)  # --tune changes a model
    save_member(tiny_run, tmp_path / "runs" / "multi30k-attention")
    (tmp_path / "data").symlink_to(corpus_folder)
    pairs = [("Der Hund schläft.", "The dog is sleeping."), ("Gut.", "Good.")]
    write_pairs(tmp_path / "input", pairs)
    (tmp_path / "input.prefix").write_text("The dog\n\n")
    for name in ("output.en", "reference.en", "other.en"):
        (tmp_path / name).write_text((tmp_path / "input.en").read_text())
    config = next(block for block in blocks("yaml") if block.startswith("# my.yaml"))
    (tmp_path / "my.yaml").write_text(config + "tokenizer: {vocabulary_size: 300}\n")
    return tmp_path


def test_the_readme_has_the_commands_it_should() -> None:
    words = [shlex.split(line.split("|")[-1]) for line in commands()]
    assert {verb for name, verb, *_ in words if name == "nmt"} == set(VERBS)


SLOW = (
    *("--verify-resume", "torchrun", "--training.devices", "nmt study", "--sentences 8"),
    "--engine ray",
)


def cases() -> list[Any]:
    """The commands of nmt; what starts processes or trains several models is slow."""
    lines = [line for line in commands() if not line.startswith("scripts/")]
    slow = pytest.mark.slow
    return [
        pytest.param(line, marks=slow) if any(word in line for word in SLOW) else line
        for line in lines
    ]


@pytest.mark.parametrize("line", cases())
def test_a_command_of_the_readme_runs(
    line: str, readers_folder: Path, nmt: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    if line.startswith("echo "):
        line = line.replace("nmt ", f"{sys.executable} -m nmt ")
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stderr
        return
    words = shlex.split(line)
    if words[0] == "torchrun":
        agents = int(words[words.index("--nnodes") + 1]) if "--nnodes" in words else 1
        words = [word.replace("machine1:29500", "localhost:29531") for word in words[1:]]
        words = [sys.executable, "-m", "torch.distributed.run", *words, *SHORT]
        words[3:3] = ["--standalone"] if agents == 1 else []
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        running = [subprocess.Popen(words, env=environment) for _ in range(agents)]
        assert [one.wait() for one in running] == [0] * agents
        return
    assert words.pop(0) == "nmt"
    if words[0] == "serve":
        with serving(Path("log"), *words[1:]) as server:
            assert server.stop() == 0
        return
    if words[0] == "train":
        temporary = "--run" in words or "--verify-resume" in words
        words += SHORT if temporary else [*SHORT, "--run", "runs/readme"]
    if words[:2] == ["diagnose", "my.yaml"]:
        words += SMALL
    if words[0] == "study":
        words += ["--updates", "4", "--models", "bag"]
    if words[0] == "push":
        with HubServer({}).running() as hub:
            reach_hub(monkeypatch, hub.url, readers_folder / "home")
            result = nmt(*words, "--yes")
    else:
        result = nmt(*words)
    assert result.code == 0, result.err


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("scripts/")])
def test_a_script_of_the_readme_is_there(line: str) -> None:
    script = ROOT / line.split()[0]
    assert script.stat().st_mode & 0o100
    subprocess.run(["bash", "-n", script], check=True)


def test_the_scripts_of_the_table_can_be_run() -> None:
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `(\w+\.(?:py|sh))", text, re.M)
    assert len(names) > 10
    for name in names:
        script = ROOT / "scripts" / name
        assert script.stat().st_mode & 0o100 and script.read_text().startswith("#!"), name


@pytest.mark.parametrize("example", blocks("yaml"))
def test_a_config_of_the_readme_makes_sense(example: str) -> None:
    languages = ["--data.source_language", "de", "--data.target_language", "en"]
    parse_config(example, languages, origin="README.md")


SCRIPTS = [path.read_text() for path in (ROOT / "scripts" / "examples").glob("*.py")]


@pytest.mark.parametrize("example", blocks("python"))
def test_a_python_example_of_the_readme_runs(
    example: str, readers_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is a script of ours runs in the script's own test."""
    if any(script.endswith(example) for script in SCRIPTS):
        return
    exec(compile(example, "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == example.count("print(")


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    assert len(README.splitlines()) <= 200
    paths = re.findall(r"`((?:nmt|configs|scripts)/[\w./-]+)`|\]\(([\w./-]+)\)", README)
    for path in (one or other for one, other in paths):
        assert (ROOT / path).exists(), path


def test_the_map_names_what_is_there() -> None:
    for path in re.findall(r"^\| `(nmt/[^`]*)`", README, re.MULTILINE):
        assert (ROOT / path).exists(), path
    rooms = {path.name for path in (ROOT / "nmt").iterdir() if (path / "__init__.py").exists()}
    for room in rooms:
        assert f"`nmt/{room}/`" in README


def test_nothing_in_the_repository_names_this_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.split() if listed.returncode == 0 else ["README.md"]
    for name in names:
        data = (ROOT / name).read_bytes()
        assert b"/wo" + b"rk/" not in data, name
