"""Sentence pairs from files; every expectation is written by hand."""

import gzip
import http.server
import io
import json
import socket
import threading
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from nmt.config import ColumnsConfig, DataConfig
from nmt.data.files import read_file_pairs
from nmt.errors import DataError
from nmt.text.lines import read_lines

Pairs = list[tuple[str, str]]
GERMAN_COLUMNS = ColumnsConfig("deutsch", "englisch")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def parquet(columns: dict[str, list[object]], **types: pyarrow.DataType) -> bytes:
    stream = io.BytesIO()
    arrays = {n: pyarrow.array(values, types.get(n)) for n, values in columns.items()}
    pyarrow.parquet.write_table(pyarrow.table(arrays), stream)
    return stream.getvalue()


def read(place: str, columns: ColumnsConfig | None = None, languages: str = "de en") -> Pairs:
    source, target = languages.split()
    config = DataConfig(source_language=source, target_language=target, columns=columns)
    return list(read_file_pairs(place, config))


def error(place: str, columns: ColumnsConfig | None = None, languages: str = "de en") -> str:
    with pytest.raises(DataError) as caught:
        read(place, columns, languages)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Two text files


def test_parallel_files_pair_their_lines() -> None:
    write("train.de", "ein Hund\r\nzwei Katzen\n\n")
    write("train.en", "a dog\ntwo cats\n\n")
    expected = [("ein Hund", "a dog"), ("zwei Katzen", "two cats"), ("", "")]
    assert read("train") == expected
    assert read("train", languages="en de") == [(target, source) for source, target in expected]


@pytest.mark.parametrize("inside", ["\u2028", "\u0085", "\r", "\x0b", "\x0c", "\t", '"', "\ufeff"])
def test_nothing_but_a_line_feed_ends_a_line(inside: str) -> None:
    write("train.de", f"a{inside}b\nc")
    write("train.en", "1\n2\n")
    assert read("train") == [(f"a{inside}b", "1"), ("c", "2")]


def test_each_side_may_be_packed() -> None:
    write("train.de.gz", "ja\nnein\n")
    write("train.en", "yes\nno\n")
    assert read("train") == [("ja", "yes"), ("nein", "no")]


@pytest.mark.parametrize(("german", "english"), [(2, 4), (5, 3), (0, 1)])
def test_unequal_line_counts_name_both(german: int, english: int) -> None:
    write("train.de", "x\n" * german)
    write("train.en", "y\n" * english)
    assert error("train") == (
        f"train.de has {german} lines but train.en has {english}; "
        "line by line, one must be the translation of the other"
    )


def test_unknown_language_lists_those_there_are() -> None:
    for name in ("train.de", "train.en.gz", "train.tsv", "training.fr"):
        write(name, "x\n")
    assert error("train", languages="de cs") == (
        "there is no file train.cs; train has the languages de, en"
    )


@pytest.mark.parametrize("place", ["train", "nowhere/train"])
def test_missing_files(place: str) -> None:
    told = f"there is no file {place}.de; check data.splits"
    assert error(place) == f"{told}, which is relative to the working folder, {Path.cwd()}"
    assert error(f"/nowhere/{place}") == f"there is no file /nowhere/{place}.de; check data.splits"


def test_a_file_of_another_kind() -> None:
    write("train.txt", "x")
    assert error("train.txt") == (
        "train.txt is neither a prefix of two text files nor one of .tsv .csv .jsonl .parquet"
    )


def test_invalid_utf8_names_line_and_byte() -> None:
    write("train.de", b"gut\nb\xf6se\n")
    write("train.en", "good\nevil\n")
    assert error("train").startswith("train.de: line 2, byte 2 (0xf6) is not UTF-8")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not packed", "Not a gzipped file (b'no')"),
        (
            gzip.compress(b"de\ten\n" + b"ja\tyes\n" * 99, mtime=0)[:-9],
            "Compressed file ended before",
        ),
    ],
)
def test_broken_gzip(content: bytes, reason: str) -> None:
    for name in ("train.de.gz", "train.tsv.gz", "train.parquet.gz"):
        Path(name).write_bytes(content)
        write("train.en", "yes\n" * 99)
        place = name.replace(".de.gz", "")
        assert error(place).startswith(f"cannot read {name}: {reason}")


