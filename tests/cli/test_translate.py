"""`nmt translate`, `evaluate` and `score` from the command line."""

import gzip
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nmt as package
from nmt.cli.main import VERBS
from tests.conftest import Command, Result, needs_bf16, save_member

LINES = ["Der Hund schläft.", "", "Maria möchte schwimmen.\u2028Peter auch.", "  ", "Gut\r?"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    path.write_bytes("".join(f"{line}\n" for line in LINES).encode())
    return path


def texts(data: str) -> list[str]:
    lines = data.split("\n")
    assert lines.pop() == ""
    return lines


def test_a_file_gives_as_many_lines_as_it_has(nmt: Command, tiny_run: Path, source: Path) -> None:
    out = source.with_name("out.en")
    result = nmt("translate", tiny_run, source, "-o", out)
    assert result.code == 0 and result.out == ""
    lines = texts(out.read_bytes().decode())
    assert len(lines) == 5 and lines[1] == lines[3] == ""
    expected = package.load(str(tiny_run)).translate(LINES)
    assert lines == [translation.text for translation in expected]  # one path for all
    assert "5 lines in" in result.err


def test_standard_input_and_output(tiny_run: Path, source: Path, nmt: Command) -> None:
    piped = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", tiny_run],
        input=source.read_bytes(),
        capture_output=True,
    )
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout.decode() == nmt("translate", tiny_run, source).out


def test_gzip_and_a_missing_last_line_feed(nmt: Command, tiny_run: Path, source: Path) -> None:
    packed = source.with_name("in.de.gz")
    packed.write_bytes(gzip.compress(source.read_bytes()[:-1]))
    assert nmt("translate", tiny_run, packed).out == nmt("translate", tiny_run, source).out


