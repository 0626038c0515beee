"""Several processes write what one writes; whatever breaks leaves one clear error and no folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt.config import TokenizerConfig
from nmt.data.chunks import CHUNK
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.encoding import ChunkEncoder, EncodedChunk, write_encoded
from nmt.errors import DataError, NmtError
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from tests.conftest import take_signals
from tests.data.made import encode, made_corpus

PAIRS = [(f"wort{i % 701} " * (i % 5 + 1), f"word{i % 503} x") for i in range(3 * CHUNK + 100)]
HELD_OUT = {"validation": [("wort3", "word4 x")], "test": PAIRS[5:7]}


@pytest.fixture(scope="module", params=[True, False])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    config = TokenizerConfig(vocabulary_size=90, shared=request.param)
    return train_tokenizer(config, PAIRS[:1000])[0]


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small corpus count as one that several processes share."""
    monkeypatch.setattr("nmt.data.encoding._FEW", 1)


class Dying(ChunkEncoder):
    """Takes its process down at the last chunk."""

    def __call__(self, chunk: list[Pair]) -> EncodedChunk:
        if len(chunk) < CHUNK:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(chunk)


def test_any_number_of_workers_writes_the_same_bytes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for name, workers in {"alone": 1, "shared": 2}.items():
        corpus = made_corpus(PAIRS, **HELD_OUT)
        encode(corpus, tokenizer, tmp_path / name, workers=workers)
    alone, shared = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*/*")}
        for name in ("alone", "shared")
    )
    assert alone == shared
    names = {"pairs.arrow", "lengths.npy", "marks.npy", "shares.npy", "sums.json"}
    assert set(alone) == names


def test_a_worker_that_dies_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoder = Dying(tokenizer, HELD_OUT)
    with pytest.raises(NmtError, match=r"one of 2 worker processes died"):
        write_encoded(tmp_path, PAIRS, len(PAIRS), encoder, 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_while_reading_leaves_nothing(
    tokenizer: Tokenizer, tmp_path: Path, workers: int
) -> None:
    passes = []

    def read(place: str) -> Iterator[Pair]:
        passes.append(place)
        yield from PAIRS
        if len(passes) > 1:
            raise DataError("the disk is gone")

    with pytest.raises(DataError, match="the disk is gone"):
        corpus = Corpus("made", {"train": "train"}, read)
        encode(corpus, tokenizer, tmp_path, workers=workers)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [-1, 1, CHUNK])
def test_a_corpus_that_changes_meanwhile_is_an_error(
    tokenizer: Tokenizer, tmp_path: Path, change: int
) -> None:
    pairs = (PAIRS + PAIRS)[: 2 * CHUNK + change]
    with pytest.raises(DataError, match="changed while it was read"):
        encoder = ChunkEncoder(tokenizer, {})
        write_encoded(tmp_path, pairs, 2 * CHUNK, encoder, 1)


PROGRAM = """import itertools, sys
from pathlib import Path
from nmt.config import TokenizerConfig
from nmt.data.corpus import Corpus
from nmt.text.tokenizer import train_tokenizer
from tests.data.made import encode

def read(place, passes=[]):
    passes.append(place)
    few = [("a b", "c d")] * 100_000
    return iter(few) if len(passes) == 1 else endless(few)

def endless(pairs):
    yield from pairs[:int(sys.argv[2])]
    print("going", flush=True)
    yield from itertools.cycle(pairs[:1])

if __name__ == "__main__":
    tokenizer = train_tokenizer(TokenizerConfig(model="word"), [("a b", "c d")])[0]
    corpus = Corpus("made", {"train": "train"}, read)
    encode(corpus, tokenizer, Path(sys.argv[1]) / "cache", workers=2)
"""


def started(folder: Path, pairs: int) -> subprocess.Popen[str]:
    """Encode so many pairs of a corpus without end, in a process group of its own."""
    script = folder / "program.py"
    script.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, script, folder, str(pairs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=take_signals,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    return process


def end_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def wait_for_the_end_of(group: int) -> None:
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.killpg(group, 0)
            time.sleep(0.1)


@pytest.mark.parametrize("pairs", [CHUNK, 100_000])  # workers starting, or all at work
def test_ctrl_c_leaves_nothing_and_nobody(tmp_path: Path, pairs: int) -> None:
    """The whole process group gets it, as at a terminal."""
    process = started(tmp_path, pairs)
    os.killpg(process.pid, signal.SIGINT)
    _, err = end_of(process)
    assert err.count("Traceback") == err.count("KeyboardInterrupt") == 1
    assert list((tmp_path / "cache").iterdir()) == []
    wait_for_the_end_of(process.pid)


def test_workers_end_with_a_main_process_that_is_killed(tmp_path: Path) -> None:
    process = started(tmp_path, 100_000)
    process.kill()
    end_of(process)
    wait_for_the_end_of(process.pid)


def test_workers_import_no_large_library() -> None:
    code = (
        "import sys, nmt.data.encoding, pyarrow\n"
        "print({'torch', 'lightning', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
