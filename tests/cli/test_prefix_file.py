"""`nmt translate --prefix-file` from the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import nmt as package
from tests.conftest import Command

LINES = ["Der Hund schläft.", "", "Maria möchte schwimmen.", "Gut\r?"]
PREFIXES = ["The dog", "", "", "Łukasz\u2028is"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    path.write_bytes("".join(f"{line}\n" for line in LINES).encode())
    return path


@pytest.fixture
def prefixes(tmp_path: Path) -> Path:
    path = tmp_path / "in.prefix"
    path.write_bytes("".join(f"{line}\n" for line in PREFIXES).encode())
    return path


@pytest.mark.parametrize("words", [[], ["--greedy"], ["--sample"], ["--precision", "int8"]])
def test_every_line_begins_as_its_prefix_says(
    nmt: Command, tiny_run: Path, source: Path, prefixes: Path, words: list[str]
) -> None:
    result = nmt("translate", tiny_run, source, "--prefix-file", prefixes, *words)
    assert result.code == 0, result.err
    lines = result.out.split("\n")
    assert len(lines) == 5 and lines[1] == lines[4] == ""
    assert lines[0].startswith("The dog") and lines[3].startswith("Łukasz is")
    assert lines[2] == nmt("translate", tiny_run, source, *words).out.split("\n")[2]


def test_scores_and_the_python_api_agree(
    nmt: Command, tiny_run: Path, source: Path, prefixes: Path
) -> None:
    words = ["--n-best", "2", "--format", "jsonl"]
    result = nmt("translate", tiny_run, source, "--prefix-file", prefixes, *words)
    rows = [json.loads(line) for line in result.out.split("\n")[:-1]]
    found = package.load(str(tiny_run)).translate(LINES, prefixes=PREFIXES, n_best=2)
    assert [row["text"] for row in rows] == [one.text for one in found]
    assert [row["score"] for row in rows] == pytest.approx([one.score for one in found], abs=1e-4)


def test_standard_input_and_chunks(
    nmt: Command,
    tiny_run: Path,
    source: Path,
    prefixes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = nmt("translate", tiny_run, source, "--prefix-file", prefixes).out
    piped = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", tiny_run, "--prefix-file", prefixes],
        input=source.read_bytes(),
        capture_output=True,
    )
    assert piped.stdout.decode() == expected, piped.stderr
    monkeypatch.setattr("nmt.inference.file_translation.CHUNK", 2)
    assert nmt("translate", tiny_run, source, "--prefix-file", prefixes).out == expected


def test_unequal_numbers_leave_nothing_behind(
    nmt: Command, tiny_run: Path, source: Path, prefixes: Path
) -> None:
    out = source.with_name("out.en")
    out.write_text("before")
    prefixes.write_bytes(b"The\n")
    for words in ([], ["--format", "tsv"]):
        refused = nmt("translate", tiny_run, source, "-o", out, "--prefix-file", prefixes, *words)
        assert refused.code == 2 and refused.out == ""
        assert (
            f"{source} has 4 lines, and --prefix-file {prefixes} 1; they must match line by line"
            in refused.err
        )
    out.unlink()
    assert nmt("translate", tiny_run, source, "--prefix-file", prefixes, "-o", out, "--resume").code
    assert sorted(path.name for path in out.parent.iterdir()) == ["in.de", "in.prefix"]
    prefixes.write_bytes(b"The\n\n\xff\n\n")
    refused = nmt("translate", tiny_run, source, "--prefix-file", prefixes)
    assert refused.code == 2 and f"{prefixes}: line 3, byte 1 (0xff) is not UTF-8" in refused.err
    replaced = ["--prefix-file", prefixes, "--invalid-utf8", "replace"]
    assert nmt("translate", tiny_run, source, *replaced).code == 0


def test_calls_that_make_no_sense_are_refused(
    nmt: Command, tiny_run: Path, source: Path, prefixes: Path, tmp_path: Path
) -> None:
    missing = nmt("translate", tiny_run, source, "--prefix-file", tmp_path / "none")
    assert missing.code == 2 and f"cannot read {tmp_path / 'none'}: no such file" in missing.err
    several = ["translate", tiny_run, source, prefixes, "-o", tmp_path / "folder"]
    refused = nmt(*several, "--prefix-file", prefixes)
    assert refused.code == 2 and f"{prefixes} cannot belong to 2 files" in refused.err
    over = nmt("translate", tiny_run, source, "--prefix-file", prefixes, "-o", prefixes)
    assert over.code == 2 and "is the input itself; choose another output" in over.err
    assert prefixes.read_bytes().count(b"\n") == 4


def test_a_prefix_without_room_is_a_problem_of_its_line(
    nmt: Command, tiny_run: Path, source: Path, prefixes: Path
) -> None:
    prefixes.write_text("\nThe\n" + "the dog " * 60 + "\n\n")
    out = source.with_name("out.en")
    result = nmt("translate", tiny_run, source, "--prefix-file", prefixes, "-o", out)
    assert result.code == 1
    lines = out.read_text(encoding="utf-8").split("\n")
    assert len(lines) == 5 and lines[0] and lines[1] == lines[2] == ""
    problems = out.with_name("out.en.problems.tsv").read_text()
    assert "2\tthe source is empty" in problems and "3\ta prefix of" in problems


def test_resuming_looks_at_the_prefixes(
    nmt: Command,
    tiny_run: Path,
    source: Path,
    prefixes: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work that stopped goes on with the same prefixes, and starts again with others."""
    from nmt.inference.translator import Translator

    monkeypatch.setattr("nmt.inference.file_translation.CHUNK", 1)
    plain, calls = Translator.translate, []

    def stopping(self, sentences, *options, **settings):  # type: ignore[no-untyped-def]
        calls.append(sentences[0])
        if len(calls) == 3:
            raise MemoryError("stopped")
        return plain(self, sentences, *options, **settings)

    monkeypatch.setattr(Translator, "translate", stopping)
    out = source.with_name("out.en")
    words = ["translate", tiny_run, source, "--prefix-file", prefixes, "-o", out, "--resume"]
    for changed, lines in [(False, LINES[2:]), (True, LINES)]:
        calls.clear()
        assert nmt(*words).code == 1 and not out.exists()
        if changed:
            prefixes.write_text("A dog\n\n\nIt\n")
        calls[:] = ["before"] * 3
        result = nmt(*words)
        assert result.code == 0, result.err
        assert calls[3:] == lines
        expected = plain(package.load(str(tiny_run)), LINES, prefixes=prefixes_of(prefixes))
        assert out.read_text(encoding="utf-8") == "".join(f"{one.text}\n" for one in expected)
        out.unlink()


def prefixes_of(path: Path) -> list[str]:
    return path.read_bytes().decode().split("\n")[:-1]