def test_an_empty_file_gives_an_empty_file(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert nmt("translate", tiny_run, tmp_path / "empty", "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out").read_bytes() == b""


def test_several_files_go_into_a_folder(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"Der Hund {name}.\n")
    refused = nmt("translate", tiny_run, tmp_path / "a", tmp_path / "b")
    assert refused.code == 2 and "2 files need -o FOLDER" in refused.err
    out = tmp_path / "out"
    assert nmt("translate", tiny_run, tmp_path / "a", tmp_path / "b", "-o", out).code == 0
    assert {path.name for path in out.iterdir()} >= {"a", "b"}
    twice = nmt("translate", tiny_run, tmp_path / "a", out / "a", "-o", out)
    assert twice.code == 2 and "several files would be written to" in twice.err


def test_formats(nmt: Command, tiny_run: Path, source: Path) -> None:
    refused = nmt("translate", tiny_run, source, "--n-best", "2")
    assert refused.code == 2 and "--n-best 2: text has one line" in refused.err
    words = ["--n-best", "3", "--beam-size", "4", "--length-penalty", "0"]
    table = nmt("translate", tiny_run, source, "--format", "tsv", *words)
    rows = [line.split("\t") for line in texts(table.out)]
    assert {int(row[0]) for row in rows} == {1, 2, 3, 4, 5}
    first = [(int(rank), float(score)) for line, rank, score, _ in rows if line == "1"]
    assert [rank for rank, _ in first] == [1, 2, 3]
    assert [score for _, score in first] == sorted((s for _, s in first), reverse=True)
    objects = [
        json.loads(line)
        for line in texts(nmt("translate", tiny_run, source, "--format", "jsonl", *words).out)
    ]
    assert [row["line"] for row in objects] == [1, 2, 3, 4, 5]
    for row in objects:
        assert row["n_best"][0]["text"] == row["text"]
        mine = [(c["text"], c["score"]) for c in row["n_best"]]
        theirs = [(r[3], float(r[2])) for r in rows if int(r[0]) == row["line"]]
        assert [text for text, _ in mine] == [text for text, _ in theirs]


def test_the_printed_score_is_the_one_that_ranks(
    nmt: Command, tiny_run: Path, source: Path
) -> None:
    words = [tiny_run, source, "--n-best", "3", "--beam-size", "4", "--length-penalty", "2"]
    rows = [line.split("\t") for line in texts(nmt("translate", *words, "--format", "tsv").out)]
    jsonl = texts(nmt("translate", *words, "--format", "jsonl").out)
    settings = {"n_best": 3, "beam_size": 4, "length_penalty": 2}
    found = package.load(str(tiny_run)).translate(LINES, **settings)
    for number, (one, text) in enumerate(zip(found, jsonl, strict=True), start=1):
        printed = [float(score) for line, _, score, _ in rows if int(line) == number]
        # Wu et al. 2016 with this model's plain power of the length, the end token included.
        expected = [best.score / (len(best.tokens) + 1) ** 2 for best in one.n_best]
        assert printed == pytest.approx(expected, abs=1e-5)
        assert printed == sorted(printed, reverse=True)
        told = [candidate["rank_score"] for candidate in json.loads(text)["n_best"]]
        assert told == pytest.approx(expected, abs=1e-5)
    greedy = nmt("translate", tiny_run, source, "--greedy", "--format", "jsonl").out
    for row in map(json.loads, texts(greedy)):
        assert row["n_best"][0]["rank_score"] == row["score"]


def test_alignments_are_a_column_and_a_field(
    nmt: Command, tiny_run: Path, source: Path, tmp_path: Path
) -> None:
    model = save_member(tiny_run, tmp_path / "attentive")
    words = [model, source, "--alignments", "--n-best", "2", "--max-length-ratio", "1"]
    table = nmt("translate", *words, "--format", "tsv")
    rows = [line.split("\t") for line in texts(table.out)]
    objects = [
        json.loads(line) for line in texts(nmt("translate", *words, "--format", "jsonl").out)
    ]
    links = [candidate["alignment"] for row in objects for candidate in row["n_best"]]
    assert [" ".join(f"{s}-{t}" for s, t in one) for one in links] == [row[4] for row in rows]
    assert any(links)
    inputs = source.read_text(encoding="utf-8").split("\n")
    for line, _, _, text, column in rows:
        for link in column.split():
            read, written = map(int, link.split("-"))
            assert read < len(inputs[int(line) - 1].split())
            assert written < len(text.split())
    alone = nmt("translate", *words, "--format", "tsv", "--batch-size", "1")
    for row, other in zip(rows, texts(alone.out), strict=True):
        assert other.split("\t")[3:] == row[3:]
    narrow = nmt("translate", *words, "--format", "tsv", "--greedy", "--n-best", "1")
    assert narrow.code == 0, narrow.err


@pytest.mark.parametrize(
    "words",
    [
        ["--greedy"],
        ["--sample", "--temperature", "0.7", "--top-k", "5", "--top-p", "0.9", "--seed", "2"],
        ["--beam-size", "2", "--length-penalty", "0.5", "--max-length-ratio", "1.2"],
        ["--batch-size", "1", "--threads", "1", "--precision", "fp32", "--device", "cpu"],
        pytest.param(["--precision", "bf16"], marks=needs_bf16),
    ],
    ids=lambda words: " ".join(words),
)
def test_every_option_translates(
    nmt: Command, tiny_run: Path, source: Path, words: list[str]
) -> None:
    first = nmt("translate", tiny_run, source, *words)
    assert first.code == 0, first.err
    assert len(texts(first.out)) == 5
    assert nmt("translate", tiny_run, source, *words).out == first.out


def test_the_model_may_be_a_run_or_its_bundle(nmt: Command, tiny_run: Path, source: Path) -> None:
    assert (
        nmt("translate", tiny_run / "model", source).out == nmt("translate", tiny_run, source).out
    )


def test_problems_are_named_beside_the_output(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("Gut.\n" + "Hund " * 1200 + "\nGut.\n")
    out = tmp_path / "out"
    result = nmt("translate", tiny_run, tmp_path / "in", "-o", out, "--greedy")
    assert result.code == 0 and len(texts(out.read_text())) == 3
    problems = [line.split("\t") for line in texts((tmp_path / "out.problems.tsv").read_text())]
    assert "2" in [line for line, _ in problems]
    assert f"of 3 lines had problems: see {out}.problems.tsv" in result.err
    # A later translation without problems takes the list away.
    (tmp_path / "in").write_text("\n")
    nmt("translate", tiny_run, tmp_path / "in", "-o", out)
    assert not (tmp_path / "out.problems.tsv").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{run}", "{tmp}/no"], "cannot read {tmp}/no: no such file"),
        (["{run}", "{tmp}"], "cannot read {tmp}: it is a folder"),
        (["{tmp}/no", "{tmp}/in.de"], "there is no model at {tmp}/no"),
        (["{tmp}", "{tmp}/in.de"], "{tmp} is neither a run nor a model"),
        (["{run}", "{tmp}/in.de", "-o", "{tmp}/no/out"], "there is no folder {tmp}/no"),
        (
            ["{run}", "{tmp}/in.de", "{tmp}/out", "-o", "{tmp}/in.de/sub"],
            "cannot write {tmp}/in.de/",
        ),
        (["{run}", "{tmp}/latin"], "latin: line 2, byte 1 (0xff) is not UTF-8"),
        (["{run}", "{tmp}/in.de", "--beam-size", "0"], "--beam-size: 0 "),
        (
            ["{run}", "{tmp}/in.de", "--beam-size", "x"],
            "--beam-size: x must be a whole number from 1 to 1,000",
        ),
        (["{run}", "{tmp}/in.de", "--greedy", "--sample"], "not allowed with argument"),
        (["{run}", "{tmp}/in.de", "--threads", "0"], "--threads: 0 must be a whole number"),
        (["{run}", "{tmp}/in.de", "-o", "{tmp}/in.de"], "in.de is the input itself"),
        (["{run}", "{tmp}/in.de", "-o", "{tmp}"], "in.de is the input itself"),
        (["{run}", "{tmp}/in.de", "-o", "{tmp}/out.gz"], "leave .gz out"),
        (["{run}", "{tmp}/in.de", "--top-k", "3"], "--top-k belongs to --sample"),
        (
            ["{run}", "{tmp}/in.de", "--greedy", "--coverage-penalty", "0.2"],
            "--coverage-penalty belongs to beam search; leave it or --greedy out",
        ),
        (
            ["{run}", "{tmp}/in.de", "{tmp}/latin", "-o", "{tmp}/new", "--beam-size", "0"],
            "--beam-size: 0",
        ),
        (["{tmp}/no", "{tmp}/in.de", "{tmp}/latin", "-o", "{tmp}/new"], "latin: line 2, byte 1"),
        (["{run}", "--resume"], "--resume: "),
        (["{run}", "{tmp}/in.de", "--alignments"], "--alignments: text holds translations"),
        (
            ["{run}", "{tmp}/in.de", "--alignments", "--format", "tsv"],
            "alignments: True needs attention",
        ),
        (
            ["{run}", "{tmp}/in.de", "--coverage-penalty", "0.2"],
            "coverage_penalty: 0.2 needs attention",
        ),
        (
            ["{run}", "{tmp}/in.de", "--coverage-penalty", "-1"],
            "--coverage-penalty: -1 must be a number from 0",
        ),
        (["{run}", "--zzz"], "unrecognized arguments: --zzz (see"),
        ([], "the following arguments are required: MODEL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_calls_are_one_line_and_keep_what_was_there(
    nmt: Command, tiny_run: Path, source: Path, words: list[str], told: str
) -> None:
    folder = source.parent
    (folder / "latin").write_bytes(b"gut\n\xff\n")
    (folder / "out").write_bytes(b"old")
    filled = [word.format(run=tiny_run, tmp=folder) for word in words]
    if "-o" not in filled and "--resume" not in filled and len(filled) > 1:
        filled += ["-o", str(folder / "out")]
    result = nmt("translate", *filled)
    assert result.code == 2
    assert told.format(tmp=folder) in result.err.splitlines()[-1]
    assert (folder / "out").read_bytes() == b"old"
    assert sorted(path.name for path in folder.iterdir()) == ["in.de", "latin", "out"]


@pytest.mark.parametrize("order", ["MFO", "MOF", "FO", "OMF"])
def test_options_may_stand_anywhere(nmt: Command, tiny_run: Path, source: Path, order: str) -> None:
    if order == "FO":
        result = nmt("translate", "--greedy", tiny_run, "--seed", "1", "--sample", source)
        assert result.code == 2 and "not allowed with argument" in result.err
        return
    out = source.with_name("out")
    parts = {"M": [tiny_run], "F": [source], "O": ["-o", out, "--greedy"]}
    result = nmt("translate", *(word for part in order for word in parts[part]))
    assert result.code == 0, result.err
    assert len(texts(out.read_text())) == 5


def test_invalid_utf8_can_be_replaced(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"gut\n\xff\n")
    result = nmt("translate", tiny_run, tmp_path / "latin", "--invalid-utf8", "replace")
    assert result.code == 0 and len(texts(result.out)) == 2
    assert "line 2: bytes that are not UTF-8" in result.err
    assert "line 1: bytes" not in result.err


def test_lines_with_replaced_bytes_are_named(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    source, prefixes, out = tmp_path / "latin", tmp_path / "prefixes", tmp_path / "out"
    source.write_bytes(b"\xef\xbb\xbfgut\n\xff\nDer Hund\n\xfe\n")
    prefixes.write_bytes(b"\n\n\xfd\n\n")
    words = [source, "--invalid-utf8", "replace", "--prefix-file", prefixes, "-o", out]
    for resume in ([], ["--resume"]):
        out.unlink(missing_ok=True)
        result = nmt("translate", tiny_run, *words, "--format", "jsonl", *resume)
        assert result.code == 0, result.err
        problems = (tmp_path / "out.problems.tsv").read_text().splitlines()
        assert [row[0] for row in problems if "U+FFFD" in row] == ["2", "3", "4"]
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert ["U+FFFD" in row.get("problem", "") for row in rows] == [False, True, True, True]
    plain = nmt("translate", tiny_run, source, "--invalid-utf8", "replace").out
    (tmp_path / "unmarked").write_bytes(source.read_bytes()[3:])
    assert (
        nmt("translate", tiny_run, tmp_path / "unmarked", "--invalid-utf8", "replace").out == plain
    )


def test_a_stopped_translation_goes_on(
    nmt: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nmt.inference.file_translation as files

    monkeypatch.setattr(files, "CHUNK", 2)
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("".join(f"Der Hund schläft {n} mal.\n" for n in range(9)))
    whole = nmt("translate", tiny_run, source, "--format", "tsv").out
    plain, calls = package.inference.translator.Translator.translate, []

    def dying(self, sentences, options, **settings):  # type: ignore[no-untyped-def]
        calls.append(len(sentences))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(self, sentences, options, **settings)

    words = ["translate", tiny_run, source, "-o", out, "--resume", "--format", "tsv"]
    with monkeypatch.context() as patch:
        patch.setattr(package.inference.translator.Translator, "translate", dying)
        stopped = nmt(*words)
    assert stopped.code == 130 and stopped.err.endswith("nmt: interrupted\n")
    assert not out.exists()
    with open(tmp_path / "out.part", "ab") as stream:
        stream.write(b"7\thalf a li")  # what a killed process may leave
    result = nmt(*words, "--batch-size", 3)  # no part of the result
    assert result.code == 0 and out.read_text() == whole
    assert "continuing after 4 lines" in result.err and "5 lines in" in result.err
    assert not list(tmp_path.glob("out.part*"))
    kept = nmt(*words)
    assert kept.code == 0 and "is kept; delete it if" in kept.err and out.read_text() == whole
    source.write_text("Der Hund schläft.\n")
    os.utime(source, (time.time() + 9, time.time() + 9))
    assert nmt(*words).code == 0
    assert out.read_text() == nmt("translate", tiny_run, source, "--format", "tsv").out


def test_work_on_another_input_is_not_gone_on_with(
    nmt: Command, tiny_run: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text("Der Hund schläft.\n")
    (tmp_path / "out.part").write_text("from elsewhere\n")
    (tmp_path / "out.part.json").write_text(json.dumps({"key": "other", "bytes": 15, "lines": 1}))
    assert nmt("translate", tiny_run, source, "-o", out, "--resume").code == 0
    assert out.read_text() == nmt("translate", tiny_run, source).out


def test_a_terminal_is_answered_line_by_line(
    tiny_run: Path, nmt: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    answered: list[int] = []

    class Typed(io.BytesIO):
        """Looks, before each further line, how much was answered so far."""

        def __next__(self) -> bytes:
            answered.append(sys.stdout.buffer.tell())
            return super().__next__()

    typed = Typed(b"Der Hund.\nDie Katze.\n")
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    result = nmt("translate", tiny_run)
    assert result.code == 0 and len(texts(result.out)) == 2
    first, second, end = answered[-3:]  # the lines were counted before
    assert first == 0 < second < end


def run_json(nmt: Command, *words: object) -> tuple[Result, dict[str, object]]:
    result = nmt("evaluate", *words, "--json", "-")
    assert result.code == 0, result.err
    return result, json.loads(result.out)


def test_evaluate_scores_a_split_files_and_hypotheses_alike(
    nmt: Command, tiny_run: Path, corpus_folder: Path, tmp_path: Path
) -> None:
    expected = json.loads((tiny_run / "scores.test.json").read_text())
    source, reference = corpus_folder / "test.de", corpus_folder / "test.en"
    hypotheses = tmp_path / "hyp"
    nmt("translate", tiny_run, source, "-o", hypotheses)
    for words in (
        [tiny_run],
        [tiny_run, "--split", "test"],
        [tiny_run, "--source", source, "--reference", reference],
        [tiny_run / "model", "--source", source, "--reference", reference],
        ["--hypotheses", hypotheses, "--reference", reference],
    ):
        result, scores = run_json(nmt, *words)
        assert scores == expected
        assert "BLEU" in result.err and "|tok:13a|" in result.err
    plain = nmt("evaluate", tiny_run, "--json", tmp_path / "scores.json")
    assert plain.out.startswith("BLEU ") and "20 sentences" in plain.out
    assert json.loads((tmp_path / "scores.json").read_text()) == expected


def test_evaluate_compares_with_a_baseline(
    nmt: Command, corpus_folder: Path, tmp_path: Path
) -> None:
    reference = corpus_folder / "test.en"
    (tmp_path / "bad").write_text("".join("no\n" for _ in range(20)))
    words = ["--hypotheses", reference, "--reference", reference, "--baseline", tmp_path / "bad"]
    _, scores = run_json(nmt, *words)
    assert scores["baseline"]["system"] == pytest.approx(100)  # type: ignore[index]
    assert scores["baseline"]["p_value"] < 0.05  # type: ignore[index]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{run}/model"], "is a bundle, which does not say where its data lies"),
        (["{run}", "--split", "nope"], "has no split 'nope'; it has train"),
        (["{run}", "--source", "{dir}/test.de"], "--source needs --reference"),
        (["{run}", "--reference", "{dir}/test.en"], "--reference needs --source"),
        (["{run}", "--split", "test", "--source", "x"], "--split has its own source"),
        (["--reference", "{dir}/test.en"], "without MODEL, give --hypotheses and --reference"),
        (["{run}", "-o", "-"], "-o -: standard output is for the scores; give a file"),
        (
            ["{run}", "--source", "{dir}/test.de", "--reference", "{dir}/train.en"],
            "test.de has 20 lines, and {dir}/train.en 400; they must match line by line",
        ),
        (
            ["--hypotheses", "{dir}/test.en", "--reference", "{dir}/train.en"],
            "test.en has 20 lines, and {dir}/train.en 400; they must match line by line",
        ),
        (["--hypotheses", "x", "--reference", "y", "--beam-size", "2"], "leave it out"),
        (["{run}", "--json", "{dir}/no/x.json"], "there is no folder {dir}/no"),
        (
            ["{run}", "--baseline", "{dir}/train.en"],
            "train.en has 400 lines, and the split test 20",
        ),
        (["{run}", "--n-best", "2"], "unrecognized arguments: --n-best"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_evaluate_refuses_what_makes_no_sense(
    nmt: Command, tiny_run: Path, corpus_folder: Path, words: list[str], told: str
) -> None:
    filled = [word.format(run=tiny_run, dir=corpus_folder) for word in words]
    result = nmt("evaluate", *filled)
    assert result.code == 2 and result.out == ""
    assert told.format(dir=corpus_folder) in result.err.splitlines()[-1]


def test_score_prints_one_log_probability_a_line(
    nmt: Command, tiny_run: Path, corpus_folder: Path
) -> None:
    source, target = corpus_folder / "test.de", corpus_folder / "test.en"
    result = nmt("score", tiny_run, "--source", source, "--target", target)
    assert result.code == 0
    scores = [float(line) for line in texts(result.out)]
    lines = [path.read_text().splitlines() for path in (source, target)]
    expected = package.load(str(tiny_run)).score(*lines)
    assert scores == pytest.approx(expected, abs=1e-3)
    uneven = nmt("score", tiny_run, "--source", source, "--target", corpus_folder / "train.en")
    assert uneven.code == 2 and "they must match line by line" in uneven.err


def test_the_overview_and_unknown_commands(nmt: Command) -> None:
    assert "translate" in nmt("--help").out
    assert nmt().code == 2
    assert nmt("--version").out == f"nmt {package.__version__}\n"
    result = nmt("trian")
    assert result.code == 2
    assert result.err == ("nmt: error: unknown command 'trian'; did you mean train?\n")
    assert nmt("xyz").err.endswith(f"there are {', '.join(VERBS)}\n")
