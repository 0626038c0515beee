"""`nmt predict` from the command line."""

import json
import re
from pathlib import Path

import pytest

import nmt as package
from nmt.inference.next_words import predict
from tests.conftest import Command, save_member


def test_the_next_words_and_all_else_make_a_hundred_percent(nmt: Command, tiny_run: Path) -> None:
    result = nmt("predict", tiny_run, "Der Hund schläft.", "--prefix", "The dog", "--top", "4")
    assert result.code == 0, result.err
    first, *rows = result.out.rstrip("\n").split("\n")
    found = predict(package.load(str(tiny_run)), "Der Hund schläft.", "The dog", top=4)
    assert first == f"after 'The dog' (log-probability {found.prefix_score:.4f})"
    assert [row[11:] for row in rows[:4]] == [guess.text for guess in found.guesses]
    assert "(the end of the sentence)" in rows[4] and "('dog' goes on)" in rows[5]
    assert re.search(r"\(other words", rows[6]) and len(rows) == 7
    shares = [float(row.split("%")[0].strip(" <>")) for row in rows]
    assert sum(shares) == pytest.approx(100, abs=0.1)


def test_the_decoder_alone_says_so(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    alone = nmt("predict", tiny_run, "--prefix", "The", "--top", "2")
    assert alone.code == 0, alone.err
    assert alone.out.startswith("no source: the decoder alone, from a zero state\nafter 'The' (")
    with_source = nmt("predict", tiny_run, "Hund", "--prefix", "The", "--top", "2")
    assert alone.out.split("\n")[1:] != with_source.out.split("\n")
    attentive = save_member(tiny_run, tmp_path / "attentive")
    refused = nmt("predict", attentive, "--prefix", "The")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "nmt: error: TEXT: a model with attention" in refused.err


def test_json_holds_what_python_returns(nmt: Command, tiny_run: Path, tmp_path: Path) -> None:
    words = ["predict", tiny_run, "Hund", "--prefix", "The", "--pieces", "--top", "3"]
    result = nmt(*words, "--json", "-")
    row = json.loads(result.out)
    assert "(the end of the sentence)" in result.err
    found = predict(package.load(str(tiny_run)), "Hund", "The", top=3, pieces=True)
    assert row["source"] == "Hund" and row["unit"] == "piece" and row["prefix"] == "The"
    assert [guess["text"] for guess in row["guesses"]] == [one.text for one in found.guesses]
    assert row["end"] == pytest.approx(found.end)
    assert nmt(*words, "--json", tmp_path / "out.json").out == result.err
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8")) == row
    refused = nmt(*words, "--json", tmp_path / "no" / "out.json")
    assert refused.code == 2 and "there is no folder " in refused.err


def test_ensembles_and_int8_predict(nmt: Command, tiny_run: Path) -> None:
    for words in (["--precision", "int8"], ["--ensemble", tiny_run]):
        for text in (["Hund"], []):
            result = nmt("predict", tiny_run, *text, "--prefix", "The", *words)
            assert result.code == 0, result.err
    refused = nmt("predict", tiny_run, "Hund", "--top", "0")
    assert refused.code == 2 and "top: 0 " in refused.err
    blank = nmt("predict", tiny_run, " ")
    assert blank.code == 2 and "' ' has no words" in blank.err
