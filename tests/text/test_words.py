import pytest

from nmt.config import TokenizerConfig
from nmt.text.tokenizer import Vocabulary, train_tokenizer
from nmt.text.words import WordPieces, ends_open

TEXTS = [
    "A dog is sleeping.",
    "Ein Hund, 3 Hunde!",
    "कुत्ता सोता है",
    "犬は寝ている。",
    "개가 잔다",
] * 3


def vocabulary(model: str, *, byte_fallback: bool = False) -> Vocabulary:
    config = TokenizerConfig(
        vocabulary_size=400,
        model=model,  # type: ignore[arg-type]
        byte_fallback=byte_fallback,
        shared=True,
    )
    return train_tokenizer(config, [(text, text) for text in TEXTS])[0].target


def test_kinds_of_characters() -> None:
    found = vocabulary("char")
    kinds = WordPieces.of(found)
    by_piece = {piece: id_ for id_, piece in enumerate(found.pieces(range(len(found))))}

    def kind(piece: str) -> str:
        id_ = by_piece[piece]
        return "".join(
            name
            for name, flags in [
                ("b", kinds.begins),
                ("g", kinds.goes_on),
                ("o", kinds.stays_open),
                ("_", kinds.blank),
            ]
            if flags[id_]
        )

    assert {kind(piece) for piece in "dH3कु개"} == {"go"}  # letters, digits, vowel signs
    assert {kind(piece) for piece in ".,!犬は。"} == {"b"}
    assert kind("▁") == "b_"
    assert {kind(piece) for piece in ("</s>", "<s>", "<pad>")} == {""}
    assert kind("<unk>") == "b"  # it is decoded as a word of its own


def test_longer_pieces_and_bytes() -> None:
    found = vocabulary("bpe", byte_fallback=True)
    kinds = WordPieces.of(found)
    pieces = found.pieces(range(len(found)))
    whole = pieces.index("▁dog") if "▁dog" in pieces else pieces.index("▁is")
    assert (kinds.begins[whole], kinds.goes_on[whole], kinds.stays_open[whole]) == (1, 0, 1)
    byte = pieces.index("<0xC3>")
    assert (kinds.begins[byte], kinds.goes_on[byte], kinds.stays_open[byte]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("text", "is_open"),
    [("A dog", True), ("A dog ", True), ("A dog.", False), ("", False), ("犬", False), ("3", True)],
)
@pytest.mark.parametrize("model", ["char", "bpe", "unigram", "word"])
def test_which_texts_end_in_a_word_that_could_go_on(model: str, text: str, is_open: bool) -> None:
    assert ends_open(vocabulary(model).spelled(text)) is is_open


def test_an_unknown_letter_is_a_letter() -> None:
    for byte_fallback in (False, True):
        found = vocabulary("bpe", byte_fallback=byte_fallback)
        assert ends_open(found.spelled("A Łó"))
