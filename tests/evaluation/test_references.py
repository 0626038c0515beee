"""References that make scores mislead."""

import logging

import pytest

from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import quick_scores
from nmt.evaluation.references import scoring_warnings

RAW = ["Two dogs run.", "A man reads.", "Is it late?", "He said: no .", "It is cold"]
TOKENIZED = ["Two dogs run .", "A man reads .", "Is it late ?", "He said : no.", "It is cold"]
FRENCH = ["Où est-il ?", "Il est là !", "Il dort.", "« Viens » .", "Bien."]
THAI = ["สุนัขสองตัวกำลังวิ่งอยู่ในหิมะ", "ผู้ชายคนหนึ่งกำลังอ่านหนังสือพิมพ์"]
KOREAN = ["개 두 마리가 눈 속을 달린다.", "한 남자가 신문을 읽는다."]


@pytest.mark.parametrize(
    ("references", "tag", "told"),
    [
        (RAW, "en", ""),
        (FRENCH, "fr", ""),
        (TOKENIZED, "en", "tokenised"),
        (["犬 が 走る 。", "本 を 読む 。"], "zh", "tokenised"),
        (["犬が走る。", "本を読む。"], "zh", ""),
        (THAI, "th", ""),
        (THAI, "en", "few spaces"),
        (KOREAN, "kr", "ko-mecab"),  # Kanuri
        (RAW, "xx", "'xx'"),
        ([], "en", ""),
        (["", "."], "en", ""),
    ],
)
def test_what_misleads_is_said_once(references: list[str], tag: str, told: str) -> None:
    warnings = scoring_warnings(references, TargetLanguage(tag))
    assert len(warnings) == (1 if told else 0)
    assert all(told in warning for warning in warnings)


def test_a_missing_tokenizer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_ko_mecab.MeCab", None)
    (warning,) = scoring_warnings(["개가 달린다."], TargetLanguage("kor"))
    assert "ko-mecab" in warning and "nmt[ko]" in warning


def test_sacrebleu_itself_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    texts = TOKENIZED * 60
    with caplog.at_level(logging.WARNING, "sacrebleu"):
        quick_scores(texts, texts, TargetLanguage("en"))
    assert not caplog.records
