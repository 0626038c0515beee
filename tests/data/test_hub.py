"""Data sets of a hub on 127.0.0.1, and of folders in the hub's layout.

Each load runs in a process of its own: the libraries read HF_ENDPOINT and HF_HOME when imported.
"""

import dataclasses
import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from nmt.data.hub import _PROBE_SECONDS
from tests.data.hub_server import Files, HubServer, commit_of

LOAD = """
import json, logging, sys
from nmt.config import ColumnsConfig, DataConfig
from nmt.data.corpus import open_corpus
from nmt.errors import NmtError

logging.basicConfig(format="%(name)s: %(message)s")
results = []
for corpus, splits, columns in json.loads(sys.argv[1]):
    config = DataConfig("de", "en", corpus, splits, columns and ColumnsConfig(*columns))
    try:
        opened = open_corpus(config)
        results.append({split: list(opened.pairs(split)) for split in opened.splits})
    except NmtError as error:
        results.append(f"{type(error).__name__}: {error}")
print(json.dumps(results))
"""
NO_TEST = {"validation": "train", "test": "train"}
Job = tuple[str, dict[str, Any] | None, list[str] | None]


@dataclasses.dataclass
class Loaded:
    results: dict[str, Any]
    """Pairs by split, or the error, by what was asked for."""
    stderr: str
    seconds: float


def load(folder: Path, endpoint: str, jobs: dict[str, Job], **variables: str) -> Loaded:
    """Open corpora one after the other, with the cache in `folder`."""
    # Without the last, the library also asks a server that counts downloads.
    here = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder), "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(list(jobs.values()))],
        cwd=folder,
        env=os.environ | here | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = dict(zip(jobs, json.loads(done.stdout), strict=True))
    return Loaded(results, done.stderr, time.monotonic() - start)


