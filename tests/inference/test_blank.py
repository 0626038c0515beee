"""Lines without anything to translate: the line contract's blank, whatever the tokenizer."""

import sys
import unicodedata
from pathlib import Path

import pytest

import nmt
from nmt.config import TokenizerConfig
from nmt.data.encoding import ChunkEncoder
from nmt.errors import UsageError
from nmt.inference.next_words import predict
from nmt.inference.translator import Translator
from nmt.text.tokenizer import train_tokenizer
from tests.conftest import save_member

SPACES = [
    chr(code)
    for code in range(sys.maxunicode)
    if unicodedata.category(chr(code)) in ("Zs", "Zl", "Zp", "Cc", "Cf")
]
LINES = ["", " ", *SPACES, "\x85\x1c\r\u2003", "\t \u3000\x0b", "".join(SPACES)]


@pytest.fixture(scope="module", params=["unigram", "bpe", "char", "word"])
def translator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_run: Path
) -> Translator:
    """A model whose tokenizer has learned white space and control characters as text."""
    config = TokenizerConfig(request.param, vocabulary_size=300, normalization="identity")
    texts = [*(f"x{space}y {space} z" for space in SPACES if space != "\0"), "ein Hund schläft"]
    tokenizer, _ = train_tokenizer(config, [(text, text) for text in texts * 3])
    folder = tmp_path_factory.mktemp("blank") / "model"
    return nmt.load(save_member(tiny_run, folder, tokenizer=tokenizer))


def test_blank_lines_give_empty_ones(translator: Translator) -> None:
    assert len(SPACES) > 80
    assert any(translator.tokenizer.source.encode(LINES))  # they do have tokens
    for found in translator.translate([*LINES, "Hund"])[:-1]:
        assert (found.text, found.score, found.problem, found.failed) == ("", 0.0, None, False)
    (found,) = translator.translate(["\x85x"])
    assert found.score < 0


def test_a_blank_prefix_leaves_a_translation_free(translator: Translator) -> None:
    free = translator.translate(["Hund"] * len(LINES))
    assert translator.translate(["Hund"] * len(LINES), prefixes=LINES) == free


def test_nothing_comes_next_to_a_blank_sentence(translator: Translator) -> None:
    with pytest.raises(UsageError, match="has no words"):
        predict(translator, "\u2003\x85")


def test_blank_sides_are_encoded_as_empty(translator: Translator) -> None:
    chunk = ChunkEncoder(translator.tokenizer, {})([(line, "x") for line in LINES])
    assert set(chunk.features.lengths[0]) == {1}
