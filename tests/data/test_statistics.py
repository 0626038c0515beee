"""Facts of a corpus and its plan, against numbers worked by hand and by brute force."""

import itertools

import numpy as np
import pytest

from nmt.config import TokenizerConfig
from nmt.data.plan import Weights, plan_epoch
from nmt.data.statistics import LengthBin, length_histogram, plan_facts, side_facts
from nmt.text.tokenizer import Vocabulary, train_tokenizer

TEXT = ["ab ba", "aab bba", "abab", "b a"] * 10


def vocabulary(**settings: object) -> Vocabulary:
    config = TokenizerConfig(vocabulary_size=300, **settings)  # type: ignore[arg-type]
    return train_tokenizer(config, [(text, text) for text in TEXT])[0].source


def test_a_side_is_counted_by_hand() -> None:
    facts = side_facts(vocabulary(model="char"), ["ab  ba", "a漢b", "", "漢 b"])
    # ▁ab▁ba has 6 pieces, ▁a漢b has 4, ▁漢▁b has 4.
    assert (facts.tokens, facts.longest, facts.words) == (14, 6, 5)
    assert facts.tokens_per_word == 14 / 5
    assert facts.characters_per_word == 9 / 5
    assert facts.unknown_rate == 2 / 14
    assert facts.covered_characters == pytest.approx(7 / 9)
    assert facts.commonest_unknown == [("漢", 2)]
    assert facts.used_pieces == 1.0  # ▁, a and b


def test_an_unknown_word_swallows_its_characters() -> None:
    facts = side_facts(vocabulary(model="word"), ["ab xyz ab", "abab"])
    assert (facts.tokens, facts.unknown_rate) == (4, 1 / 4)
    assert facts.covered_characters == pytest.approx(8 / 11)
    assert facts.commonest_unknown == [("xyz", 1)]


def test_bytes_leave_nothing_unknown() -> None:
    facts = side_facts(vocabulary(model="char", byte_fallback=True), ["a漢"])
    assert facts.unknown_rate == 0.0 and facts.covered_characters == 1.0
    assert facts.tokens == 2 + 3 and facts.used_pieces == 2 / 3


def test_the_lengths_of_the_whole_split_stand_for_a_sample() -> None:
    facts = side_facts(vocabulary(model="char"), ["ab"], np.array([3, 9, 5]))
    assert (facts.tokens, facts.longest, facts.words) == (17, 9, 1)
    assert facts.tokens_per_word == 3.0


def test_blank_text_divides_by_nothing() -> None:
    facts = side_facts(vocabulary(), ["", " "])
    assert facts.tokens_per_word == facts.unknown_rate == 0.0
    assert facts.covered_characters == 1.0


def test_the_histogram_holds_every_sentence_once() -> None:
    sources = np.array([1, 2, 2, 3, 18, 40] + [5] * 200)
    targets = np.array([1] * 206)
    bins = length_histogram(sources, targets)
    assert bins[0] == LengthBin(1, 1, 1, 206)
    assert bins[-1] == LengthBin(10, 40, 2, 0)  # 99 % have 5 tokens at most: the bins are narrow
    assert sum(row.source for row in bins) == sum(row.target for row in bins) == 206
    for one, following in itertools.pairwise(bins):
        assert following.first == one.last + 1
    for row in bins:
        assert row.source == sum(row.first <= length <= row.last for length in sources)


@pytest.mark.parametrize("lengths", [[1], [7, 7], [1, 100], [0, 3], list(range(31))])
def test_the_histogram_of_odd_lengths(lengths: list[int]) -> None:
    sides = np.array(lengths)
    bins = length_histogram(sides, sides)
    assert bins[0].first == min(1, *lengths) and bins[-1].last == max(lengths) and len(bins) <= 10
    assert sum(row.source for row in bins) == len(lengths)


@pytest.mark.parametrize("weights", [None, ((100, 2.0), (100, 0.5))])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_padding_is_what_brute_force_counts(accumulate: int, weights: Weights | None) -> None:
    random = np.random.default_rng(1)
    sources, targets = random.integers(1, 30, 200), random.integers(1, 30, 200)
    settings = {"batch_tokens": 100, "accumulate": accumulate, "seed": 1, "epoch": 0}
    plan = plan_epoch(sources, targets, weights, **settings)
    cells, tokens = [0, 0], [0, 0]
    for update in range(len(plan)):
        for batch in plan[update]:
            for side, lengths in enumerate((sources, targets)):
                cells[side] += max(lengths[row] for row in batch) * len(batch)
                tokens[side] += sum(lengths[row] for row in batch)
    facts = plan_facts(plan, sources, targets)
    assert facts.source_padding == pytest.approx(1 - tokens[0] / cells[0])
    assert facts.target_padding == pytest.approx(1 - tokens[1] / cells[1])
    assert facts.target_padding > 0.01
    sentences = 200 if weights is None else 250
    assert facts.updates == len(plan) and facts.sentences_per_update == sentences / len(plan)
    assert facts.target_tokens_per_update == tokens[1] / len(plan)