def jsonl(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def translations(*pairs: tuple[str, str]) -> bytes:
    return jsonl(*({"id": 1, "translation": {"de": d, "en": e}} for d, e in pairs))


def parquet(**columns: list[object]) -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


def card(**files: str) -> bytes:
    """Name configurations and their files as the first lines of a README.md do."""
    configs = "".join(f"- config_name: {n}\n  data_files: {f}\n" for n, f in files.items())
    return f"---\nconfigs:\n{configs}---\n".encode()


OLD = {"train.jsonl": translations(("alt", "old"))}
NEW = {"train.jsonl": translations(("neu", "new"))}
SCRIPT = {"moving.py": b"raise SystemExit"}
REPOSITORIES: dict[str, Files] = {
    "o/lines": {
        "README.md": b"No metadata.",
        "train.jsonl": translations(("ein\nHund", "a dog"), ("NA", "null"), ("drei", "three")),
        "test.jsonl": translations(("vier", "four")),
    },
    "o/parquet": {
        "data/train-00000-of-00001.parquet": parquet(english=["yes"], deutsch=["ja"], id=[1]),
        "data/validation-00000-of-00001.parquet": parquet(english=["no"], deutsch=["na"], id=[1]),
        "data/test-00000-of-00001.parquet": parquet(english=["oh"], deutsch=["oh"], id=[1]),
    },
    "o/words": {
        "README.md": card(one="1.csv", two="2.csv"),
        "1.csv": b'de,en\nNA,null\n"a, ""b""",nan\n',
        "2.csv": b"de,en\nzwei,two\n",
    },
    "o/tabs": {"train.tsv": b'de\ten\nNA\tnull\n"a\t""b\n'},
    "o/moving": OLD,
    "o/gated": OLD,
    "o/empty": {"picture.xyz": b"?"},
    "o/scripted": {"scripted.py": b"raise SystemExit"},
    "o/broken": {"train.jsonl": b'{"de": "ja", "en": "yes"}\n{"de": \n'},
    "o/holes": {"train.jsonl": jsonl({"de": "ja", "en": "yes"}, {"de": None, "en": "no"})},
}
COMMIT = {name: commit_of(files) for name, files in REPOSITORIES.items()}

ONLINE: dict[str, Job] = {
    "lines": ("hub:o/lines", {"validation": {"cut": 1}, "more": ["test", "train"]}, None),
    "lines at a commit": (f"hub:o/lines@{COMMIT['o/lines']}", NO_TEST, None),
    "defaults": ("hub:o/lines", None, None),
    "wrong split": ("hub:o/lines", {"validation": {"cut": 1}, "more": "tset"}, None),
    "parquet": ("hub:o/parquet", None, ["deutsch", "english"]),
    "wrong columns": ("hub:o/parquet", None, None),
    "csv": ("hub:o/words@main#one", NO_TEST, None),
    "tsv": ("hub:o/tabs", NO_TEST, None),
    "no config": ("hub:o/words", NO_TEST, None),
    "wrong config": ("hub:o/words#three", NO_TEST, None),
    "moving": ("hub:o/moving", NO_TEST, None),
    "gated": ("hub:o/gated", NO_TEST, None),
    "empty": ("hub:o/empty", NO_TEST, None),
    "scripted": ("hub:o/scripted", NO_TEST, None),
    "broken": ("hub:o/broken", NO_TEST, None),
    "holes": ("hub:o/holes", {"train": "train", "validation": {"cut": 1}, "test": "train"}, None),
    "unknown": ("hub:o/nothing", None, None),
    "wrong revision": ("hub:o/lines@v9", None, None),
    "down": ("hub:o/down", None, None),
    "limited": ("hub:o/limited", None, None),
}
OFFLINE: dict[str, Job] = {
    "lines": ("hub:o/lines", NO_TEST, None),
    "csv": ("hub:o/words#one", NO_TEST, None),
    "tsv": ("hub:o/tabs", NO_TEST, None),
    "moving": ("hub:o/moving@main", NO_TEST, None),
    "moving, old": (f"hub:o/moving@{COMMIT['o/moving']}", NO_TEST, None),
    "moving, new": (f"hub:o/moving@{commit_of(NEW)}", NO_TEST, None),
    "never loaded": ("hub:o/nothing", None, None),
    "wrong config": ("hub:o/words#three", NO_TEST, None),
}


@dataclasses.dataclass
class Story:
    online: Loaded
    moved: Loaded
    broken: Loaded
    unreachable: Loaded
    offline: Loaded
    endpoint: str


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Load all from the hub; load what has moved since; and again when the hub is gone."""
    folder = tmp_path_factory.mktemp("hub")
    moving = {"moving": ONLINE["moving"]}
    server = HubServer(
        dict(REPOSITORIES), gated=("o/gated",), refused={"o/down": 503, "o/limited": 429}
    )
    with server.running() as hub:
        online = load(folder, hub.url, ONLINE)
        hub.repositories["o/moving"] = NEW
        moved = load(folder, hub.url, moving)
        hub.repositories["o/moving"] = SCRIPT
        broken = load(folder, hub.url, moving)
    unreachable = load(folder, hub.url, OFFLINE)
    offline = load(folder, hub.url, {"lines": OFFLINE["lines"]}, HF_HUB_OFFLINE="1")
    return Story(online, moved, broken, unreachable, offline, hub.url)


def test_a_data_set_streams_its_splits_and_cuts(story: Story) -> None:
    pairs = story.online.results["lines"]
    # The smallest of the first three draws is the first: see test_corpus.py.
    assert pairs == {
        "train": [["NA", "null"], ["drei", "three"]],
        "validation": [["ein Hund", "a dog"]],
        "test": [["vier", "four"]],
        "more": [["vier", "four"], ["ein Hund", "a dog"], ["NA", "null"], ["drei", "three"]],
    }
    assert len(story.online.results["lines at a commit"]["train"]) == 3


def test_parquet_from_another_host_with_named_columns(story: Story) -> None:
    assert story.online.results["parquet"] == {
        "train": [["ja", "yes"]],
        "validation": [["na", "no"]],
        "test": [["oh", "oh"]],
    }


def test_words_that_look_like_nothing_stay_words(story: Story) -> None:
    assert story.online.results["csv"]["train"] == [["NA", "null"], ['a, "b"', "nan"]]
    assert story.online.results["tsv"]["train"] == [["NA", "null"], ['"a', '""b']]


def test_nothing_but_our_own_words_is_written(story: Story) -> None:
    assert story.online.stderr == ""


@pytest.mark.parametrize(
    ("job", "expected"),
    {
        "defaults": (
            "data.splits.validation: hub:o/lines has no split 'validation'; name one of train, "
            "test, or cut it out of train with data.splits.validation: {cut: 2000}"
        ),
        "wrong split": (
            "data.splits.more: hub:o/lines has no split 'tset'; name one of train, test, "
            "or cut it out of train with data.splits.more: {cut: 2000}"
        ),
        "wrong columns": (
            "hub:o/parquet: train row 1: no columns 'de' and 'en' or 'translation.de' and "
            "'translation.en'; there are 'english', 'deutsch', 'id'; "
            "name them with data.columns.source and data.columns.target"
        ),
        "no config": ("hub:o/words has several configurations; give one after a #: 'one', 'two'"),
        "wrong config": (
            "hub:o/words#three has no configuration 'three'; give one after a #: 'one', 'two'"
        ),
        "gated": (
            "hub:o/gated is gated: ask for access on its page, then log in with `hf auth login`"
        ),
        "empty": "hub:o/empty has no data files (parquet, jsonl, csv, tsv)",
        "scripted": (
            "hub:o/scripted needs its loading script, and scripts are not run; use a copy with "
            "data files (on the hub often under @refs/convert/parquet)"
        ),
        "broken": "hub:o/broken cannot be loaded: ",
        "holes": (
            "hub:o/holes: train row 2: column 'de' is empty (null), not text; leave the row out"
        ),
        "unknown": (
            "hub:o/nothing: the hub has no data set o/nothing, or it is private; "
            "check the name, or log in with `hf auth login`"
        ),
        "wrong revision": ("hub:o/lines@v9 has no revision 'v9'; name a branch, tag or commit"),
    }.items(),
)
def test_what_is_wrong_is_said_in_one_line(story: Story, job: str, expected: str) -> None:
    error = story.online.results[job]
    assert error.startswith(f"DataError: {expected}")
    assert "\n" not in error


def test_a_hub_in_trouble(story: Story) -> None:
    down, limited = story.online.results["down"], story.online.results["limited"]
    lost = f"DataError: hub:o/down: {story.endpoint} cannot be reached: Server error '503"
    assert down.startswith(lost)
    assert limited.startswith("DataError: hub:o/limited cannot be loaded: ")
    assert "429" in limited


def test_a_data_set_that_moved_is_loaded_anew(story: Story) -> None:
    assert story.online.results["moving"]["train"] == [["alt", "old"]]
    assert story.moved.results["moving"]["train"] == [["neu", "new"]]


def test_a_data_set_that_broke_is_not_replaced_by_an_old_copy(story: Story) -> None:
    assert story.broken.results["moving"] == (
        f"DataError: hub:o/moving: commit {commit_of(SCRIPT)} cannot be loaded, though another, "
        f"{commit_of(NEW)}, is in the cache; name it after the @ to use it, "
        "or clear the cache to see why"
    )


def test_without_the_hub_the_cached_copy_is_used_and_said(story: Story) -> None:
    results, lost = story.unreachable.results, f"{story.endpoint} cannot be reached: "
    assert len(results["lines"]["train"]) == 3
    assert results["csv"]["train"] == [["NA", "null"], ['a, "b"', "nan"]]
    assert results["tsv"]["train"] == [["NA", "null"], ['"a', '""b']]
    assert results["moving"]["train"] == results["moving, new"]["train"] == [["neu", "new"]]
    warning = story.unreachable.stderr.splitlines()[0]
    assert warning.startswith(f"nmt: hub:o/lines: {lost}")
    assert warning.endswith(f"; using the cached copy of commit {COMMIT['o/lines']}")
    assert len(story.unreachable.stderr.splitlines()) == 5


def test_without_the_hub_no_other_copy_stands_in(story: Story) -> None:
    results, lost = story.unreachable.results, f"{story.endpoint} cannot be reached: "
    old = results["moving, old"]
    assert old.startswith(f"DataError: hub:o/moving@{COMMIT['o/moving']}: {lost}")
    assert f"the newest copy in the cache is of commit {commit_of(NEW)};" in old
    for job, name in {"never loaded": "hub:o/nothing", "wrong config": "hub:o/words#three"}.items():
        assert results[job].startswith(f"DataError: {name}: {lost}")
        assert results[job].endswith(
            "and the cache holds no copy; check the network and HF_ENDPOINT, "
            "or bring the files here and use hub:FOLDER"
        )


def test_offline_mode_asks_nobody(story: Story) -> None:
    assert len(story.offline.results["lines"]["train"]) == 3
    assert story.offline.stderr == (
        "nmt: hub:o/lines: HF_HUB_OFFLINE is set; "
        f"using the cached copy of commit {COMMIT['o/lines']}\n"
    )


def test_an_unreachable_hub_is_soon_reported(tmp_path: Path) -> None:
    """One refuses at once, the other never answers; the library would wait for it five times."""
    found = []
    for listens in (False, True):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            if listens:
                listener.listen()
            endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
            found.append(load(tmp_path, endpoint, {"lines": ONLINE["lines"]}))
        assert (
            found[-1]
            .results["lines"]
            .startswith(f"DataError: hub:o/lines: {endpoint} cannot be reached: ")
        )
    refused, silent = found
    assert silent.seconds - refused.seconds < 3 * _PROBE_SECONDS


def test_folders_in_the_hubs_layout(tmp_path: Path) -> None:
    write = folder_writer(tmp_path)
    write("mine", REPOSITORIES["o/lines"])
    write("shards", REPOSITORIES["o/parquet"])
    write("words", REPOSITORIES["o/words"])
    write("tabs", REPOSITORIES["o/tabs"])
    write("scripted", {"scripted.py": b""})
    write("empty", {"picture.xyz": b""})
    write("o/lines", NEW)
    write(
        "wide",
        {name: text.decode().encode("utf-16") for name, text in REPOSITORIES["o/tabs"].items()},
    )
    jobs: dict[str, Job] = {
        "lines": ("hub:mine", {"validation": {"cut": 1}}, None),
        "absolute": (f"hub:{tmp_path}/mine", NO_TEST, None),
        "parquet": ("hub:./shards", None, ["deutsch", "english"]),
        "tsv": ("hub:tabs", NO_TEST, None),
        "like a name": ("hub:o/lines", NO_TEST, None),
        "config": ("hub:words#three", NO_TEST, None),
        "scripted": ("hub:scripted", NO_TEST, None),
        "empty": ("hub:empty", NO_TEST, None),
        "wide": ("hub:wide", NO_TEST, None),
        "revision": ("hub:mine@main", NO_TEST, None),
        "missing": ("hub:yours", NO_TEST, None),
        "packaged": ("hub:json", NO_TEST, None),
    }
    loaded = load(tmp_path, "http://127.0.0.1:1", jobs)
    results = loaded.results
    assert loaded.stderr == ""
    assert results["lines"]["validation"] == [["ein Hund", "a dog"]]
    assert results["lines"]["test"] == [["vier", "four"]]
    assert len(results["absolute"]["train"]) == 3
    assert results["parquet"]["validation"] == [["na", "no"]]
    assert results["tsv"]["train"] == [["NA", "null"], ['"a', '""b']]
    assert results["like a name"]["train"] == [["neu", "new"]]
    assert "hub:words#three has no configuration 'three'" in results["config"]
    assert "hub:scripted needs its loading script" in results["scripted"]
    assert "hub:empty has no data files" in results["empty"]
    assert "hub:wide has a file in UTF-16" in results["wide"]
    assert results["revision"] == (
        "ConfigError: data.corpus: hub:mine@main: the folder mine has no revisions"
    )
    for job in ("missing", "packaged"):
        assert results[job].endswith(
            " is neither hub:OWNER/NAME[@REVISION][#CONFIG] nor a folder that exists"
        )


def folder_writer(root: Path) -> Callable[[str, Files], None]:
    def write(folder: str, files: Files) -> None:
        for name, content in files.items():
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return write
