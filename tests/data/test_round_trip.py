"""Round trips, against SentencePiece's own normaliser and sacreBLEU."""

import pytest
from sacrebleu.metrics import BLEU

from nmt.config import Config, TokenizerConfig
from nmt.data.round_trip import first_difference, round_trip, round_trip_warning
from nmt.evaluation.languages import TargetLanguage
from nmt.text.tokenizer import Vocabulary, train_tokenizer

TEXTS = ["a garden of 20 m² (new)", "a  house ", "one ½ of it", "１ dog and ２ cats", "the end"]


def vocabulary(rule: str) -> Vocabulary:
    config = TokenizerConfig(vocabulary_size=300, model="char", target_normalization=rule)  # type: ignore[arg-type]
    return train_tokenizer(config, [(text, text) for text in TEXTS])[0].target


def test_what_comes_back_otherwise_is_counted_and_scored() -> None:
    trip = round_trip(vocabulary("nmt_nfkc"), TEXTS, TargetLanguage("en"))
    back = ["a garden of 20 m2 (new)", "a house", "one 1⁄2 of it", "1 dog and 2 cats", "the end"]
    assert trip.bleu == pytest.approx(BLEU().corpus_score(back, [TEXTS]).score)
    assert (trip.sentences, trip.changed, trip.tokenizer) == (5, 3, "13a")
    assert trip.examples == [(TEXTS[row], back[row]) for row in (0, 2, 3)]
    told = round_trip_warning(trip, "en", Config())
    assert told is not None and "3 of 5 en" in told and f"{trip.bleu:.2f}" in told


def test_joined_spaces_are_no_change() -> None:
    trip = round_trip(vocabulary("identity"), TEXTS, TargetLanguage("en"))
    assert (trip.changed, trip.bleu, trip.examples) == (0, 100.0, [])
    assert round_trip_warning(trip, "en", Config()) is None


def test_a_large_split_is_measured_on_some() -> None:
    assert round_trip(vocabulary("identity"), TEXTS, TargetLanguage("en"), most=2).sentences == 2
    assert round_trip(vocabulary("identity"), [], TargetLanguage("en")).sentences == 0


def test_an_example_shows_the_place() -> None:
    assert "m²" in first_difference("x" * 90 + "m²" + "y" * 90, "x" * 90 + "m2" + "y" * 90)
    assert first_difference("ab ⁇", "ab") == "'ab ⁇' → 'ab'"