# TSV


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", 'Er sagte: "Ja\the said: yes"\tlicence\nNA\tnull\t\n"\t\t\n'),
        ("a.csv", 'Er sagte: "Ja,"he said: yes""",licence\nNA,null,\n"""",,\n'),
    ],
)
def test_columns_are_numbered_where_there_is_no_header(name: str, text: str) -> None:
    write(name, text)
    expected = [('Er sagte: "Ja', 'he said: yes"'), ("NA", "null"), ('"', "")]
    assert read(name, ColumnsConfig(1, 2)) == expected
    assert read(name, ColumnsConfig(2, 1)) == [(target, source) for source, target in expected]
    assert read(name, ColumnsConfig(1, 3))[0] == ('Er sagte: "Ja', "licence")
    assert "no columns '1' and '4'" in error(name, ColumnsConfig(1, 4))


TABLES = {  # as their makers write them
    "ManyThings": "Go.\tGeh.\tCC-BY 2.0 (France) Attribution: tatoeba.org #2877272\n",
    "Tatoeba": "1276\tLet's try something.\t77\tLass uns etwas versuchen!\n",
    "unknown header": "id\tsource\ttarget\n1\tja\tyes\n",
    "two columns": "english\tdeutsch\nyes\tja\n",
    "one column": "ja\n",
    "empty line": "\nja\tyes\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("kind", ["tsv", "csv"])
def test_a_table_of_other_columns_is_refused_by_their_names(kind: str, text: str) -> None:
    write(f"a.{kind}", text if kind == "tsv" else text.replace(",", "").replace("\t", ","))
    told = error(f"a.{kind}")
    assert told.startswith(f"a.{kind}: line ") and "no columns 'de' and 'en' or" in told
    assert "data.columns.source" in told and "{source: 1, target: 2}" in told
    assert len(told) < 400


def test_a_header_is_not_taken_for_a_numbered_pair() -> None:
    write("a.tsv", "de\ten\nja\tyes\n")
    told = error("a.tsv", ColumnsConfig(1, 2))
    assert "line 1: a header with ['de', 'en'], but data.columns has numbers" in told


def test_columns_with_names_have_no_numbers() -> None:
    write("a.jsonl", '{"de": "ja", "en": "yes"}\n')
    assert "no columns '1' and '2'; there are 'de', 'en'" in error("a.jsonl", ColumnsConfig(1, 2))


def test_a_wide_table_is_shown_in_part() -> None:
    write("a.tsv", "\t".join(f"{n} {'long ' * 500}" for n in range(500)) + "\n")
    assert "and 480 more" in error("a.tsv") and len(error("a.tsv")) < 1500


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tsv_header_is_known_by_its_columns(name: str, mark: str) -> None:
    write(name, f"{mark}en\tid\tde\r\nyes\t1\tja\r\n")
    assert read(name) == [("ja", "yes")]


def test_tsv_with_named_columns() -> None:
    write("a.tsv", "englisch\tdeutsch\nyes\tja\n")
    assert read("a.tsv", GERMAN_COLUMNS) == [("ja", "yes")]


@pytest.mark.parametrize(("kind", "cell"), [("tsv", "\t"), ("csv", ",")])
def test_a_column_that_occurs_twice_is_refused(kind: str, cell: str) -> None:
    write(f"twice.{kind}", cell.join(["de", "en", "de"]) + "\n" + cell.join("abc") + "\n")
    assert "line 1" in error(f"twice.{kind}") and "'de'" in error(f"twice.{kind}")
    write(f"other.{kind}", cell.join(["de", "en", "id", "id"]) + "\n" + cell.join("abcd") + "\n")
    assert read(f"other.{kind}") == [("a", "b")]


@pytest.mark.parametrize("inside", ["\u2028", "\u0085", "\r", "\x0c", '"'])
def test_tsv_keeps_the_line_contract(inside: str) -> None:
    write("a.tsv", f"de\ten\na{inside}b\tc\n{inside}\t\n")
    assert read("a.tsv") == [(f"a{inside}b", "c"), (inside, "")]


def test_tsv_errors() -> None:
    write("a.tsv", "de\ten\nja\tyes\nnein\n")
    assert error("a.tsv") == "a.tsv: line 3: number of cells is 1, not 2 ('de', 'en')"
    write("b.tsv", "ja\tyes\nnein\n")
    assert error("b.tsv", ColumnsConfig(1, 2)) == (
        "b.tsv: line 2: number of cells is 1, not 2 ('1', '2')"
    )
    assert error("a.tsv", GERMAN_COLUMNS).startswith(
        "a.tsv: line 1: no columns 'deutsch' and 'englisch'; there are 'de', 'en'; "
    )
    assert error("none.tsv").startswith("there is no file none.tsv; check data.splits, which is")


# CSV


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_quotes_and_words_that_look_like_nothing(name: str) -> None:
    write(name, '\ufeffen,x,de\r\nNA,1,null\r\n"a, ""b""",2,N/A\r\n,3,nan\r\n')
    assert read(name) == [("null", "NA"), ("N/A", 'a, "b"'), ("nan", "")]


def test_csv_line_breaks_in_cells_become_spaces() -> None:
    write("a.csv", 'de,en\n"ein\r\nHund","a\n\ndog"\nzwei\rdrei,x\u2028y\n\n')
    assert read("a.csv") == [("ein Hund", "a dog"), ("zwei drei", "x y")]


def test_csv_errors() -> None:
    write("a.csv", "de,fr\nja,oui\n")
    assert error("a.csv").startswith(
        "a.csv: line 1: no columns 'de' and 'en' or 'translation.de' and 'translation.en'; "
        "there are 'de', 'fr'; name them with data.columns.source and data.columns.target"
    )
    write("b.csv", "de,en\nja,yes\nja, bitte,yes\n")
    assert error("b.csv") == "b.csv: line 3: number of cells is 3, not 2 ('de', 'en')"
    write("c.csv", 'de,en\nja,"yes\nnein,no\n')
    assert error("c.csv") == "c.csv: line 3 is not valid CSV: unexpected end of data"


def test_a_csv_cell_may_be_as_long_as_a_document() -> None:
    long = "ja, " * 100_000
    write("a.csv", f'de,en\n"{long}",yes\n')
    assert read("a.csv") == [(long, "yes")]


# JSONL


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_jsonl_columns(name: str) -> None:
    row = {"de": "ja\nnein\ttja", "en": "NA", "translation": {"de": "x", "en": "y"}}
    write(name, json.dumps(row) + "\n\n" + '{"en": "no \\u2028", "de": ""}\n')
    assert read(name) == [("ja nein tja", "NA"), ("", "no  ")]


def test_jsonl_nested_columns() -> None:
    row = {"translation": {"de": "ja", "en": "yes"}, "a": {"b": {"c": "tja"}}, "a.d": "oh"}
    write("a.jsonl", json.dumps(row) + "\n")
    assert read("a.jsonl") == [("ja", "yes")]
    assert read("a.jsonl", ColumnsConfig("a.b.c", "a.d")) == [("tja", "oh")]


def test_jsonl_errors() -> None:
    good = '{"de": "ja", "en": "yes"}\n'
    cases = {
        '{"de": "ja"': "a.jsonl: line 2 is not valid JSON: Expecting ',' delimiter",
        '["ja", "yes"]': "a.jsonl: line 2 is not a JSON object: ['ja', 'yes']",
        '{"de": "ja", "fr": "oui"}': "a.jsonl: line 2: no column 'en'; there are 'de', 'fr'",
        '{"de": "ja", "en": null}': "a.jsonl: line 2: column 'en' is empty (null), not text",
        '{"de": 12, "en": "no"}': "a.jsonl: line 2: column 'de' holds 12, not text",
        '{"de": "\\ud800", "en": ""}': "a.jsonl: line 2: column 'de' holds '\\ud800', which is no",
    }
    for line, expected in cases.items():
        write("a.jsonl", good + line + "\n")
        assert error("a.jsonl").startswith(expected)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
@pytest.mark.parametrize("first", [True, False])
def test_a_null_row_of_a_nested_column_is_called_so(name: str, first: bool) -> None:
    rows = [None, {"de": "ja", "en": "yes"}][:: 1 if first else -1]
    lines = "".join(json.dumps({"translation": row}) + "\n" for row in rows)
    write(name, lines if name == "a.jsonl" else parquet({"translation": list(rows)}))
    told = error(name)
    assert told.endswith("column 'translation.de' is empty (null), not text; leave the row out")
    assert f"{1 if first else 2}:" in told


def test_missing_nested_columns_are_listed_by_their_paths() -> None:
    write("a.jsonl", '{"id": 1, "translation": {"de": "ja", "fr": "oui"}}\n')
    assert "; there are 'id', 'translation.de', 'translation.fr'; name" in error("a.jsonl")


# Parquet


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_parquet(name: str) -> None:
    write(name, parquet({"id": [1, 2], "en": ["yes\n!", "NA"], "de": ["ja", "null"]}))
    assert read(name) == [("ja", "yes !"), ("null", "NA")]


def test_parquet_nested() -> None:
    write("a.parquet", parquet({"id": [1], "translation": [{"de": "ja", "en": "yes"}]}))
    assert read("a.parquet") == [("ja", "yes")]
    assert read("a.parquet", ColumnsConfig("translation.en", "translation.de")) == [("yes", "ja")]


def test_parquet_errors() -> None:
    write("a.parquet", parquet({"de": ["ja", None], "en": ["yes", "no"]}))
    assert error("a.parquet").startswith("a.parquet: row 2: column 'de' is empty (null), not text")
    write("b.parquet", parquet({"de": ["ja"], "english": ["yes"], "id": [1]}))
    assert "; there are 'de', 'english', 'id'; name" in error("b.parquet")
    write("c.parquet", parquet({"de": ["ja"], "en": [1.5]}))
    assert error("c.parquet").startswith("c.parquet: row 1: column 'en' holds 1.5, not text")
    write("d.parquet", "not parquet at all")
    assert error("d.parquet").startswith("cannot read d.parquet: Parquet magic bytes not found")
    wrong = pyarrow.array([b"b\xf6se"]).view(pyarrow.string())
    write("e.parquet", parquet({"de": wrong, "en": ["evil"]}))
    assert error("e.parquet") == "e.parquet: rows 1 to 1 hold text that is not UTF-8"
    twice = pyarrow.Table.from_arrays([["ja"], ["yes"], ["no"]], names=["de", "en", "en"])
    pyarrow.parquet.write_table(twice, "f.parquet")
    assert error("f.parquet") == "f.parquet: the column 'en' occurs twice; rename one of them"
    assert error("none.parquet").startswith("there is no file none.parquet; check data.splits")


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "parquet"])
def test_an_address_of_an_unknown_kind_is_refused(kind: str) -> None:
    assert f"cannot read nowhere://a.{kind}: " in error(f"nowhere://a.{kind}")


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl", "parquet"])
def test_an_address_that_does_not_answer_is_told(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place = f"http://127.0.0.1:{port}/a.{kind}"
    assert f"cannot read {place}: " in error(place)
    with pytest.raises(DataError, match="cannot read http"):
        list(read_lines(f"{place}?raw=1"))


@pytest.mark.parametrize("kind", ["tsv", "parquet"])
def test_an_answer_that_ends_too_early_is_told(kind: str) -> None:
    class Half(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(b"de\ten\nja\tyes\n")

    with http.server.HTTPServer(("127.0.0.1", 0), Half) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_address[1]}/a.{kind}"
        assert f"cannot read {place}: " in error(place)
        server.shutdown()


@pytest.mark.parametrize("name", ["a.de", "a.tsv", "a.csv", "a.jsonl"])
def test_byte_order_marks_are_treated_alike(name: str) -> None:
    texts = {
        "a.de": "ja\nnein\n",
        "a.en": "yes\nno\n",
        "a.tsv": "de\ten\nja\tyes\nnein\tno\n",
        "a.csv": "de,en\nja,yes\nnein,no\n",
        "a.jsonl": '{"de": "ja", "en": "yes"}\n{"de": "nein", "en": "no"}\n',
    }
    expected = [("ja", "yes"), ("nein", "no")]
    for mark in ("", "\ufeff"):
        for file, text in texts.items():
            write(file, mark + text)
        assert read(name.removesuffix(".de")) == expected
    Path(name).write_text(texts[name], encoding="utf-16")
    assert error(name.removesuffix(".de")).startswith(f"{name} is UTF-16, not UTF-8; convert it")
