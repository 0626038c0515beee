"""Language codes, scripts and names, against ISO 639 and 15924 and sacreBLEU's own list."""

import pytest
from sacrebleu.metrics import BLEU

from nmt.evaluation.languages import TargetLanguage

TOKENIZERS = {
    "zh": "zh zho chi cmn yue wuu nan hak lzh zho_Hans zh-Hant_TW zh_CN Chinese cn",
    "ja-mecab": "ja jpn ja_JP jpn_Jpan Japanese japanese jp",
    "ko-mecab": "ko kor ko_KR kor_Hang Korean",
    "char": "th tha th_TH Thai lo lao km khm my mya bur bo bod tib dz dzo shn mnw Burmese Khmer",
    "13a": "en eng de deu ger de-AT fr pt_BR sr_Cyrl ru hi vi he iw ar ja_Latn zh_Latn tgt German",
}


@pytest.mark.parametrize(
    ("tag", "tokenizer"), [(tag, name) for name, tags in TOKENIZERS.items() for tag in tags.split()]
)
def test_every_spelling_of_a_language_gets_its_tokenizer(tag: str, tokenizer: str) -> None:
    target = TargetLanguage(tag)
    assert target.tokenizer == tokenizer
    assert target.asian == (tokenizer in ("zh", "ja-mecab", "ko-mecab"))
    assert target.unspaced == (tokenizer in ("zh", "ja-mecab", "char"))
    assert TargetLanguage(tag, "intl").tokenizer == "intl"
    assert (target.note is not None) == (tag in ("cn", "jp"))


def test_sacrebleus_own_choice_is_ours() -> None:
    for tag, tokenizer in BLEU._TOKENIZER_MAP.items():
        assert TargetLanguage(tag).tokenizer == tokenizer


@pytest.mark.parametrize(
    ("tag", "taken"), [("jp", "ja"), ("cn", "zh"), ("xx", "unknown"), ("cz", "unknown")]
)
def test_a_tag_that_is_no_code_is_said(tag: str, taken: str) -> None:
    target = TargetLanguage(tag)
    assert target.note is not None and repr(tag) in target.note and taken in target.note
    assert target.tokenizer in target.note
    assert TargetLanguage(tag, "char").note is None
