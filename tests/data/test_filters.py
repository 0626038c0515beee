"""Each filter on and off, the order in which they count, and what is kept."""

import math
from pathlib import Path

import numpy as np
import pytest

from nmt.config import FiltersConfig, TokenizerConfig
from nmt.data.encoded import EncodedPairs
from nmt.data.filters import NOT_STORED, FilterSettings, apply_filters
from nmt.data.pair_features import CONTROL, DUPLICATE, OVERLAP, UNTRANSLATED, PairFeatures
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from tests.data.made import encode, made_corpus

NAMES = [
    "empty",
    "control_characters",
    "untranslated",
    "script",
    "too_long",
    "length_ratio",
    "overlap",
    "duplicates",
]
# Words are tokens here; one pair for each filter, and two good ones.
PAIRS = [
    ("ein Hund", "a dog"),
    ("", "nothing"),
    ("ein\x02 Hund", "a dog"),
    ("Radio", "Radio"),
    ("ein жук жук", "a beetle"),
    ("ein " * 30, "a " * 30),
    ("ein ein ein ein ein ein ein ein", "a"),
    ("ein  Haus", "one home"),
    ("ein Hund", "a dog"),
    ("eine Katze", "a cat"),
]
ALL_ON = [
    *("--data.filters.control_characters", "true", "--data.filters.untranslated", "true"),
    *("--data.filters.script", "0.5", "--data.filters.length_ratio", "4"),
    *("--data.filters.overlap", "true", "--data.filters.duplicates", "true"),
]
NONE_ON = ["--data.filters.empty", "false"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(TokenizerConfig(model="word"), PAIRS)[0]


def filtered(tokenizer: Tokenizer, cache: Path, *words: str) -> EncodedPairs:
    corpus = made_corpus(PAIRS, validation=[("ein Haus", "a house")], test=[("x", "y")])
    return encode(corpus, tokenizer, cache, "--data.max_length", "20", *words)


def kept(encoded: EncodedPairs, tokenizer: Tokenizer) -> list[int]:
    """Rows of `PAIRS` that are kept, by their lengths and ids."""
    ids = list(zip(*encoded[np.arange(len(encoded))], strict=True))
    every = zip(*(tokenizer.source.encode(side) for side in zip(*PAIRS, strict=True)), strict=True)
    rows, found = [], iter(ids)
    wanted = next(found, None)
    for row, pair in enumerate(every):
        if wanted is not None and tuple(wanted) == pair:
            rows.append(row)
            wanted = next(found, None)
    assert wanted is None
    return rows


def test_all_filters_leave_the_good_pairs(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encoded = filtered(tokenizer, tmp_path, *ALL_ON)
    assert encoded.facts.left_out == dict.fromkeys(NAMES, 1)
    assert list(encoded.facts.left_out) == list(encoded.facts.found) == NAMES
    assert kept(encoded, tokenizer) == [0, 9]


def test_filters_that_are_off_count_and_keep(tokenizer: Tokenizer, tmp_path: Path) -> None:
    off, on = filtered(tokenizer, tmp_path, *NONE_ON), filtered(tokenizer, tmp_path, *ALL_ON)
    assert off.facts.found == on.facts.found == dict.fromkeys(NAMES, 1)
    assert off.facts.left_out == {"too_long": 1}
    assert len(list(tmp_path.iterdir())) == 1  # encoded once
    # An empty side is its end token alone.
    assert (off.source_lengths[1], off[np.array([1])][0]) == (1, [[]])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (1, ["--data.filters.empty", "true"]),
        (2, ["--data.filters.control_characters", "true"]),
        (3, ["--data.filters.untranslated", "true"]),
        (4, ["--data.filters.script", "0.34"]),  # of 9 letters, 3 are Latin: 33 %
        (6, ["--data.filters.length_ratio", "4.4"]),  # 9 ÷ 2 with the end token
        (7, ["--data.filters.overlap", "true"]),
        (8, ["--data.filters.duplicates", "true"]),
    ],
)
def test_each_filter_alone(
    tokenizer: Tokenizer, tmp_path: Path, row: int, words: list[str]
) -> None:
    encoded = filtered(tokenizer, tmp_path, *NONE_ON, *words)
    name = words[0].rpartition(".")[2]
    assert encoded.facts.left_out == {"too_long": 1, name: 1}
    assert len(encoded) == 8
    expected = [r for r in range(10) if r not in (5, row)]
    lengths = [len(ids) + 1 for ids in tokenizer.source.encode([PAIRS[r][0] for r in expected])]
    assert encoded.source_lengths.tolist() == lengths


