"""`hf://owner/name` as MODEL, from a hub on 127.0.0.1."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.bundle import find_bundle
from nmt.errors import BundleError
from tests.conftest import Command
from tests.data.hub_server import HubServer


def translate(url: str, home: Path, model: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's address is read when its library is imported."""
    return subprocess.run(
        [sys.executable, "-m", "nmt", "translate", model],
        input="Der Hund schläft.\n",
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"},
    )


def test_a_model_on_the_hub_translates_as_the_folder_does(
    nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    files = {path.name: path.read_bytes() for path in (tiny_run / "model").iterdir()}
    with HubServer({"someone/model": files}).running() as hub:
        done = translate(hub.url, tmp_path / "home", "hf://someone/model")
    assert done.returncode == 0, done.stderr
    (tmp_path / "in").write_text("Der Hund schläft.\n")
    assert done.stdout == nmt("translate", tiny_run, tmp_path / "in").out
    # Once fetched, it needs no hub.
    again = translate("http://127.0.0.1:9", tmp_path / "home", "hf://someone/model")
    assert again.returncode == 0 and again.stdout == done.stdout


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("hf://someone/else", "hf://someone/else is not on the hub, or is private"),
        ("hf://a/b/c", "hf://a/b/c is not a name of the form owner/name"),
        ("hf://someone/empty", "hf://someone/empty is not a model of nmt: it holds no bundle.json"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(model: str, told: str, tmp_path: Path) -> None:
    with HubServer({"someone/empty": {"README.md": b"nothing"}}).running() as hub:
        done = translate(hub.url, tmp_path / "home", model)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


def test_a_download_that_breaks_off_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*words: object, **options: object) -> str:
        raise RuntimeError("Data processing error: CAS service error")  # as hf_xet does

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(BundleError, match="hf://someone/model cannot be fetched: Data processing"):
        find_bundle("hf://someone/model")


def test_a_hub_out_of_reach_is_one_line(tmp_path: Path) -> None:
    done = translate("http://127.0.0.1:9", tmp_path / "home", "hf://someone/model")
    assert done.returncode == 2
    told = "nmt: error: hf://someone/model cannot be fetched: the hub cannot be reached"
    assert done.stderr.splitlines()[-1].startswith(told)
