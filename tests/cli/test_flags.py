"""Flags have the ranges of the fields that they stand for, and unknown words a suggestion."""

import math
import typing
from typing import Any

import pytest

from nmt.config import SearchOptions
from nmt.config.values import Range, field_types
from tests.conftest import Command

NUMBERS = {
    name: next(part for part in (kind, *typing.get_args(kind)) if hasattr(part, "__metadata__"))
    for name, kind in field_types(SearchOptions).items()
    if "Range" in str(kind) and name != "max_source_length"
}
WORDS = [
    "",
    "x",
    "nan",
    "-inf",
    "1e400",
    "-1",
    str(10**18),
    "9" * 5000,
    "[1]",
    "null",
    "1,5",
]


def beyond(limits: Range) -> list[float]:
    low = limits.low if limits.above else limits.low - 1
    high = limits.high if limits.below else limits.high + 1
    return [low, *([high] if math.isfinite(high) else [])]


@pytest.mark.parametrize(
    ("verb", "name"),
    [("translate", name) for name in NUMBERS]
    + [("evaluate", name) for name in NUMBERS if name != "n_best"],  # only the best is scored
)
def test_each_flag_refuses_what_is_wrong_before_any_work(
    nmt: Command, verb: str, name: str
) -> None:
    flag, limits = f"--{name.replace('_', '-')}", NUMBERS[name].__metadata__[0]
    endless = {"1e400", str(10**18), "9" * 5000} if name == "prune" else set()
    words = [word for word in WORDS if word not in endless]
    words += [str(NUMBERS[name].__origin__(value)) for value in beyond(limits)]
    for word in words:
        result = nmt(verb, "no/model", f"{flag}={word}")
        last = result.err.splitlines()[-1]
        assert result.code == 2 and last.startswith(f"nmt: error: {flag}: "), word
        assert word[:20].encode("utf-8", "replace").decode() in last
        assert "must be a" in last and len(last) < 600


@pytest.mark.parametrize("name", NUMBERS)
def test_the_same_ranges_hold_in_python(name: str) -> None:
    for value in [math.nan, -math.inf, *beyond(NUMBERS[name].__metadata__[0])]:
        settings: dict[str, Any] = {name: value, "sample": True}
        with pytest.raises(Exception, match=f"^{name}: .* must be a") as error:
            SearchOptions(**settings)
        assert type(error.value).__name__ == "ConfigError"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["score", "m", "--source", "a", "--target", "b", "--batch-size", "0"], "--batch-size: 0"),
        (["predict", "m", "--top", "1e3"], "--top: 1e3"),
        (["translate", "m", "--threads", str(10**18)], f"--threads: {10**18}"),
        (["diagnose", "m", "--sentences", "nan"], "--sentences: nan"),
        (["export", "m", "out", "--average", "-2"], "--average: -2"),
    ],
    ids=" ".join,
)
def test_other_numbers_have_ranges_too(nmt: Command, words: list[str], told: str) -> None:
    result = nmt(*words)
    assert result.code == 2 and f"nmt: error: {told} must be a whole number from 1" in result.err


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["translate", "m", "--beam-sise", "3"], "--beam-size"),
        (["evaluate", "m", "--refrence", "f"], "--reference"),
        (["train", "c.yaml", "--layers", "3"], "--model.layers"),
        (["check", "c.yaml", "--see", "3"], "--seed"),
        (["train", "c.yaml", "--modle.layers", "3"], "model"),
        (["train", "c.yaml", "--model.cell", "lsmt"], "lstm"),
        (["trian", "c.yaml"], "train"),
    ],
    ids=" ".join,
)
def test_an_unknown_word_gets_a_suggestion(
    nmt: Command, tiny_config: Any, words: list[str], near: str
) -> None:
    result = nmt(*(tiny_config if word == "c.yaml" else word for word in words))
    assert result.code == 2 and f"did you mean {near}?" in result.err.splitlines()[-1]


def test_a_path_of_any_length_is_one_short_line(nmt: Command) -> None:
    result = nmt("translate", "m" * 5000)
    assert result.code == 2 and len(result.err) < 1000 and result.err.count("\n") == 1
