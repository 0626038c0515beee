import random
from pathlib import Path

import pytest
import sentencepiece

from nmt.config import TokenizerConfig
from nmt.errors import BundleError, ConfigError, DataError
from nmt.text.tokenizer import Vocabulary, load_tokenizer, train_tokenizer

PAIRS = [
    ("der alte hund sieht die katze", "the old dog sees the cat"),
    ("ein mann liest ein buch", "a man reads a book"),
    ("heute ist es kalt im haus", "today it is cold in the house"),
    ("die frau geht nach hause", "the woman goes home"),
] * 20


def config(**settings: object) -> TokenizerConfig:
    return TokenizerConfig(**{"vocabulary_size": 60, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["unigram", "bpe", "char", "word"])
@pytest.mark.parametrize("shared", [True, False])
def test_every_model_brings_its_own_text_back(model: str, shared: bool) -> None:
    tokenizer, _ = train_tokenizer(config(model=model, shared=shared), PAIRS)
    assert tokenizer.shared == shared
    for side, vocabulary in enumerate((tokenizer.source, tokenizer.target)):
        texts = [pair[side] for pair in PAIRS[:4]]
        assert vocabulary.decode(vocabulary.encode(texts)) == texts
        assert len(vocabulary) <= 60
        flat = {id_ for ids in vocabulary.encode(texts) for id_ in ids}
        assert not flat & {vocabulary.bos_id, vocabulary.eos_id}


@pytest.mark.parametrize("byte_fallback", [False, True])
def test_tokens_know_their_words(byte_fallback: bool) -> None:
    """Of a text, those between its spaces; of what a model wrote, those of the decoded text."""
    vocabulary = train_tokenizer(config(vocabulary_size=350, byte_fallback=byte_fallback), PAIRS)[
        0
    ].target
    for text in ["the old  dog", " a man ☃reads☃ ", "☃", "the c a t s"]:
        words = vocabulary.spelled_words(text)
        assert len(words) == len(vocabulary.encode([text])[0])
        assert words[0] == 0 and words[-1] == len(text.split()) - 1
        assert words == sorted(words)
    generator = random.Random(1)
    pieces = range(4, len(vocabulary))
    space = vocabulary.encode(["☃"])[0][0]  # a lone ▁
    for _ in range(300):
        choices = [generator.choice(pieces), space, vocabulary.unk_id]
        ids = [generator.choice(choices) for _ in range(generator.randrange(1, 9))]
        words = vocabulary.decoded_words(ids)
        number = len(vocabulary.decode([ids])[0].split())
        assert len(words) == len(ids) and words == sorted(words)
        assert words[-1] == max(number - 1, 0)
    assert vocabulary.decoded_words([]) == [] == vocabulary.spelled_words("")


def test_an_unknown_token_may_be_several_words() -> None:
    vocabulary = train_tokenizer(config(model="word"), PAIRS)[0].source
    text = "heute sieht Ulla Müller ein haus"
    assert vocabulary.encode([text])[0].count(vocabulary.unk_id) == 1
    assert vocabulary.spelled_words(text) == [0, 1, 2, 4, 5]


def test_one_vocabulary_a_side_sees_only_its_side() -> None:
    tokenizer, _ = train_tokenizer(config(model="word", shared=False), PAIRS)
    unknown = 1
    assert unknown in tokenizer.source.encode(["the"])[0]
    assert unknown not in tokenizer.target.encode(["the"])[0]


@pytest.mark.parametrize("model", ["unigram", "bpe", "char"])
def test_byte_fallback_spells_what_was_never_seen(model: str) -> None:
    tokenizer, _ = train_tokenizer(
        config(model=model, byte_fallback=True, vocabulary_size=320), PAIRS
    )
    texts = ["zürich 東京"]
    assert tokenizer.source.decode(tokenizer.source.encode(texts)) == texts


def test_normalisation_is_chosen() -> None:
    folded, _ = train_tokenizer(config(normalization="nmt_nfkc_cf"), PAIRS)
    plain, _ = train_tokenizer(config(normalization="identity"), PAIRS)
    text = ["der  HUND"]
    assert folded.source.decode(folded.source.encode(text)) == ["der hund"]
    assert plain.source.decode(plain.source.encode(text)) != ["der hund"]


def test_a_vocabulary_too_large_is_lowered_and_said() -> None:
    tokenizer, notes = train_tokenizer(config(vocabulary_size=9000), PAIRS)
    assert len(tokenizer.source) < 9000
    assert notes == [
        "tokenizer.vocabulary_size 9000 exceeds the pieces of the corpus: "
        f"the shared vocabulary has {len(tokenizer.source)} pieces"
    ]
    _, notes = train_tokenizer(config(vocabulary_size=40), PAIRS)
    assert notes == []


def test_a_vocabulary_too_small_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tokenizer.vocabulary_size: 9 is too small .* at least"):
        train_tokenizer(config(vocabulary_size=9), PAIRS)
    with pytest.raises(ConfigError, match=r"tokenizer.vocabulary_size: 60 is too small"):
        train_tokenizer(config(model="char", byte_fallback=True), PAIRS)


def test_no_text_is_refused() -> None:
    with pytest.raises(DataError, match="no text to learn a tokenizer from"):
        train_tokenizer(config(), [("", " ")])


@pytest.mark.parametrize("letters", ["ein alter hund ", "αλφα βητα ", "一只狗在雪地里奔跑"])
def test_long_texts_are_learned_too(letters: str) -> None:
    """SentencePiece skips lines of more than 4,192 bytes."""
    long = letters * (9000 // len(letters))
    tokenizer, _ = train_tokenizer(config(vocabulary_size=90), [*PAIRS, (long, long)])
    assert tokenizer.source.unk_id not in tokenizer.source.encode([letters])[0]


def test_training_twice_gives_the_same_bytes() -> None:
    first, _ = train_tokenizer(config(), PAIRS)
    second, _ = train_tokenizer(config(), PAIRS)
    assert first.source.model == second.source.model


@pytest.mark.parametrize("shared", [True, False])
def test_saved_tokenizers_load_from_their_folder(tmp_path: Path, shared: bool) -> None:
    tokenizer, _ = train_tokenizer(config(shared=shared), PAIRS)
    tokenizer.save(tmp_path)
    loaded, notes = train_tokenizer(TokenizerConfig(path=str(tmp_path)), [])
    assert loaded.shared == shared and notes == []
    _, notes = train_tokenizer(config(path=str(tmp_path), byte_fallback=True), [])
    told = "without tokenizer.vocabulary_size, tokenizer.byte_fallback"
    assert notes == [f"tokenizer.path: it is used as it is, {told}"]
    assert loaded.source.model == tokenizer.source.model
    assert loaded.target.model == tokenizer.target.model


def test_a_ready_made_model_keeps_its_own_special_ids(tmp_path: Path) -> None:
    texts = (text for pair in PAIRS for text in pair)
    prefix = str(tmp_path / "own")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts, model_prefix=prefix, vocab_size=45, minloglevel=2
    )
    tokenizer = load_tokenizer(Path(f"{prefix}.model"))
    assert (tokenizer.source.bos_id, tokenizer.source.eos_id) == (1, 2)  # SentencePiece's defaults
    assert tokenizer.shared


def test_what_is_no_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot read .*/no: No such file"):
        load_tokenizer(tmp_path / "no")
    (tmp_path / "bad.model").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match=r"bad.model is not a SentencePiece model"):
        load_tokenizer(tmp_path / "bad.model")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(text for pair in PAIRS for text in pair),
        model_prefix=str(tmp_path / "plain"),
        vocab_size=45,
        bos_id=-1,
        minloglevel=2,
    )
    with pytest.raises(BundleError, match=r"plain.model has no piece <s>"):
        load_tokenizer(tmp_path / "plain.model")


