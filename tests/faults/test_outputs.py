"""Outputs and the files beside them: none is an input, stopped ones are continued."""

import errno
import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nmt.inference.partial import partial_writer
from nmt.inference.search import Translation
from nmt.inference.translator import Translator
from nmt.storage import locked
from tests.conftest import Command

TEXT = "".join(f"Der Hund schläft {n} mal.\n" for n in range(9))
NMT = [sys.executable, "-m", "nmt"]


@pytest.fixture
def folder(tmp_path: Path, tiny_run: Path, corpus_folder: Path) -> Path:
    """Inputs with the names of outputs, and a run."""
    for name in ("x", "x.problems.tsv", "x.part", "x.part.json", "y", "z.part"):
        (tmp_path / name).write_text(TEXT)
    os.link(tmp_path / "y", tmp_path / "hard")
    (tmp_path / "soft").symlink_to("y")
    (tmp_path / "out" / "y").mkdir(parents=True)
    shutil.copytree(tiny_run, tmp_path / "run")
    shutil.copy(corpus_folder / "tiny.yaml", tmp_path / "my.yaml")
    return tmp_path


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("translate run x.problems.tsv -o x", "x.problems.tsv"),
        ("translate run y --prefix-file x.problems.tsv -o x", "x.problems.tsv"),
        ("translate run x.part -o x", "x.part"),
        ("translate run x.part -o x --resume", "x.part"),
        ("translate run x.part.json -o x", "x.part.json"),
        ("translate run y -o hard", "hard"),
        ("translate run y -o soft", "soft"),
        ("translate run x x.problems.tsv -o run", "x.problems.tsv"),
        ("translate run y -o z", "z.part"),  # another program's
        ("translate run y -o run/config.yaml", "config.yaml"),
        ("translate run/model y -o run/model/weights.safetensors", "weights.safetensors"),
        ("evaluate --hypotheses x --reference y --json y", "y"),
        ("evaluate run --source x --reference y --json x", "x"),
        ("evaluate --hypotheses x --reference y --baseline z.part --json z.part", "z.part"),
        ("predict run Hund --json run/model/config.yaml", "config.yaml"),
        ("check my.yaml --json my.yaml", "my.yaml"),
        ("diagnose my.yaml --json my.yaml", "my.yaml"),
        ("report run -o run/metrics.csv", "metrics.csv"),
        ("evaluate run --source x --reference y -o new --json ./new", "new"),
        ("evaluate --hypotheses x --reference y --json out", "out"),
        ("report run -o out", "out"),
        ("translate run y -o out", "out/y"),  # a folder
    ],
)
def test_no_output_is_an_input_of_the_same_call(
    nmt: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, words: str, named: str
) -> None:
    monkeypatch.chdir(folder)
    before = contents(folder)
    result = nmt(*words.split())
    assert result.code == 2 and named in result.err.splitlines()[-1], result.err
    assert contents(folder) == before and result.out == ""  # before any work


@pytest.mark.parametrize(
    "words",
    [
        "evaluate RUN --split test -o CORPUS/test.en",
        "evaluate RUN --split validation --json CORPUS/val.en",
        "check CONFIG --json CORPUS/val.en",
        "diagnose RUN --json CORPUS/train.de",
        "diagnose CONFIG --json CORPUS/train.de",
    ],
)
def test_no_output_is_a_file_of_the_corpus(
    nmt: Command, tiny_run: Path, corpus_folder: Path, tmp_path: Path, words: str
) -> None:
    run, corpus = tmp_path / "run", tmp_path / "corpus"
    for original, copy in ((tiny_run, run), (corpus_folder, corpus)):
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("run", "checkpoints"))
    for config in (run / "config.yaml", corpus / "tiny.yaml"):
        config.write_text(config.read_text().replace(str(corpus_folder), str(corpus)))
    before = contents(tmp_path)
    places = {"RUN": run, "CONFIG": corpus / "tiny.yaml", "CORPUS": corpus}
    for name, place in places.items():
        words = words.replace(name, str(place))
    result = nmt(*words.split())
    assert result.code == 2 and str(corpus) in result.err.splitlines()[-1], result.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("streams", ["< y -o y", "y -o x 2> x.problems.tsv"])
def test_no_output_is_a_stream_of_the_same_call(folder: Path, streams: str) -> None:
    (folder / "x.part").unlink()
    (folder / "x.part.json").unlink()
    command = f"{' '.join(NMT)} translate run {streams}"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True)
    assert done.returncode == 2
    assert (folder / "x").read_text() == (folder / "y").read_text() == TEXT


