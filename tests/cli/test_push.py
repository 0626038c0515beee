"""`nmt push` to a hub on 127.0.0.1, and the pull of what was pushed."""

import io
import json
import os
import pty
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.conftest import Command, save_member
from tests.data.hub_server import HubServer, reach_hub

NAME = "someone/model"
ADDRESS = f"hf://{NAME}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer({}).running() as server:
        reach_hub(monkeypatch, server.url, tmp_path / "home")
        yield server


def test_a_run_is_uploaded_whole_and_pulled_at_a_revision(
    nmt: Command, tiny_run: Path, hub: HubServer, tmp_path: Path
) -> None:
    pushed = nmt("push", tiny_run, ADDRESS, "--yes")
    assert pushed.code == 0, pushed.err
    assert hub.private == {NAME} and pushed.out == f"{ADDRESS}@{next(iter(hub.history))}\n"
    first = hub.repositories[NAME]
    names = {path.name for path in (tiny_run / "model").iterdir()}
    assert set(first) == {".gitattributes", *names}
    for name in names - {"README.md", "metrics.json", "bundle.json"}:
        assert first[name] == (tiny_run / "model" / name).read_bytes(), name
    for name in names:
        row = next(line for line in pushed.err.splitlines() if line.endswith(f"  {name}"))
        assert int(row.split()[0].replace(",", "")) == len(first[name])
    # Another model takes its place; the revision leads to the first.
    other = save_member(tiny_run, tmp_path / "other")
    again = nmt("push", other, ADDRESS, "--yes")
    assert again.code == 0 and "a new repository" not in again.err, again.err
    (tmp_path / "in").write_text("Der Hund schläft.\n")
    for address, model in [(pushed.out.strip(), tiny_run), (ADDRESS, other)]:
        expected = nmt("translate", model, tmp_path / "in")
        result = nmt("translate", address, tmp_path / "in")
        assert result.code == 0 and result.out == expected.out, result.err
    result = nmt("translate", f"{ADDRESS}@nowhere", tmp_path / "in")
    assert result.code == 2 and f"{ADDRESS}@nowhere" in result.err.splitlines()[-1]


def test_files_of_another_kind_of_model_do_not_stay(
    nmt: Command, tiny_run: Path, hub: HubServer
) -> None:
    hub.repositories[NAME] = {"shared.model": b"old", "notes.txt": b"mine"}
    hub.private.add(NAME)
    assert nmt("push", tiny_run, ADDRESS, "--yes").code == 0
    assert "shared.model" not in hub.repositories[NAME]
    assert hub.repositories[NAME]["notes.txt"] == b"mine"


def test_the_card_is_what_the_hub_reads(nmt: Command, tiny_run: Path, hub: HubServer) -> None:
    """Parsed by the hub's own library, beside the scores in the run's folder."""
    assert nmt("push", tiny_run, ADDRESS, "--yes", "--public", "--license", "mit").code == 0
    assert not hub.private
    data = ModelCard(hub.repositories[NAME]["README.md"].decode()).data
    assert (data.language, data.library_name, data.license) == (["de", "en"], "nmt", "mit")
    scores = json.loads((tiny_run / "scores.test.json").read_text())
    assert data.model_name == "model" and data.eval_results is not None
    found = {one.metric_type: one for one in data.eval_results}
    assert set(found) == {"bleu", "chrf", "ter"}
    for metric, one in found.items():
        assert (one.dataset_split, one.dataset_type, one.task_type) == (
            "test",
            "files",
            "translation",
        )
        assert {"score": one.metric_value, **(one.metric_args or {})} == scores[metric]


def test_nothing_is_uploaded_without_consent(
    nmt: Command, tiny_run: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = nmt("push", tiny_run, ADDRESS)
    assert result.code == 2 and "--yes" in result.err and "weights.safetensors" in result.err
    for answer, code in [("n", 130), ("", 130), ("y", 0)]:
        master, slave = pty.openpty()
        os.write(master, f"{answer}\n".encode())
        with open(slave, encoding="utf-8") as terminal:
            monkeypatch.setattr("sys.stdin", terminal)
            result = nmt("push", tiny_run, ADDRESS)
        os.close(master)
        assert result.code == code and (NAME in hub.repositories) == (code == 0), result.err
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert nmt("push", tiny_run, ADDRESS).code == 2


def test_who_may_read_is_not_changed_unasked(nmt: Command, tiny_run: Path, hub: HubServer) -> None:
    hub.repositories |= {"a/public": {}, "a/private": {}}
    hub.private.add("a/private")
    for words in (["hf://a/public"], ["hf://a/private", "--public", "--license", "mit"]):
        result = nmt("push", tiny_run, *words, "--yes")
        assert result.code == 2 and words[0] in result.err and "--public" in result.err
    assert hub.repositories == {"a/public": {}, "a/private": {}}


@pytest.mark.parametrize(
    ("token", "words", "told"),
    [
        (None, [ADDRESS], ["401", "HF_TOKEN"]),
        ("reader", [ADDRESS], ["403", "HF_TOKEN"]),
        ("writer", ["hf://someone/refused"], ["400", "no such name here"]),
        ("writer", ["someone/model"], ["someone/model", "hf://owner/name"]),
        ("writer", ["hf://model"], ["hf://model", "hf://owner/name"]),
        ("writer", ["hf://a/b@main"], ["hf://a/b@main", "hf://owner/name"]),
        ("writer", ["hf://a/b--c"], ["hf://a/b--c"]),
        ("writer", [ADDRESS, "--license", "wrong"], ["license must be known"]),
        ("writer", [ADDRESS, "--public"], ["--license"]),
    ],
)
def test_what_is_refused_is_one_line_and_makes_nothing(
    nmt: Command,
    tiny_run: Path,
    hub: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    token: str | None,
    words: list[str],
    told: list[str],
) -> None:
    hub.bad_names.add("someone/refused")
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    result = nmt("push", tiny_run, *words, "--yes")
    last = result.err.splitlines()[-1]
    assert result.code in (1, 2) and last.startswith("nmt: error: "), result.err
    assert all(one in last for one in told), last
    assert hub.repositories == {} and result.out == ""


def test_a_hub_out_of_reach_is_one_line(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "home")
    result = nmt("push", tiny_run, ADDRESS, "--yes")
    assert result.code == 1 and result.err.count("\n") == 1 and "reached" in result.err


@pytest.mark.parametrize("name", ["weights.safetensors", "config.yaml", "metrics.json"])
def test_a_damaged_model_is_not_uploaded(
    nmt: Command, tiny_run: Path, tmp_path: Path, hub: HubServer, name: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    file = run / "model" / name
    content = file.read_bytes()
    place = content.rindex(b"5") if name != "config.yaml" else content.index(b"beam_size: 3") + 11
    file.write_bytes(content[:place] + b"1" + content[place + 1 :])  # still a valid file
    result = nmt("push", run, ADDRESS, "--yes")
    assert result.code == 2 and name in result.err and hub.repositories == {}
