"""The house of DESIGN.md: a module imports only from lower floors, and from its own room."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.cli.main import VERBS
from tests.code_lines import code_lines
from tests.conftest import ROOT

FLOORS = {
    # `storage` stands beside `config`: every room writes files. All of floor 0 raises our errors,
    # so these lie in the cellar.
    "nmt.errors": -2,
    "nmt.reading": -1,  # every room reads files that may be damaged
    "nmt.plugins": -1,
    "nmt.log": -1,  # `storage` logs, too
    "nmt.config": 0,
    "nmt.storage": 0,
    "nmt.memory": 0,
    "nmt.openmp": 0,
    "nmt.processes": 0,
    "nmt.text": 1,
    "nmt.models": 1,
    "nmt.evaluation": 1,
    "nmt.model_hub": 1,  # the hub's library, for data sets too
    "nmt.data": 2,
    "nmt.decoding": 2,
    "nmt.card": 2,  # the text of a bundle's README
    "nmt.bundle": 3,
    "nmt.inference": 4,
    "nmt.training": 5,
    "nmt.diagnosis": 6,
    "nmt.preflight": 6,
    "nmt.report": 7,
    "nmt.serving": 7,
    "nmt.cli": 8,
    "nmt.__main__": 9,
}
MODULES = sorted((ROOT / "nmt").rglob("*.py"))


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> list[str]:
    """Every absolute import of a module, wherever in it; those for type checkers count, too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_from_lower_floors(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module == "nmt.__init__":  # the door: it may lead anywhere, lazily
        return
    room = room_of(module)
    for name in imports(path):
        if name.startswith("nmt.") and room_of(name) != room:
            assert FLOORS[room_of(name)] < FLOORS[room], f"{module} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lightning_and_torch_stay_in_their_rooms(path: Path) -> None:
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    names = {name.split(".")[0] for name in imports(path)}
    assert "lightning" not in names or room in ("nmt.training", "nmt.__init__")  # types alone there
    if room in (
        "nmt.errors",
        "nmt.config",
        "nmt.storage",
        "nmt.log",
        "nmt.memory",
        "nmt.reading",
        "nmt.openmp",
        "nmt.evaluation",
    ):
        assert "torch" not in names


def test_every_room_has_its_floor() -> None:
    rooms = {
        path.relative_to(ROOT).with_suffix("").parts[1]
        for path in MODULES
        if path.parent == ROOT / "nmt" or path.name == "__init__.py"
    }
    rooms -= {"__init__"}
    assert {f"nmt.{room}" for room in rooms} == set(FLOORS)


def test_no_file_name_stands_twice() -> None:
    """A name in an editor's tab or a traceback says which file it is."""
    names = [path.name for path in MODULES if path.name not in ("__init__.py", "__main__.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_imports_neither_torch_nor_lightning(verb: str) -> None:
    """Their import takes seconds; help is to answer at once."""
    words = [verb, "--help"] if verb else ["--help"]
    program = (
        "import sys; from nmt.cli.main import main\n"
        f"try: main({words!r})\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'lightning', 'datasets', 'sacrebleu', 'matplotlib', 'fastapi', 'ray'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_the_house_grows_no_heavier() -> None:
    """DESIGN.md's bound; serving and the cluster engine take about 1,200 of these lines."""
    assert code_lines(ROOT / "nmt") <= 14_500