class Stop:
    """Lets a translation end at its n-th chunk, and counts the lines translated."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.after, self.lines = 10**9, 0
        plain = Translator.translate

        def translate(translator, sentences, *words, **settings):  # type: ignore[no-untyped-def]
            self.after -= 1
            if self.after < 0:
                raise KeyboardInterrupt
            self.lines += len(sentences)
            return plain(translator, sentences, *words, **settings)

        monkeypatch.setattr(Translator, "translate", translate)
        monkeypatch.setattr("nmt.inference.file_translation.CHUNK", 2)


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Stop:
    return Stop(monkeypatch)


@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_stopped_translation_is_continued_with_and_without_resume(
    nmt: Command, tiny_run: Path, tmp_path: Path, stop: Stop, resume: list[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text(TEXT)
    expected = nmt("translate", tiny_run, source).out
    out.write_text("old\n")
    words = ["translate", tiny_run, source, "-o", out]
    stop.after = 3
    stopped = nmt(*words)
    assert stopped.code == 130 and out.read_text() == "old\n"
    assert f"first 6 lines are kept in {out}.part; the same call continues" in stopped.err
    stop.after, stop.lines = 10**9, 0
    result = nmt(*words, *resume)
    assert result.code == 0 and "continuing after 6 lines" in result.err
    assert stop.lines == 3 and out.read_text() == expected
    assert {path.name for path in tmp_path.iterdir()} - {"out.problems.tsv"} == {"in", "out"}


def test_other_settings_start_anew_and_say_so(
    nmt: Command, tiny_run: Path, tmp_path: Path, stop: Stop
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text(TEXT)
    expected = nmt("translate", tiny_run, source, "--beam-size", "2").out
    stop.after = 3
    assert nmt("translate", tiny_run, source, "-o", out, "--resume").code == 130
    stop.after = 10**9
    result = nmt("translate", tiny_run, source, "-o", out, "--resume", "--beam-size", "2")
    assert result.code == 0 and f"{out}.part is of another model or other settings" in result.err
    assert out.read_text() == expected


@pytest.mark.parametrize(("precision", "goes_on"), [("fp32", True), ("bf16", False)])
def test_the_precision_counts_that_was_used(
    nmt: Command, tiny_run: Path, tmp_path: Path, stop: Stop, precision: str, goes_on: bool
) -> None:
    """`auto` means another precision on another device."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text(TEXT)
    stop.after = 3
    assert nmt("translate", tiny_run, source, "-o", out).code == 130
    stop.after = 10**9
    result = nmt("translate", tiny_run, source, "-o", out, "--precision", precision)
    assert result.code == 0 and ("continuing after 6 lines" in result.err) == goes_on


