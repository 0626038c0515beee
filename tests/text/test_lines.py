import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.errors import DataError
from nmt.text.lines import decode_lines, one_line, open_output, read_lines


def lines_of(data: bytes, invalid: str = "error") -> list[str]:
    return list(decode_lines(io.BytesIO(data), "x", invalid))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb", ["a", "b"]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\r\r\n", ["a\r"]),  # only one is dropped
        (b"a\rb\n", ["a\rb"]),
        (b"a\r", ["a\r"]),  # no line feed, so nothing to drop
        ("a\u2028b\x85c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\x85c\x0bd\x0ce\x1cf"]),
        ("\ufeffa\n".encode(), ["\ufeffa"]),
    ],
)
def test_a_line_ends_at_line_feeds_only(data: bytes, lines: list[str]) -> None:
    assert lines_of(data) == lines


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))))
def test_what_was_written_line_by_line_reads_back(lines: list[str]) -> None:
    lines = [line.removesuffix("\r") for line in lines]
    assert lines_of("".join(f"{line}\n" for line in lines).encode()) == lines


def test_invalid_utf8_is_named_by_file_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"gut\nsch\xf6n\n")
    with pytest.raises(DataError, match=r"latin.txt: line 2, byte 4 \(0xf6\) is not UTF-8"):
        list(read_lines(path))
    assert list(read_lines(path, "replace")) == ["gut", "sch\ufffdn"]


def test_gzip_is_unpacked_and_a_broken_one_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"eins\nzwei\n"))
    assert list(read_lines(path)) == ["eins", "zwei"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"cannot read .*a.gz"):
        list(read_lines(path))
    path.write_bytes(b"plain text")
    with pytest.raises(DataError, match=r"cannot read .*a.gz: Not a gzipped file"):
        list(read_lines(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*/no: No such file or directory"):
        list(read_lines(tmp_path / "no"))


def test_output_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), open_output(path) as stream:
        stream.write(b"half")
        stream.flush()
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    with open_output(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["out"]
    with pytest.raises(DataError, match=r"cannot write .*/no/out: No such file or directory"):
        open_output(tmp_path / "no" / "out").__enter__()


def test_line_breaks_and_tabs_that_a_model_generates_become_spaces() -> None:
    assert one_line("a\nb\tc\r\nd\u2028e\x85f") == "a b c d e f"
