"""What the text alone tells: worked by hand."""

import unicodedata

import pytest

from nmt.data.pair_features import CONTROL, OVERLAP, UNTRANSLATED, PairTests, Scripts, script_of

TESTS = PairTests({"validation": [("Guten Tag.", "Good day."), ("", "")], "test": [("Ja", "Yes")]})


@pytest.mark.parametrize(
    ("source", "target", "mark"),
    [
        ("Hund", "dog", 0),
        ("Hund\x07", "dog", CONTROL),
        ("Hund", "a\x85dog", CONTROL),
        ("Hund\r", "dog", CONTROL),
        ("Hund\tKatze\u2028\u00ad", "dog", 0),  # a tab, a line separator and a format character
        ("Radio", "Radio", UNTRANSLATED),
        ("Radio ", " Radio", UNTRANSLATED),
        ("Radio", "radio", 0),
        ("", " ", 0),
        ("  Guten \u00a0 Tag. ", "Hello.", OVERLAP),
        ("Tag", "Good day.", OVERLAP),
        ("Good day.", "Guten Tag.", 0),  # the sentence of the other side
        ("Nun ja", "Yes", OVERLAP),
        ("\x01Ja", "Yes", CONTROL | OVERLAP),
    ],
)
def test_marks(source: str, target: str, mark: int) -> None:
    assert TESTS.flags([("x", "y"), (source, target)]).tolist() == [0, mark]


def test_control_characters_are_unicodes() -> None:
    for code in range(0x250):
        control = unicodedata.category(chr(code)) == "Cc" and chr(code) != "\t"
        assert bool(TESTS.flags([(f"a{chr(code)}b", "c")])[0] & CONTROL) == control


@pytest.mark.parametrize(
    ("letter", "script"),
    [("a", "LATIN"), ("ß", "LATIN"), ("Ａ", "LATIN"), ("ª", "LATIN"), ("ж", "CYRILLIC"),
     ("µ", "GREEK"), ("漢", "CJK"), ("々", "CJK"), ("ー", "KATAKANA"), ("ｶ", "KATAKANA")],
)  # fmt: skip
def test_scripts_of_letters(letter: str, script: str) -> None:
    assert script_of(letter) == script


def test_shares_of_letters_in_the_right_script() -> None:
    latin = Scripts(["Guten Tag!", "12"])
    assert latin.names == {"LATIN"}
    cases = {"": 100, "12 !?": 100, "Hund": 100, "жук": 0, "aж": 50, "ab ж 99": 66, "Straße é": 100}
    for text, share in cases.items():
        assert (latin.share(text), latin.share(text)) == (share, share)  # also once it is known


def test_rare_scripts_of_the_sample_do_not_count() -> None:
    assert Scripts(["ж" * 99 + "a"]).names == {"CYRILLIC", "LATIN"}  # 1 % of 100 letters
    assert Scripts(["ж" * 100 + "a"]).names == {"CYRILLIC"}
    assert Scripts(["12"]).share("aж漢") == 100  # nothing is known of the language


def test_the_worse_side_counts_by_the_scripts_of_validation() -> None:
    tests = PairTests({"validation": [("да", "yes")], "test": [("漢", "漢")]})
    pairs = [("да", "yes"), ("да", "дa"), ("da", "yes"), ("漢", "yes"), ("1", "2")]
    assert tests.script_shares(pairs).tolist() == [100, 50, 0, 0, 100]
