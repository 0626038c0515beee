"""The tokenizer is learned once, from every n-th pair of a large corpus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt.data.cache import cache_folder, learn_tokenizer
from nmt.data.columns import Pair
from nmt.data.corpus import Corpus
from nmt.data.scan import scan_corpus
from nmt.errors import BundleError, DataError
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from tests.data.made import made_config

PAIRS = [(f"wort{n} a", f"word{n} b") for n in range(100)]
SIZE = ["--tokenizer.vocabulary_size", "24"]


class Counted:
    """A corpus that counts how often it is read."""

    def __init__(self) -> None:
        self.passes = 0
        self.corpus = Corpus("made", {"train": "train"}, self.read)
        self.scan = scan_corpus(self.corpus)

    def read(self, place: str) -> Iterator[Pair]:
        self.passes += 1
        return iter(PAIRS)

    def learn(self, cache: Path, *words: str) -> tuple[Tokenizer, list[str]]:
        return learn_tokenizer(made_config(cache, *words), self.corpus, self.scan)


def test_it_is_the_one_that_the_pairs_teach(tmp_path: Path) -> None:
    counted = Counted()
    learned, notes = counted.learn(tmp_path, *SIZE)
    config = made_config(tmp_path, *SIZE).tokenizer
    assert learned.source.model == train_tokenizer(config, PAIRS)[0].source.model
    assert (learned.shared, notes, counted.passes) == (True, [], 2)


@pytest.mark.parametrize(("limit", "step"), [(100, 1), (99, 2), (50, 2), (34, 3), (33, 4)])
def test_of_a_large_corpus_every_nth_pair_is_learned_from(
    tmp_path: Path, limit: int, step: int
) -> None:
    words = [*SIZE, "--tokenizer.max_pairs", str(limit), "--tokenizer.shared", "false"]
    learned, _ = Counted().learn(tmp_path, *words)
    expected, _ = train_tokenizer(made_config(tmp_path, *words).tokenizer, PAIRS[::step])
    assert learned.source.model == expected.source.model
    assert learned.target.model == expected.target.model


def test_it_is_learned_once_with_the_same_notes(tmp_path: Path) -> None:
    counted = Counted()
    first, notes = counted.learn(tmp_path)
    assert notes and counted.passes == 2
    again, same = counted.learn(tmp_path)
    assert (again.source.model, same, counted.passes) == (first.source.model, notes, 2)
    counted.learn(tmp_path, *SIZE)
    assert counted.passes == 3
    for file in tmp_path.glob("*/*"):
        file.write_bytes(b"damaged")
    assert counted.learn(tmp_path)[0].source.model == first.source.model


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot read .*nowhere"):
        Counted().learn(tmp_path, "--tokenizer.path", str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write .*file/tokenizer-.*--data.cache"):
        Counted().learn(tmp_path / "file", *SIZE)


def test_the_cache_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder("here") == Path("here")
    assert cache_folder("~/here") == Path.home() / "here"
    with pytest.raises(
        DataError, match=r"data.cache: ~nobody-here/x: there is no such home folder"
    ):
        cache_folder("~nobody-here/x")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder(None) == Path("/caches/nmt")