@pytest.mark.parametrize("damage", ["input", "part", "cut part", "cut journal", "bad journal"])
def test_chunks_that_changed_are_translated_again(
    nmt: Command, tiny_run: Path, tmp_path: Path, stop: Stop, damage: str
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text(TEXT)
    words = ["translate", tiny_run, source, "-o", out]
    stop.after = 3
    assert nmt(*words).code == 130
    part, journal = tmp_path / "out.part", tmp_path / "out.part.json"
    if damage == "input":
        source.write_text(TEXT.replace("3 mal", "drei mal"))
    elif damage == "part":
        data = bytearray(part.read_bytes())
        data[-3] ^= 1
        part.write_bytes(data)
    elif damage == "cut part":
        os.truncate(part, part.stat().st_size // 2)
    elif damage == "cut journal":
        os.truncate(journal, journal.stat().st_size - 10)
    else:
        rows = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join([*rows[:2], b"[" * 9, *rows[2:]]))
    stop.after, stop.lines = 10**9, 0
    result = nmt(*words)
    assert result.code == 0, result.err
    assert 3 < stop.lines < 9
    assert out.read_text() == nmt("translate", tiny_run, source).out


def test_two_translations_into_one_output_do_not_mix(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [*NMT, "translate", tiny_run, "-o", out]
    first = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert first.stdin is not None
    while not (tmp_path / "out.part.json").exists():
        assert first.poll() is None
        time.sleep(0.05)
    second = subprocess.run([*words, "--beam-size", "1"], input=b"Gut.\n", capture_output=True)
    assert second.returncode == 2 and b"out.part: another process" in second.stderr
    first.communicate(b"Der Hund.\nDie Katze.\n")
    assert first.returncode == 0 and out.read_bytes().count(b"\n") == 2


def test_a_lock_is_on_the_file_that_is_there(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process ends, and its part becomes its output, just before the lock is free."""
    import nmt.inference.partial as partial

    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("Der Hund.\n")
    plain, ended = partial.lock_if_possible, []

    def late(handle: int, part: Path) -> bool:
        if not ended:
            ended.append(os.replace(tmp_path / "out.part", out))
            out.write_text("theirs\n" * 3)
        return plain(handle, part)

    monkeypatch.setattr(partial, "lock_if_possible", late)
    assert nmt("translate", tiny_run, source, "-o", out).code == 0 and ended
    assert out.read_text() == nmt("translate", tiny_run, source).out


def test_a_file_system_without_locks_is_written_to_with_a_warning(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lustre and NFS may be."""

    def flock(handle: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    (tmp_path / "in").write_text("Der Hund.\n")
    result = nmt("translate", tiny_run, tmp_path / "in", "-o", tmp_path / "out")
    told = f"{tmp_path}/out.part cannot be locked (Function not implemented); let no second"
    assert result.code == 0 and told in result.err
    assert (tmp_path / "out").read_text() == nmt("translate", tiny_run, tmp_path / "in").out
    with locked(tmp_path), locked(tmp_path):
        pass


@pytest.mark.slow
def test_killed_translations_end_as_one_that_was_not(tiny_run: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("".join(f"Der Hund schläft {n} mal.\n" for n in range(5000)))
    words = [*NMT, "translate", tiny_run, source, "--greedy"]
    expected = subprocess.run(words, capture_output=True, check=True).stdout
    for ending in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen([*words, "-o", out], stderr=subprocess.DEVNULL)
        journal, rows = tmp_path / "out.part.json", 0
        before = journal.read_bytes().count(b"\n") if journal.exists() else 1
        while rows <= before and process.poll() is None:
            rows = journal.read_bytes().count(b"\n") if journal.exists() else 0
            time.sleep(0.01)
        process.send_signal(ending)
        process.wait()
    done = subprocess.run([*words, "-o", out], capture_output=True)
    assert done.returncode == 0 and out.read_bytes() == expected


def test_a_wrong_byte_is_found_before_anything_is_translated(
    nmt: Command, tiny_run: Path, tmp_path: Path, stop: Stop
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(TEXT)
    bad.write_bytes(TEXT.encode() + b"\xff\n")
    for words in ([bad, "-o", tmp_path / "out"], [good, bad, "-o", tmp_path / "new"], [bad]):
        result = nmt("translate", tiny_run, *words)
        assert result.code == 2 and "line 10, byte 1 (0xff)" in result.err and result.out == ""
    assert stop.lines == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad", "good"]


def test_a_wrong_byte_in_a_pipe_keeps_the_lines_before(
    nmt: Command, tiny_run: Path, tmp_path: Path, stop: Stop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    out = tmp_path / "out"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(TEXT.encode() + b"\xff\n")))
    result = nmt("translate", tiny_run, "-o", out)
    assert result.code == 2 and "line 10, byte 1 (0xff)" in result.err
    assert "the first 9 lines are kept" in result.err and stop.lines == 9
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(TEXT.encode() + b"gut\n")))
    result = nmt("translate", tiny_run, "-o", out)
    assert result.code == 0 and stop.lines == 10, result.err
    assert out.read_text().count("\n") == 10


@pytest.mark.parametrize(
    "output", ["-o /dev/stdout | cat", "-o >(cat > got; touch end)", "-o /dev/fd/5 5> got", "-o -"]
)
def test_outputs_may_be_streams(tiny_run: Path, tmp_path: Path, output: str) -> None:
    (tmp_path / "in").write_text("Der Hund.\nDie Katze.\n")
    command = " ".join([*NMT, "translate", str(tiny_run), "in"])
    plain = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True)
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{command} {output}"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 10
    while ">(" in output and not (tmp_path / "end").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    got = tmp_path / "got"
    assert (got.read_bytes() if got.exists() else done.stdout) == plain.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"in", "got", "end"}


def test_a_pipe_is_answered_line_by_line(tiny_run: Path) -> None:
    words = [*NMT, "translate", tiny_run, "--line-buffered", "--quiet"]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    answers = []
    for line in (b"Der Hund.\n", b"\n", "Die Katze schläft.\n".encode()):
        process.stdin.write(line)
        process.stdin.flush()
        answers.append(process.stdout.readline())  # waits for ever where the answer does not come
    rest, told = process.communicate()
    assert [answer.count(b"\n") for answer in answers] == [1, 1, 1] and answers[1] == b"\n"
    assert rest == b"" and b"lines" not in told.replace(b"lines had problems", b"")


def test_a_journal_of_another_program_is_left_alone(
    nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").write_text(TEXT)
    (tmp_path / "out.part.json").write_text(json.dumps([1, 2]))
    result = nmt("translate", tiny_run, tmp_path / "in", "-o", tmp_path / "out")
    assert result.code == 2 and "out.part.json" in result.err
    assert (tmp_path / "out.part.json").read_text() == "[1, 2]"


@pytest.mark.parametrize("left", [["out.part"], ["out.part.json"], ["out.part", "out.part.json"]])
def test_empty_files_of_a_translation_that_never_began_are_no_obstacle(
    left: list[str], tmp_path: Path
) -> None:
    for name in left:
        (tmp_path / name).touch()
    with partial_writer(tmp_path / "out", "text", "key") as writer:
        writer.write([("a", "")], [Translation("A", 0.0, [])])
    assert (tmp_path / "out").read_text() == "A\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    "row",
    ['{"lines": 1.0, "size": 2}', '{"lines": -1, "size": 2}', '{"lines": 1, "size": "2"}'],
)
def test_a_journal_with_damaged_counts_costs_its_chunks_alone(row: str, tmp_path: Path) -> None:
    (tmp_path / "out.part").write_text("A\n")
    (tmp_path / "out.part.json").write_text(f'{{"key": "k"}}\n{row}\n')
    with partial_writer(tmp_path / "out", "text", "k") as writer:
        assert list(writer.resume(iter([("a", "")]))) == [("a", "")]
        writer.write([("a", "")], [Translation("B", 0.0, [])])
    assert (tmp_path / "out").read_text() == "B\n"