def test_generated_line_breaks_become_spaces() -> None:
    tokenizer, _ = train_tokenizer(config(byte_fallback=True, vocabulary_size=320), PAIRS)
    vocabulary: Vocabulary = tokenizer.target
    newline = next(i for i in range(len(vocabulary)) if vocabulary.pieces([i]) == ["<0x0A>"])
    ids = vocabulary.encode(["the dog"])[0]
    assert vocabulary.decode([[*ids, newline, *ids]]) == ["the dog  the dog"]


LOSSY = "，？！（）： m² ½ ① ｶﾅ １２３ ﬁnd … ™ Å e\u0301 a\u00a0b x\u3000y z\u200bw 한"


@pytest.mark.parametrize("model", ["unigram", "bpe", "char", "word"])
@pytest.mark.parametrize("shared", [True, False])
def test_the_target_comes_back_as_it_was_and_the_source_is_normalised(
    model: str, shared: bool, tmp_path: Path
) -> None:
    pairs = [*PAIRS, *[(LOSSY, LOSSY)] * 5]
    tokenizer, _ = train_tokenizer(config(model=model, shared=shared, vocabulary_size=300), pairs)
    assert tokenizer.target.decode(tokenizer.target.encode([LOSSY])) == [LOSSY]
    (source,) = tokenizer.source.decode(tokenizer.source.encode([LOSSY]))
    expected = sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc")
    assert source.replace(" ", "▁") == expected.normalize(LOSSY).strip("▁")
    tokenizer.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.shared == tokenizer.shared == shared
    for before, after in ((tokenizer.source, loaded.source), (tokenizer.target, loaded.target)):
        assert before.encode([LOSSY]) == after.encode([LOSSY])


def test_sides_without_anything_to_normalise_get_the_pieces_of_one_rule() -> None:
    one, _ = train_tokenizer(config(target_normalization="nmt_nfkc"), PAIRS)
    two, _ = train_tokenizer(config(), PAIRS)
    assert one.source is one.target and two.source is not two.target and two.shared
    names = [side.pieces(range(len(side))) for side in (one.source, two.source, two.target)]
    assert names[0] == names[1] == names[2]
