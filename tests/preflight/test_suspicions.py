"""Corpora that were put together wrongly on purpose, and right ones."""

import random
from pathlib import Path

import pytest

from nmt.config import DataConfig
from nmt.data.phrases import read_split
from nmt.preflight.suspicions import suspicions

PAIRS = list(read_split("train")[:3000])
GERMAN = DataConfig(source_language="de", target_language="en")


def shifted(late: int, start: int) -> list[tuple[str, str]]:
    """Pairs whose target side is late by some lines from a place on; early where negative."""
    targets = [target for _, target in PAIRS]
    if late > 0:
        targets[start:start] = [f"line {n}" for n in range(late)]
    else:
        del targets[start : start - late]
    return [(pair[0], target) for pair, target in zip(PAIRS, targets, strict=False)]


def found(pairs: list[tuple[str, str]], config: DataConfig = GERMAN) -> list[str]:
    return list(suspicions("val", pairs, config))


@pytest.mark.parametrize("size", [1, 29, 30, 100, 3000])
def test_a_right_corpus_is_not_suspected(size: int) -> None:
    assert found(PAIRS[:size]) == []


def test_swapped_sides_are_suspected() -> None:
    (line,) = found([(target, source) for source, target in PAIRS[:100]])
    assert "source of val looks like en and its target like de" in line and "swap" in line
    swapped = DataConfig(source_language="en_GB", target_language="de-AT")
    assert len(found(PAIRS[:100], swapped)) == 1


def test_scripts_tell_languages_that_share_no_letters() -> None:
    japanese = [
        (source, "今日は犬が庭で眠ります。" + "猫" * n) for n, (source, _) in enumerate(PAIRS[:60])
    ]
    config = DataConfig(source_language="xh", target_language="ja")
    assert found(japanese, config) == []
    (line,) = found([(target, source) for source, target in japanese], config)
    assert "looks like ja and its target like xh" in line


def test_languages_that_are_not_known_are_not_judged() -> None:
    assert found(PAIRS[:100], DataConfig(source_language="xh", target_language="zu")) == []


@pytest.mark.parametrize("tag", ["de_a", "de_DE_DE"])
def test_a_malformed_tag_counts_as_its_language(tag: str) -> None:
    config = DataConfig(source_language=tag, target_language="en")
    assert found(PAIRS[:100], config) == []
    (line,) = found([(tag, "en"), *PAIRS[:100]], config)
    assert "header" in line and tag in line


@pytest.mark.parametrize("late", [1, 2, -1, -3])
@pytest.mark.parametrize("start", [0, 1000])
def test_a_shifted_side_is_suspected_and_measured(late: int, start: int) -> None:
    (line,) = found(shifted(late, start))
    way = "late" if late > 0 else "early"
    lines = "1 line" if abs(late) == 1 else f"{abs(late)} lines"
    assert f"en side of val seems to be {lines} {way} from about pair {start + 1:,} on" in line


def test_shuffled_sides_are_no_shift() -> None:
    sides = [pair[0] for pair in PAIRS], [pair[1] for pair in PAIRS]
    random.Random(1).shuffle(sides[1])
    assert found(list(zip(*sides, strict=True))) == []


@pytest.mark.parametrize("header", [("de", "en"), ("Source", " target"), ("src", "translation")])
def test_a_header_is_suspected_at_the_beginning_alone(header: tuple[str, str]) -> None:
    (line,) = found([header, *PAIRS[:50]])
    assert "header" in line and header[0] in line
    assert found([*PAIRS[:50], header]) == []
    assert list(suspicions("train", [header, *PAIRS[:50]], GERMAN, first=10_001)) == []


def test_a_tokenised_source_is_suspected() -> None:
    (line,) = found([(source.replace(".", " ."), target) for source, target in PAIRS[:100]])
    assert "de side of val looks tokenised" in line


def test_real_sentences_are_not_suspected(multi30k: Path) -> None:
    for name in ("val", "train"):
        sides = [
            (multi30k / f"{name}.{tag}").read_text("utf-8").split("\n") for tag in ("de", "en")
        ]
        pairs = list(zip(*sides, strict=True))[:5000]
        assert found(pairs) == []
        late = [(source, pairs[max(0, row - 1)][1]) for row, (source, _) in enumerate(pairs)]
        assert any("1 line late from about pair 1 on" in line for line in found(late))
