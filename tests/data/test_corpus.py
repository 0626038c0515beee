"""Corpora: splits, cuts and what is refused before any work starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from nmt.config import DataConfig, Place
from nmt.data.corpus import Corpus, open_corpus
from nmt.data.scan import scan_corpus
from nmt.errors import ConfigError, DataError, UsageError


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("ten", [str(number) for number in range(10)])
    write("two", ["x", "y"])


@pytest.fixture
def phrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four splits of one pair each, in place of those that the grammar makes."""

    def read_split(name: str) -> list[tuple[str, str]]:
        return [(f"{name} auf Deutsch", f"{name} in English")]

    monkeypatch.setattr("nmt.data.phrases.read_split", read_split)


def write(prefix: str, german: list[str]) -> None:
    Path(f"{prefix}.de").write_text("".join(f"{line}\n" for line in german))
    Path(f"{prefix}.en").write_text("".join(f"en {line}\n" for line in german))


def corpus(name: str = "files", languages: str = "de en", **splits: Place) -> Corpus:
    source, target = languages.split()
    return open_corpus(
        DataConfig(
            source_language=source, target_language=target, corpus=name, splits=splits or None
        )
    )


def sources(opened: Corpus, split: str) -> list[str]:
    return [source for source, _ in opened.pairs(split)]


def error(kind: type[UsageError], name: str = "files", languages: str = "de en", **s: Place) -> str:
    with pytest.raises(kind) as caught:
        corpus(name, languages, **s)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_splits_are_as_given_with_train_first() -> None:
    opened = corpus(test="two", train="ten", news="two")
    assert opened.splits == ("train", "test", "news")
    assert list(opened.pairs("test")) == [("x", "en x"), ("y", "en y")]


def test_pairs_can_be_streamed_again_and_side_by_side() -> None:
    opened = corpus(train="ten", validation={"cut": 2})
    one, other = opened.pairs("train"), opened.pairs("train")
    assert next(one) == next(other)
    assert list(one) == list(other)
    assert len(sources(opened, "train")) == 8


def test_a_list_of_places_is_one_split() -> None:
    Path("a.tsv").write_text("de\ten\nz\ten z\n")
    assert sources(corpus(train=["two", "a.tsv", "two"]), "train") == ["x", "y", "z", "x", "y"]


def test_a_cut_of_a_place_that_is_not_there_is_one_line(phrases: None) -> None:
    config = DataConfig(
        source_language="de",
        target_language="en",
        corpus="builtin:phrases",
        splits={"train": "all", "validation": {"cut": 5}},
    )
    with pytest.raises(DataError, match="'all'"):
        open_corpus(config, only="validation")


def test_cuts_share_train_out_without_overlap() -> None:
    opened = corpus(train="ten", validation={"cut": 3}, test={"cut": 2})
    parts = {split: sources(opened, split) for split in opened.splits}
    assert {split: len(part) for split, part in parts.items()} == {
        "train": 5,
        "validation": 3,
        "test": 2,
    }
    assert sorted(line for part in parts.values() for line in part) == [
        str(number) for number in range(10)
    ]
    # Each keeps the order of train.
    assert all(part == sorted(part) for part in parts.values())


def test_cuts_are_the_same_on_every_machine() -> None:
    # The ten first draws of Mersenne Twister seeded with 1 are 0.134, 0.847, 0.764, 0.255, 0.495,
    # 0.449, 0.652, 0.789, 0.094, 0.028: position 9 has the smallest, then 8, 0, 3, 5.
    opened = corpus(train="ten", validation={"cut": 3}, test={"cut": 2})
    assert sources(opened, "validation") == ["0", "8", "9"]
    assert sources(opened, "test") == ["3", "5"]
    # A later cut leaves those before it alone.
    assert sources(corpus(train="ten", validation={"cut": 3}), "validation") == ["0", "8", "9"]


def test_a_cut_must_leave_something() -> None:
    assert len(sources(corpus(train="ten", test={"cut": 9}), "train")) == 1
    assert error(ConfigError, train="ten", test={"cut": 4}, validation={"cut": 6}) == (
        "data.splits.test: {cut: 4}, data.splits.validation: {cut: 6}: train has only 10 pairs; "
        "cut fewer"
    )
    assert "train has only 10 pairs" in error(ConfigError, train="ten", test={"cut": 10**15})


@pytest.mark.parametrize("place", [{"cut": 0}, {"cut": -3}, {"take": 5}, {}])
def test_wrong_cuts(place: Place) -> None:
    assert error(ConfigError, train="ten", test=place) == (
        f"data.splits.test: {place!r}: give a place, or {{cut: 2000}}"
    )


def test_wrong_places() -> None:
    assert error(ConfigError, train={"cut": 3}) == (
        "data.splits.train: {'cut': 3}: only other splits are cut out of train"
    )
    assert error(ConfigError, train="ten", test=[]) == "data.splits.test: [] names no place"
    assert error(ConfigError, train="") == "data.splits.train: '' names no place"


def test_every_split_is_looked_at_when_the_corpus_is_opened() -> None:
    for test in ("nowhere", ["two", "nowhere"]):
        missing = error(DataError, train="ten", test=test)
        assert missing.startswith("there is no file nowhere.de; check data.splits")
        assert str(Path.cwd()) in missing
    write("none", [])
    assert error(DataError, train="ten", test="none") == (
        "data.splits.test: no sentence pair in none"
    )
    Path("none.csv").write_text("de,en\n")
    assert error(DataError, train="none.csv") == ("data.splits.train: no sentence pair in none.csv")


