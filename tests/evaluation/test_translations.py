from pathlib import Path

import pytest

from nmt.errors import DataError
from nmt.evaluation.translations import Translations, read_translations, write_translations


def test_any_text_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "translations.test.jsonl"
    odd = ["a\u2028b\x85c", 'tab\t"quotes" \\', "", "\r\x0b 日本"]
    translations = Translations(odd, odd[::-1], ["x", *odd[1:]])
    write_translations(path, translations)
    assert read_translations(path) == translations
    assert path.read_bytes().count(b"\n") == 4
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_sides_of_unequal_length_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_translations(tmp_path / "t.jsonl", Translations(["a"], ["a"], []))
    assert not list(tmp_path.iterdir())


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"source": "a", "reference": "b", "hypothesis": "c"}\n[]\n')
    with pytest.raises(DataError, match=r"t\.jsonl: line 2 is not"):
        read_translations(path)
