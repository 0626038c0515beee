"""Breakdowns against sacreBLEU on the parts, and against sentences worked by hand."""

import itertools
import random
from pathlib import Path

import pytest
import sacrebleu

from nmt.diagnosis.records import write_record
from nmt.errors import DataError
from nmt.evaluation.breakdowns import (
    Breakdown,
    breakdown,
    length_groups,
    repeats,
    sentence_scores,
    text_lengths,
)
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.translations import Translations
from nmt.reading import read_record

SOURCES = ["Ein Hund .", "Zwei Hunde rennen .", "Ein Mann liest .", "Er sah das Haus am See ."] * 5
REFERENCES = [
    "A dog.",
    "Two dogs are running.",
    "A man reads.",
    "He saw the house at the lake.",
] * 5
HYPOTHESES = ["A dog.", "Two dogs run, run.", "A man, a man.", "He saw the house."] * 5


def test_groups_are_scored_as_sacrebleu_scores_their_sentences() -> None:
    found = breakdown(Translations(SOURCES, REFERENCES, HYPOTHESES), TargetLanguage("en"), groups=3)
    assert [(group.first, group.last, group.sentences) for group in found.groups] == [
        (3, 3, 5),
        (4, 4, 10),
        (7, 7, 5),
    ]
    assert found.unit == "words"
    for group in found.groups:
        lengths = [len(source.split()) for source in SOURCES]
        rows = [row for row in range(20) if group.first <= lengths[row] <= group.last]
        hypotheses, references = (
            [texts[row] for row in rows] for texts in (HYPOTHESES, REFERENCES)
        )
        bleu = sacrebleu.corpus_bleu(hypotheses, [references])
        assert group.bleu.score == pytest.approx(bleu.score)
        assert group.chrf.score == pytest.approx(
            sacrebleu.corpus_chrf(hypotheses, [references]).score
        )
        assert group.length_ratio == pytest.approx(bleu.sys_len / bleu.ref_len)
        assert group.bleu.low - 1e-6 <= group.bleu.score <= group.bleu.high + 1e-6
        assert "bs:1000" in group.bleu.signature
    whole = sacrebleu.corpus_bleu(HYPOTHESES, [REFERENCES])
    assert found.length_ratio == pytest.approx(whole.sys_len / whole.ref_len)


def test_groups_do_not_depend_on_the_translations() -> None:
    one, other = (
        breakdown(Translations(SOURCES, REFERENCES, texts), TargetLanguage("en"))
        for texts in (HYPOTHESES, REFERENCES)
    )
    assert [(group.first, group.last) for group in one.groups] == [
        (group.first, group.last) for group in other.groups
    ]


def test_groups_are_about_equal_and_share_no_length() -> None:
    assert length_groups([5, 1, 4, 2, 3, 6], 3) == [[1, 3], [4, 2], [0, 5]]
    assert length_groups([7, 7, 7], 5) == [[0, 1, 2]]
    assert length_groups([2, 1, 2, 2, 9], 2) == [[1], [0, 2, 3, 4]]
    assert length_groups([7, 3, 5, 9, 4, 5], (2, 5, 8, 12)) == [[1, 4, 2, 5], [0], [3]]
    generator = random.Random(1)
    lengths = [generator.randrange(1, 40) for _ in range(1000)]
    groups = length_groups(lengths, 5)
    assert sorted(row for rows in groups for row in rows) == list(range(1000))
    spans = [sorted({lengths[row] for row in rows}) for rows in groups]
    assert all(before[-1] < after[0] for before, after in itertools.pairwise(spans))
    assert len(groups) == 5 and all(150 < len(rows) < 250 for rows in groups)


@pytest.mark.parametrize(
    ("sources", "unit", "lengths"),
    [
        (["Donaudampfschifffahrt ist ein langes Wort", "Ja."], "words", [5, 1]),
        (["他们在公园里跑步。", "一个男人 在读报纸,还有一个孩子和他的狗。"], "characters", [9, 20]),
        (["เขาเดินไปที่ตลาดเพื่อซื้อผลไม้ แล้วกลับบ้าน"], "characters", [42]),
        (["Cô ấy đang đọc sách", ""], "words", [5, 0]),
    ],
)
def test_lengths_are_in_words_where_there_are_spaces(
    sources: list[str], unit: str, lengths: list[int]
) -> None:
    assert text_lengths(sources) == (unit, lengths)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a dog and a cat", set()),
        ("the The dog", {"the"}),
        ("a man , a man in red", set()),
        ("in the in the park", {"in the"}),
        ("very very very big", {"very"}),
        ("wait . . .", set()),
        ("( a ) ( a ) b", {"( a )"}),
        ("人 人 都 知 道", set()),
        ("公 园 公 园 里", {"公 园"}),
        ("", set()),
    ],
)
def test_repeats_by_hand(text: str, expected: set[str]) -> None:
    assert {" ".join(run) for run in repeats(text.split())} == expected


def test_repeats_are_those_of_a_slow_search() -> None:
    generator = random.Random(2)
    for _ in range(200):
        tokens = [generator.choice("ab") for _ in range(generator.randrange(30))]
        slow = {
            tuple(tokens[start : start + size])
            for size in range(1, 11)
            for start in range(len(tokens))
            if tokens[start : start + size] == tokens[start + size : start + 2 * size]
            and start + 2 * size <= len(tokens)
        }
        assert repeats(tokens) == slow


def test_faults_count_where_the_reference_has_none() -> None:
    references = ["he had had it", "a dog", "", "so ⁇ it is", "a cat", "two birds", "a b", "c d"]
    hypotheses = ["he had had it", "a a dog", "", "so ⁇ it is", " ", "two ⁇ ", "a b", "c d"]
    found = breakdown(Translations(["x y"] * 8, references, hypotheses), TargetLanguage("en"))
    assert (found.repetition, found.empty, found.unknown) == (1 / 8, 1 / 8, 1 / 8)


def test_a_breakdown_can_be_kept(tmp_path: Path) -> None:
    found = breakdown(Translations(SOURCES, REFERENCES, HYPOTHESES), TargetLanguage("en"), groups=3)
    write_record(tmp_path / "breakdown.json", found)
    assert read_record(tmp_path / "breakdown.json", Breakdown) == found


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="3 sources do not match 20 references"):
        breakdown(Translations(SOURCES[:3], REFERENCES, HYPOTHESES), TargetLanguage("en"))
    with pytest.raises(DataError, match="3 hypotheses do not match 20 references"):
        breakdown(Translations(SOURCES, REFERENCES, HYPOTHESES[:3]), TargetLanguage("en"))
    with pytest.raises(DataError, match="nothing to score"):
        sentence_scores([], [])


def test_sentence_scores_are_sacrebleus() -> None:
    found = sentence_scores(HYPOTHESES, REFERENCES)
    for hypothesis, reference, score in zip(HYPOTHESES, REFERENCES, found, strict=True):
        assert score == pytest.approx(sacrebleu.sentence_chrf(hypothesis, [reference]).score)
    assert found[0] == pytest.approx(100) and found[1] < 100
