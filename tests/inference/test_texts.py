"""What a caller in Python may give, and how what is wrong is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmt
from nmt.errors import UsageError
from nmt.inference.translator import Translator

TEXTS = ["Der Hund schläft.", "Maria möchte schwimmen.", "Heute liest der Mann ein Buch."]


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return nmt.load(tiny_run)


class Column:
    """Texts with labels of their own, as a filtered and sorted column of a table has them."""

    def __init__(self, texts: list[str]):
        self._texts = dict(zip(range(7, 7 + 3 * len(texts), 3), texts, strict=True))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, label: int) -> str:
        return self._texts[label]

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._texts.values())


@pytest.mark.parametrize(
    "hold", [tuple, iter, Column, np.array, lambda texts: (text for text in texts), dict.fromkeys]
)
def test_any_iterable_of_texts_will_do(translator: Translator, hold: Callable[..., Any]) -> None:
    expected = translator.translate(TEXTS, n_best=2)
    assert translator.translate(hold(TEXTS), n_best=2) == expected
    assert translator.translate_all(hold(TEXTS)) == translator.translate_all(TEXTS)
    prefixed = translator.translate(TEXTS, prefixes=["", "The", ""])
    assert translator.translate(TEXTS, prefixes=hold(["", "The", " "])) == prefixed
    assert translator.score(hold(TEXTS), hold(["a", "b", "c"])) == translator.score(
        TEXTS, ["a", "b", "c"]
    )


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ("Hund", "'Hund' is one text"),
        (b"Hund", "b'Hund' is one text"),
        (None, "None is not a list of texts"),
        (3, "3 is not a list of texts"),
        (["Hund", None], "row 1 is None, not text"),
        ([float("nan")], "row 0 is nan, not text"),
        (["Hund", b"Hund"], "row 1 is b'Hund', not text"),
        (["a", "b\ud800"], "row 1 is not valid Unicode"),
    ],
)
def test_what_is_no_text_is_named_by_argument_and_row(
    translator: Translator, texts: Any, told: str
) -> None:
    for name, call in {
        "sentences": lambda: translator.translate(texts),
        "sentences ": lambda: translator.translate_all(texts),
        "prefixes": lambda: translator.translate(TEXTS[:2], prefixes=texts),
        "sources": lambda: translator.score(texts, ["a"]),
        "targets": lambda: translator.score(["a"], texts),
    }.items():
        if name == "prefixes" and texts is None:
            continue
        with pytest.raises(UsageError) as error:
            call()
        assert f"{name.strip()}: {told}" in str(error.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"beam": 5}, "unknown key beam; did you mean beam_size?"),
        ({"xyz": 5}, "unknown key xyz; known: beam_size, length_penalty"),
        ({"beam_size": "5"}, "beam_size: '5' must be a whole number"),
        ({"beam_size": 2.5}, "beam_size: 2.5 must be a whole number"),
        ({"beam_size": True}, "beam_size: True must be a whole number"),
        ({"beam_size": None}, "beam_size: null must be a whole number"),
        ({"length_penalty": "1"}, "length_penalty: '1' must be a number"),
        ({"top_k": [3], "sample": True}, "top_k: [3] must be a whole number"),
        ({"greedy": 1}, "greedy: 1 must be true or false"),
        ({"alignments": True}, "alignments: True needs attention"),
        ({"shortlist": 2}, "shortlist: 2 "),
    ],
)
def test_a_wrong_setting_is_named_with_the_right_ones(
    translator: Translator, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError) as error:
        translator.translate(TEXTS, **settings)
    assert told in str(error.value) and "--" not in str(error.value)


def test_numbers_of_other_libraries_will_do(translator: Translator) -> None:
    settings = {"beam_size": np.int64(2), "length_penalty": np.float64(1), "prune": None}
    assert translator.translate(TEXTS, **settings) == translator.translate(
        TEXTS, beam_size=2, length_penalty=1, prune=None
    )


def test_one_more_model_is_one_member(tiny_run: Path, translator: Translator) -> None:
    both = nmt.load(str(tiny_run), ensemble=str(tiny_run))
    assert both.translate_all(TEXTS) == translator.translate_all(TEXTS)
