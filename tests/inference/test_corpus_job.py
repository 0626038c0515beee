"""A corpus in blocks, without a cluster: reading, files of blocks, and the record of a job."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow
import pyarrow.parquet
import pytest

import nmt
import nmt.inference.file_translation as files_module
from nmt.config import ColumnsConfig, DataConfig
from nmt.errors import DataError, NmtError, UsageError
from nmt.inference.corpus_job import Block, CorpusJob, find_inputs, job_record, source_columns
from nmt.inference.translator import Translator
from tests.conftest import Command

COLUMNS = source_columns(DataConfig(source_language="de", target_language="en"), None)
LINES = ["Der Hund schläft.", "", "Maria schläft.\u2028Peter auch.", "  ", "Gut\r?", "Er singt."]


def job(
    folder: object, inputs: dict[str, str], layout: str = "parquet", size: int = 4
) -> CorpusJob:
    return CorpusJob(str(folder), inputs, layout, COLUMNS, size)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return nmt.load(str(tiny_run))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    path.write_bytes("".join(f"{line}\n" for line in LINES).encode())
    return path


def write_text(path: Path) -> str:
    path.write_bytes("\r\n".join(LINES).encode())
    return str(path)


def write_gzip(path: Path) -> str:
    path.with_name("x.gz").write_bytes(gzip.compress("\n".join(LINES).encode()))
    return f"{path.with_name('x.gz')}"


def write_jsonl(path: Path) -> str:
    rows = [{"de": line} for line in LINES]
    path.with_suffix(".jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return f"file://{path.with_suffix('.jsonl')}"


def write_parquet(path: Path) -> str:
    rows = [{"translation": {"de": line, "en": "x"}} for line in LINES]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows), path.with_suffix(".parquet"), row_group_size=2
    )
    return str(path.with_suffix(".parquet"))


def write_memory(path: Path) -> str:
    fsspec.filesystem("memory").pipe_file("/corpus/x", "\n".join(LINES).encode())
    return "memory://corpus/x"


@pytest.mark.parametrize(
    "write", [write_text, write_gzip, write_jsonl, write_parquet, write_memory]
)
def test_an_input_is_cut_into_blocks_of_lines(
    tmp_path: Path, write: Callable[[Path], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number of lines, and by characters, so that long lines fit into memory."""
    place = write(tmp_path / "x")
    blocks = list(job(tmp_path, {"x": place}).blocks("x"))
    table = place.endswith((".jsonl", ".parquet"))
    lines = [line.replace("\u2028", " ").replace("\r", " ") for line in LINES] if table else LINES
    assert [(block.number, block.first, block.texts) for block in blocks] == [
        (0, 1, lines[:4]),
        (1, 5, lines[4:]),
    ]
    monkeypatch.setattr(files_module, "_CHARACTERS", 20)
    blocks = list(job(tmp_path, {"x": place}).blocks("x"))
    assert [block.texts for block in blocks] == [lines[:3], lines[3:6]]
    assert [block.first for block in blocks] == [1, 4]


def test_an_empty_input_is_an_empty_block(tmp_path: Path, translator: Translator) -> None:
    (tmp_path / "x").write_bytes(b"")
    made = job(tmp_path / "out", {"x": str(tmp_path / "x")}, "text")
    assert list(made.blocks("x")) == [Block("x", 0, 1, [], frozenset())]
    made.translate(Block("x", 0, 1, [], frozenset()), translator, translator.options())
    assert made.finish("x", 0) == (0, 0)
    assert (tmp_path / "out" / "x").read_bytes() == b""


@pytest.mark.parametrize("layout", ["jsonl", "parquet", "text"])
@pytest.mark.parametrize("store", ["", "memory://"])
def test_the_files_hold_what_one_machine_writes(
    nmt: Command,
    tiny_run: Path,
    translator: Translator,
    source: Path,
    layout: str,
    store: str,
) -> None:
    whole = source.with_name("whole")
    words = ["--n-best", "2", "--beam-size", "3", "--invalid-utf8", "replace"]
    source.write_bytes(source.read_bytes() + b"\xff\n")
    assert nmt("translate", tiny_run, source, "-o", whole, "--format", "jsonl", *words).code == 0
    folder = f"{store}{source.parent}/out"
    made = CorpusJob(folder, {"in.de": str(source)}, layout, COLUMNS, 3, "replace")  # type: ignore[arg-type]
    options = translator.options(n_best=2, beam_size=3)
    blocks = list(made.blocks("in.de"))
    for block in reversed(blocks):  # workers have no order
        assert made.translate(block, translator, options)
        assert not made.translate(block, translator, options)
    assert made.finish("in.de", 7)[1] == 0
    files, out = fsspec.core.url_to_fs(folder)
    suffix = "jsonl" if layout == "jsonl" else "parquet"
    parts = sorted(files.glob(f"{out}/in.de.{suffix}/*"))
    assert [part.rpartition("/")[2] for part in parts] == [f"0000000{n}.{suffix}" for n in range(3)]
    expected = [json.loads(row) for row in whole.read_text().splitlines()]
    if layout == "jsonl":
        assert b"".join(map(files.cat_file, parts)) == whole.read_bytes()
    else:
        rows = []
        for part in parts:
            with files.open(part, "rb") as stream:
                rows += pyarrow.parquet.read_table(stream).to_pylist()
        for row, one in zip(rows, expected, strict=True):
            assert [row[key] for key in ("line", "text", "score")] == [
                one[key] for key in ("line", "text", "score")
            ]
            candidates = [{**each, "alignment": None} for each in one["n_best"]]
            assert row["n_best"] == candidates and row["problem"] == one.get("problem")
    if layout == "text":
        assert files.cat_file(f"{out}/in.de").decode() == "".join(
            f"{one['text']}\n" for one in expected
        )
    problems = files.cat_file(f"{out}/in.de.problems.tsv")
    assert problems == source.with_name("whole.problems.tsv").read_bytes()
    if store:
        files.rm(out, recursive=True)


