"""Where a teacher's translations are kept, and the corpus that they make, by hand."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from nmt.config import Place, TokenizerConfig
from nmt.data.cache import find_translations
from nmt.data.corpus import Corpus
from nmt.data.distilled import DistilledCorpus, TeacherTranslations
from nmt.data.plan import plan_epoch
from nmt.data.scan import scan_corpus
from nmt.errors import DataError
from nmt.text.tokenizer import train_tokenizer
from tests.data.made import encode, made_config, made_corpus

ONE = [("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")]
TWO = [("e", "E"), ("f", "F")]
TOLD = [["t1", "u1"], ["t2"], [""], ["t4", "u4"], ["t5", ""], ["t6"]]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TeacherTranslations:
    """Six sentences in chunks of two, all there."""
    monkeypatch.setattr("nmt.data.distilled.CHUNK", 2)
    translations = TeacherTranslations(tmp_path, 6)
    for number in (2, 0, 1):
        translations.write(number, TOLD[2 * number : 2 * number + 2])
    return translations


def distilled(kept: TeacherTranslations, references: float) -> DistilledCorpus:
    places: dict[str, Place] = {
        "train": ["one", {"place": "two", "weight": 2.0}],
        "validation": "two",
    }
    pairs = {"one": ONE, "two": TWO}
    return DistilledCorpus("made", places, lambda name: iter(pairs[name]), kept, references)


def test_translations_are_plain_text_in_order(kept: TeacherTranslations) -> None:
    assert list(kept) == TOLD
    names = sorted(path.name for path in kept.folder.iterdir())
    assert names == ["000000.txt.gz", "000001.txt.gz", "000002.txt.gz"]
    packed = (kept.folder / "000001.txt.gz").read_bytes()
    assert gzip.decompress(packed) == b"\nt4\tu4\n"


def test_chunks_that_are_missing_or_damaged_are_known(
    kept: TeacherTranslations, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (kept.missing(), kept.total) == (set(), 6)
    (kept.folder / "000001.txt.gz").unlink()
    (kept.folder / "000002.txt.gz").write_bytes(gzip.compress(b"t5\n"))
    assert kept.missing() == {1, 2} and kept.sentences({1, 2}) == 4
    seven = TeacherTranslations(kept.folder, 7)
    assert seven.missing() == {1, 2, 3} and seven.sentences({3}) == 1
    with pytest.raises(DataError, match=r"cannot read .*000001.txt.gz: No such file"):
        list(kept)
    lost = TeacherTranslations(kept.folder / "nowhere", 2)
    with pytest.raises(DataError, match=r"cannot write .*nowhere/000000.txt.gz: No such file"):
        lost.write(0, [["x"], ["y"]])


def test_the_translations_stand_behind_the_references_place_by_place(
    kept: TeacherTranslations,
) -> None:
    first = [("a", "t1"), ("a", "u1"), ("b", "t2"), ("c", ""), ("d", "t4"), ("d", "u4")]
    second = [("e", "t5"), ("e", ""), ("f", "t6")]
    corpus = distilled(kept, 0.5)
    assert [list(part) for part in corpus.parts("train")] == [ONE, TWO, first, second]
    assert corpus.weights == (0.5, 1.0, 1.0, 2.0)
    alone = distilled(kept, 0)
    assert [list(part) for part in alone.parts("train")] == [first, second]
    assert alone.weights == (1.0, 2.0)
    assert list(alone.pairs("validation")) == TWO


def test_what_is_cut_out_of_train_has_no_translation(kept: TeacherTranslations) -> None:
    places: dict[str, Place] = {"train": ["one", "two"], "validation": {"cut": 2}}
    pairs = {"one": ONE, "two": [*TWO, ("g", "G"), ("h", "H")]}
    plain = Corpus("made", places, lambda name: iter(pairs[name]))
    corpus = DistilledCorpus("made", places, plain.read, kept, 1.0)
    sources = [source for source, _ in plain.pairs("train")]
    assert len(sources) == 6
    told = [(s, text) for s, texts in zip(sources, TOLD, strict=True) for text in texts]
    assert list(corpus.pairs("train")) == [*plain.pairs("train"), *told]
    assert list(corpus.pairs("validation")) == list(plain.pairs("validation"))


@pytest.mark.parametrize(
    ("references", "ones", "twos"),
    [(0, [], []), (0.5, [0, 0, 1, 1], [1, 1]), (1, [1] * 4, [2, 2]), (2, [2] * 4, [4, 4])],
)
def test_an_epoch_takes_each_pair_as_often_as_was_asked(
    kept: TeacherTranslations,
    tmp_path: Path,
    references: float,
    ones: list[int],
    twos: list[int],
) -> None:
    """Two of the nine translations are empty, and are left out as any empty pair."""
    texts = [*ONE, *TWO, *((source, f"{source} t u 1 2 3 4 5 6") for source, _ in [*ONE, *TWO])]
    tokenizer, _ = train_tokenizer(TokenizerConfig(model="char", vocabulary_size=40), texts)
    pairs = encode(distilled(kept, references), tokenizer, tmp_path / "cache")
    assert pairs.facts.left_out["empty"] == 2
    for epoch in range(3):
        plan = plan_epoch(
            pairs.source_lengths,
            pairs.target_lengths,
            pairs.weights,
            batch_tokens=99,
            seed=1,
            epoch=epoch,
        )
        counts = np.bincount(plan.order, minlength=len(pairs)).tolist()
        assert sorted(counts[: len(ones)]) == ones
        assert counts[len(ones) :] == [*twos, *[1] * 5, *[2] * 2]


def test_other_translations_have_another_place(tmp_path: Path) -> None:
    surveyed = scan_corpus(made_corpus(ONE))

    def folder(*words: str, pairs: list[tuple[str, str]] | None = None, teacher: str = "x") -> str:
        config = made_config(tmp_path, "--data.distill.teacher", "anywhere", *words).data
        found = surveyed if pairs is None else scan_corpus(made_corpus(pairs))
        translations = find_translations(config, found, [teacher])
        assert translations.total == found.pairs and translations.folder.parent == tmp_path
        return translations.folder.name

    same = {folder(), folder("--data.distill.references", "2"), folder("--data.max_length", "9")}
    assert len(same) == 1
    others = {
        folder(teacher="y"),
        folder(pairs=TWO),
        folder("--data.distill.n_best", "2"),
        folder("--data.distill.beam_size", "5"),
    }
    assert len(others | same) == 5 and list(tmp_path.iterdir()) == []