def test_unknown_split() -> None:
    with pytest.raises(DataError) as caught:
        corpus(train="ten", test="two").pairs("dev")
    assert str(caught.value) == "the corpus files has no split 'dev'; it has train, test"
    for validation in ("two", {"cut": 2}):
        with pytest.raises(DataError, match="the corpus files has no split 'train'; it has val"):
            scan_corpus(corpus(validation=validation))


@pytest.mark.usefixtures("phrases")
def test_builtin_has_its_own_splits_and_both_directions() -> None:
    opened = corpus("builtin:phrases")
    assert opened.splits == ("train", "validation", "test", "long")
    assert list(opened.pairs("long")) == [("long auf Deutsch", "long in English")]
    swapped = corpus("builtin:phrases", "en de")
    assert list(swapped.pairs("train")) == [("train in English", "train auf Deutsch")]


@pytest.mark.usefixtures("phrases")
def test_builtin_splits_are_merged_with_those_given() -> None:
    opened = corpus("builtin:phrases", test="long", more=["test", "train"])
    assert opened.splits == ("train", "validation", "test", "long", "more")
    assert sources(opened, "test") == ["long auf Deutsch"]
    assert sources(opened, "more") == ["test auf Deutsch", "train auf Deutsch"]


@pytest.mark.usefixtures("phrases")
def test_builtin_errors() -> None:
    assert error(ConfigError, "builtin:verses") == (
        "data.corpus: there is no builtin corpus 'verses'; use builtin:phrases"
    )
    assert error(DataError, "builtin:phrases", "de fr") == ("builtin:phrases has de and en, not fr")
    assert error(DataError, "builtin:phrases", test="dev") == (
        "data.splits.test: builtin:phrases has no split 'dev'; name one of "
        "train, validation, test, long, or cut it out of train with data.splits.test: {cut: 2000}; "
        "data.splits.test: null leaves it out"
    )


@pytest.mark.parametrize("name", ["test", "validation"])
def test_null_leaves_a_split_out(name: str) -> None:
    opened = corpus("builtin:phrases", **{name: None})
    assert set(opened.splits) == {"train", "validation", "test", "long"} - {name}
    assert error(ConfigError, "builtin:phrases", train=None).startswith("data.splits.train: null")
    assert corpus(train="two", test=None).splits == ("train",)


def test_the_builtin_corpus_itself() -> None:
    source, target = next(corpus("builtin:phrases", "en de").pairs("validation"))
    assert source
    assert target
    assert source != target


def test_opening_files_imports_no_large_library() -> None:
    code = (
        "import sys; from nmt.config import DataConfig; from nmt.data.corpus import open_corpus\n"
        "open_corpus(DataConfig('de', 'en', splits={'train': 'two'}))\n"
        "print({'datasets', 'huggingface_hub', 'pyarrow', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_places_of_train_have_weights() -> None:
    Path("a.tsv").write_text("de\ten\nz\ten z\n")
    opened = corpus(train=["two", {"place": "a.tsv", "weight": 2.5}, "two"])
    assert opened.weights == (1.0, 2.5, 1.0)
    assert sources(opened, "train") == ["x", "y", "z", "x", "y"]  # once, whatever the weight
    assert [len(list(part)) for part in opened.parts("train")] == [2, 1, 2]
    assert corpus(train="two").weights == (1.0,)


def test_cuts_work_across_places() -> None:
    train = ["ten", {"place": "two", "weight": 3}, "ten"]
    opened = corpus(train=train, validation={"cut": 6}, test={"cut": 4})
    rest = [[source for source, _ in part] for part in opened.parts("train")]
    cut = sources(opened, "validation") + sources(opened, "test")
    assert len(cut) == 10 and sum(map(len, rest)) == 12 and len(rest) == 3
    assert set(rest[1]) <= {"x", "y"} and not {"x", "y"} & {*rest[0], *rest[2]}
    everything = [str(number) for number in range(10)] * 2 + ["x", "y"]
    assert sorted(cut + [line for part in rest for line in part]) == sorted(everything)


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"place": "two"}, "{'place': 'two'}: give {place: NAME, weight: 2}"),
        ({"place": 3.0, "weight": 2}, ": give {place: NAME, weight: 2}"),
        ({"place": "two", "wieght": 2}, ": give {place: NAME, weight: 2}"),
        ({"place": "two", "weight": 0}, "two: weight 0: it must be above 0 and"),
        (
            {"place": "two", "weight": -1.5},
            "two: weight -1.5: it must be above 0 and",
        ),
        ({"place": "two", "weight": "x"}, "two: weight 'x': it must be above 0 and"),
        ({"place": "two", "weight": float("inf")}, "two: weight inf"),
        ({"place": "", "weight": 2}, "names no place"),
    ],
)
def test_wrong_weights(item: dict[str, str | float], told: str) -> None:
    message = error(ConfigError, train=["ten", item])
    assert message.startswith("data.splits.train: ")
    assert told in message


def test_only_train_has_weights() -> None:
    assert error(ConfigError, train="ten", test=[{"place": "two", "weight": 2}]) == (
        "data.splits.test: two: only the places of train have a weight"
    )
    missing = error(DataError, train=["ten", {"place": "nowhere", "weight": 2}])
    assert missing.startswith("there is no file nowhere.de; check data.splits")
