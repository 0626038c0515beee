"""Facts of a corpus and its plan, against numbers worked by hand and by brute force."""

import numpy as np
import pytest

from nmt.config import TokenizerConfig
from nmt.preflight.statistics import side_facts
from nmt.text.tokenizer import Vocabulary, train_tokenizer

TEXT = ["ab ba", "aab bba", "abab", "b a"] * 10


def vocabulary(**settings: object) -> Vocabulary:
    config = TokenizerConfig(vocabulary_size=300, **settings)  # type: ignore[arg-type]
    return train_tokenizer(config, [(text, text) for text in TEXT])[0].source


def test_a_side_is_counted_by_hand() -> None:
    facts = side_facts(vocabulary(model="char"), ["ab  ba", "a漢b", "", "漢 b"])
    # ▁ab▁ba has 6 pieces, ▁a漢b has 4, ▁漢▁b has 4, in 5 words; half have 4 at most.
    assert (facts.sentences, facts.tokens, facts.median, facts.longest) == (4, 14, 4, 6)
    assert facts.per_word == 14 / 5
    assert facts.unknown == 2 / 14
    assert facts.covered == pytest.approx(7 / 9)
    assert facts.commonest_unknown == [("漢", 2)]
    assert facts.used == 1.0  # ▁, a and b


def test_an_unknown_word_swallows_its_characters() -> None:
    facts = side_facts(vocabulary(model="word"), ["ab xyz ab", "abab"])
    assert (facts.tokens, facts.unknown) == (4, 1 / 4)
    assert facts.covered == pytest.approx(8 / 11)
    assert facts.commonest_unknown == [("xyz", 1)]


def test_bytes_leave_nothing_unknown() -> None:
    facts = side_facts(vocabulary(model="char", byte_fallback=True), ["a漢"])
    assert facts.unknown == 0.0 and facts.covered == 1.0
    assert facts.tokens == 2 + 3 and facts.used == 2 / 3


def test_the_lengths_of_the_whole_split_stand_for_a_sample() -> None:
    facts = side_facts(vocabulary(model="char"), ["ab"], np.array([3, 9, 5]))
    assert (facts.sentences, facts.tokens, facts.median, facts.longest) == (3, 17, 5, 9)
    assert facts.per_word == 3.0


def test_blank_text_divides_by_nothing() -> None:
    facts = side_facts(vocabulary(), ["", " "])
    assert facts.per_word == facts.unknown == 0.0
    assert facts.covered == 1.0