@pytest.mark.parametrize("harm", ["lost", "last lost", "twice"])
def test_a_lost_or_doubled_file_is_named(translator: Translator, source: Path, harm: str) -> None:
    made = job(source.parent / "out", {"in.de": str(source)}, "jsonl", 2)
    for block in made.blocks("in.de"):
        made.translate(block, translator, translator.options(greedy=True))
    parts = source.parent / "out" / "in.de.jsonl"
    if harm == "twice":
        (parts / "00000001.jsonl").write_bytes((parts / "00000000.jsonl").read_bytes())
    else:
        (parts / ("00000001.jsonl" if harm == "lost" else "00000002.jsonl")).unlink()
    told = {"lost": r"00000002.jsonl: line 5 is not 3", "last lost": "4 of 6 lines"}
    with pytest.raises(NmtError, match=told.get(harm, r"00000001.jsonl: line 1 is not 3")):
        made.finish("in.de", 6)
    assert not (source.parent / "out" / "in.de").exists()


def test_a_failed_line_counts(source: Path, translator: Translator) -> None:
    from dataclasses import replace

    class Failing(Translator):
        def translate(self, sentences, options, **settings):  # type: ignore[no-untyped-def]
            found = super().translate(sentences, options, **settings)
            return [replace(found[0], text="", problem="no memory", failed=True), *found[1:]]

    failing = Failing(translator.stepper, translator.tokenizer, translator.config)
    for layout in ("jsonl", "parquet"):
        made = job(source.parent / layout, {"in.de": str(source)}, layout)
        for block in made.blocks("in.de"):
            made.translate(block, failing, failing.options(greedy=True))
        assert made.finish("in.de", 6) == (2, 2)
        problems = (source.parent / layout / "in.de.problems.tsv").read_text()
        assert problems == "1\tno memory\n5\tno memory\n"


def test_inputs_are_files_and_folders(tmp_path: Path) -> None:
    for name in ("c/a.de", "c/b/x.jsonl.gz", "d[1].parquet", "e1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = find_inputs([str(tmp_path / name) for name in ("c", "d[1].parquet", "e1")])
    expected = {"a.de": "c/a.de", "b/x": "c/b/x.jsonl.gz", "d[1]": "d[1].parquet"}
    expected |= {"e1": "e1"}
    assert found == {name: str(tmp_path / place) for name, place in expected.items()}
    assert find_inputs([f"file://{tmp_path}/e1"]) == {"e1": f"file://{tmp_path}/e1"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["none"], "none: there is no such file"),
        (["x.csv"], r"x.csv: .csv is unsupported"),
        (["x.tar.gz"], r"x.tar.gz: .tar is unsupported"),
        (["a.de", "sub/a.de.gz"], r"/a.de and .*/sub/a.de.gz have one output, a.de"),
        (["nowhere://x"], "nowhere"),
    ],
)
def test_wrong_inputs_are_named(tmp_path: Path, names: list[str], told: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("x.csv", "x.tar.gz", "a.de", "sub/a.de.gz"):
        (tmp_path / name).write_bytes(b"")
    places = [name if "://" in name else str(tmp_path / name) for name in names]
    with pytest.raises((DataError, UsageError), match=told):
        find_inputs(places)


def test_a_folder_takes_one_job(tmp_path: Path, source: Path) -> None:
    made, settings = job(tmp_path / "out", {"in.de": str(source)}), {"beam_size": 5}
    record = job_record(made, settings, resume=False)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "job.json").write_bytes(record)
    assert job_record(made, settings, resume=True) == record
    with pytest.raises(UsageError, match="continue it with --resume"):
        job_record(made, settings, resume=False)
    with pytest.raises(UsageError, match="beam_size: 5 instead of 4"):
        job_record(made, {"beam_size": 4}, resume=True)
    source.write_text("Other text.\n")
    with pytest.raises(
        UsageError, match=r"input in.de: .*'size': '\d+'.* instead of .*'size': '12'"
    ):
        job_record(made, settings, resume=True)
    (tmp_path / "out" / "job.json").unlink()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(UsageError, match="out holds other files"):
        job_record(made, settings, resume=True)


def test_the_column_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"a": {"b": "one"}, "de": "two"}\n')
    config = DataConfig(source_language="de", columns=ColumnsConfig(source="de", target="fr"))
    for column, text in (("a.b", "one"), (None, "two")):
        columns = source_columns(config, column)
        made = CorpusJob("out", {"x": str(tmp_path / "x.jsonl")}, "text", columns, 2)
        assert [block.texts for block in made.blocks("x")] == [[text]]
    made = CorpusJob(
        "out", {"x": str(tmp_path / "x.jsonl")}, "text", source_columns(config, "z"), 2
    )
    with pytest.raises(DataError, match=r"line 1: no columns 'z'; .*'a.b'.* --column"):
        list(made.blocks("x"))