def test_thresholds_are_inclusive(tokenizer: Tokenizer, tmp_path: Path) -> None:
    words = ["--data.filters.script", "0.33", "--data.filters.length_ratio", "4.5"]
    encoded = filtered(tokenizer, tmp_path, *NONE_ON, *words, "--data.max_length", "30")
    assert encoded.facts.left_out == {"script": 0, "too_long": 0, "length_ratio": 0}


def test_a_pair_counts_at_the_first_filter_that_is_on() -> None:
    every = CONTROL | UNTRANSLATED | OVERLAP | DUPLICATE
    lengths = np.array([[1, 1, 9, 4], [40, 40, 40, 4]], np.uint16)
    features = PairFeatures(
        lengths, np.array([every, 0, 0, DUPLICATE], np.uint8), np.zeros(4, np.uint8)
    )
    settings = FilterSettings(FiltersConfig(), 20)
    mask, found, left_out = apply_filters(features, settings)
    assert mask.tolist() == [False, False, False, True]
    assert left_out == {"empty": 2, "too_long": 1}
    assert found == dict(zip(NAMES, [2, 1, 1, 4, 3, 3, 1, 2], strict=True))
    settings = FilterSettings(
        FiltersConfig(empty=False, overlap=True, duplicates=True, script=0.01), 39
    )
    mask, _, left_out = apply_filters(features, settings)
    assert left_out == {"script": 4, "too_long": 0, "overlap": 0, "duplicates": 0}
    assert not mask.any()


def test_rules_without_max_length_keep_what_fits_a_micro_batch(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    words = ["--data.max_length", "null", "--training.batch_tokens"]
    assert len(filtered(tokenizer, tmp_path, *words, "31")) == 9
    encoded = filtered(tokenizer, tmp_path, *words, "30")
    assert encoded.facts.left_out == {"empty": 1, "too_long": 1}
    assert max(encoded.source_lengths.max(), encoded.target_lengths.max()) <= 30


def test_absurdly_long_sides_are_always_too_long(tokenizer: Tokenizer, tmp_path: Path) -> None:
    pairs = [("ein " * (NOT_STORED - 2), "a"), ("ein " * 70_000, "a"), ("ein Hund", "a dog")]
    words = ["--data.max_length", "null", "--training.batch_tokens", "100000"]
    encoded = encode(pairs, tokenizer, tmp_path, *words)
    assert encoded.facts.left_out == {"empty": 0, "too_long": 1}
    assert encoded.source_lengths.tolist() == [NOT_STORED - 1, 3]
    assert len(encoded[np.array([0])][0][0]) == NOT_STORED - 2


def test_blocks_join(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(1)
    lengths = draw.integers(1, 30, (2, 100)).astype(np.uint16)
    marks, shares = draw.integers(0, 16, (2, 100)).astype(np.uint8)
    features, settings = (
        PairFeatures(lengths, marks, shares),
        FilterSettings(FiltersConfig(overlap=True), 25),
    )
    whole = apply_filters(features, settings)
    monkeypatch.setattr("nmt.data.filters._BLOCK", 7)
    parts = apply_filters(features, settings)
    assert (whole[0] == parts[0]).all() and whole[1:] == parts[1:]
    assert not math.isclose(whole[0].mean(), 0) and whole[0].sum() + sum(whole[2].values()) == 100


def test_the_table_shows_settings_as_they_are() -> None:
    settings = FilterSettings(FiltersConfig(script=1.0, length_ratio=1.0, overlap=True), 100)
    counts = dict.fromkeys(NAMES, 1234)
    lines = settings.table(counts, dict.fromkeys(settings.active, 7))
    shown = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert list(shown) == NAMES
    assert shown["script"] == shown["length_ratio"] == ["1.0", "1,234", "7"]
    assert (shown["overlap"], shown["empty"]) == (["on", "1,234", "7"], ["on", "1,234", "7"])
    assert (shown["duplicates"], shown["too_long"][0]) == (["off", "1,234", "0"], "100")
