"""Repeated rows, against a Python set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.duplicates import repeated_rows
from nmt.data.pair_features import text_hashes


@given(st.lists(st.integers(0, 9)), st.sampled_from([1, 3, 1000]))
def test_rows_are_those_a_set_finds(numbers: list[int], partition: int) -> None:
    spread = np.array(numbers, np.uint64) * np.uint64((2**64 - 1) // 9)
    seen: set[int] = set()
    expected = [row for row, n in enumerate(numbers) if n in seen or seen.add(n)]
    assert sorted(repeated_rows(spread, partition).tolist()) == expected


def test_hashes_of_text() -> None:
    pairs = [(f"{n % 700}", f"{n % 500}") for n in range(7000)]  # the same pair after 3,500
    rows = repeated_rows(text_hashes(pairs), partition=500)
    assert sorted(rows.tolist()) == list(range(3500, 7000))


@pytest.mark.parametrize("pair", [("a", "b c"), ("a b", "c"), ("", "a b c")])
def test_hashes_tell_the_sides_apart(pair: tuple[str, str]) -> None:
    assert text_hashes([pair])[0] != text_hashes([("a b c", "")])[0]
