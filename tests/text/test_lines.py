import gzip
import io
import subprocess
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
        ("\ufeffa\n\ufeffb\n".encode(), ["a", "\ufeffb"]),
        ("\ufeff".encode(), [""]),
        ("\ufeff\r\n".encode(), [""]),
        (b"a\0b\0\0\0\n\0", ["a\0b\0\0\0", "\0"]),
    ],
)
def test_a_line_ends_at_line_feeds_only(data: bytes, lines: list[str]) -> None:
    assert lines_of(data) == lines


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))))
def test_what_was_written_line_by_line_reads_back(lines: list[str]) -> None:
    lines = [line.removesuffix("\r") for line in lines]
    lines[:1] = [line.removeprefix("\ufeff") for line in lines[:1]]
    assert lines_of("".join(f"{line}\n" for line in lines).encode()) == lines


def test_invalid_utf8_is_named_by_file_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"gut\nsch\xf6n\n")
    with pytest.raises(DataError, match=r"latin.txt: line 2, byte 4 \(0xf6\) is not UTF-8"):
        list(read_lines(path))
    replaced: list[int] = []
    assert list(read_lines(path, "replace", replaced.append)) == ["gut", "sch\ufffdn"]
    assert replaced == [2]


@pytest.mark.parametrize("invalid_utf8", ["error", "replace"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
    ],
)
def test_utf16_is_named_with_a_remedy_that_works(
    tmp_path: Path, encoding: str, name: str, invalid_utf8: str
) -> None:
    path, text = tmp_path / "wide.txt", "Guten Tag\n你好\n"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(DataError, match=rf"wide.txt is {name}, not UTF-8; .*iconv -f {name} ") as e:
        list(read_lines(path, invalid_utf8))  # type: ignore[arg-type]
    command = [*str(e.value).partition("as with ")[2].split(), str(path)]
    (tmp_path / "good.txt").write_bytes(subprocess.run(command, capture_output=True).stdout)
    assert list(read_lines(tmp_path / "good.txt")) == text.splitlines()


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
