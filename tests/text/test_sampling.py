"""Sampled segmentations against SentencePiece's own, and against the text that they spell."""

import io
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

import nmt.text.sampling as sampling
from nmt.config import TokenizerConfig
from nmt.data.phrases import read_split
from nmt.errors import ConfigError
from nmt.text.sampling import (
    DroppedMerges,
    LikelySegmentations,
    SubwordSampler,
    make_samplers,
    merge,
)
from nmt.text.tokenizer import Tokenizer, Vocabulary, train_tokenizer

PAIRS = read_split("train")[:1000]
TEXTS = [text for pair in PAIRS for text in pair]
WORDS = sorted(
    {word for text in TEXTS for word in text.split()}, key=lambda word: (len(word), word)
)
STRENGTHS = {"unigram": 0.1, "bpe": 0.1}
DRAWS = 20_000


def learned(model: str, **settings: object) -> Tokenizer:
    values = {"model": model, "vocabulary_size": 600, **settings}
    return train_tokenizer(TokenizerConfig(**values), PAIRS)[0]  # type: ignore[arg-type]


def ready_made(vocab_size: int = 600, **settings: object) -> Vocabulary:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        vocab_size=vocab_size,
        minloglevel=2,
        **settings,
    )
    return Vocabulary(model.getvalue())


VOCABULARIES: dict[str, Vocabulary] = {
    "unigram": learned("unigram").source,
    "bpe": learned("bpe").source,
}
ODD = {
    "unigram in bytes": learned("unigram", byte_fallback=True, vocabulary_size=850).source,
    "bpe in bytes": learned("bpe", byte_fallback=True, vocabulary_size=850).source,
    "case folded": learned("unigram", normalization="nmt_nfkc_cf").source,
    "no prefix": ready_made(add_dummy_prefix=False),
    "spaces kept": ready_made(remove_extra_whitespaces=False),
    "spaces behind": ready_made(800, treat_whitespace_as_suffix=True),
    "pieces over spaces": ready_made(split_by_whitespace=False),
    "unigram with symbols": ready_made(user_defined_symbols=["<sep>", "ei"]),
    "bpe with symbols": ready_made(model_type="bpe", user_defined_symbols=["<sep>", "ei"]),
}


def processor(vocabulary: Vocabulary) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=vocabulary.model)


def sampler_of(vocabulary: Vocabulary) -> SubwordSampler:
    return SubwordSampler(vocabulary, STRENGTHS[vocabulary.kind])


SELDOM = {"no prefix", "spaces kept"}
"""SentencePiece would encode a word of theirs otherwise than within a sentence."""
SAMPLERS = {name: sampler_of(vocabulary) for name, vocabulary in (VOCABULARIES | ODD).items()}


def shares(rows: Iterable[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    counts = Counter(rows)
    return {row: count / counts.total() for row, count in counts.items()}


def assert_like_shares(
    found: dict[tuple[int, ...], float], expected: dict[tuple[int, ...], float], draws: int
) -> None:
    """Every share lies within five standard errors of what is expected."""
    for row in found.keys() | expected.keys():
        share, wanted = found.get(row, 0.0), expected.get(row, 0.0)
        error = (max(share, wanted) / draws) ** 0.5
        assert abs(share - wanted) <= 5 * error + 5 / draws, (row, share, wanted)


@pytest.fixture(scope="module")
def nonsense() -> Vocabulary:
    """A unigram vocabulary of many segmentations that are about as good."""
    chosen = random.Random(1)
    texts = ["".join(chosen.choices("abcd", k=chosen.randint(2, 9))) for _ in range(2000)]
    pairs = [(text, text) for text in texts]
    return train_tokenizer(TokenizerConfig(vocabulary_size=100), pairs)[0].source


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0])
@pytest.mark.parametrize(("word", "count"), [("abcd", 8), ("dabacadb", 63), ("dabacadbac", 64)])
def test_unigram_segmentations_come_as_often_as_sentencepieces_own(
    nonsense: Vocabulary, word: str, count: int, alpha: float
) -> None:
    (ids,) = nonsense.encode([word])
    choose = LikelySegmentations(nonsense, alpha)
    draws = np.random.default_rng(1).random(DRAWS)
    found = shares(tuple(choose(tuple(ids), draw)) for draw in draws.tolist())
    own = processor(nonsense)
    scored = {
        tuple(row): sum(map(own.get_score, row)) for row in own.nbest_encode(word, nbest_size=64)
    }
    weights = {row: np.exp(alpha * score) for row, score in scored.items()}
    total = sum(weights.values())
    assert len(weights) == count
    assert_like_shares(found, {row: w / total for row, w in weights.items()}, DRAWS)
    sentencepiece.set_random_generator_seed(1)
    rows = own.encode(
        [word] * DRAWS, enable_sampling=True, nbest_size=64, alpha=alpha, num_threads=1
    )
    assert_like_shares(found, shares(map(tuple, rows)), DRAWS // 2)


@pytest.mark.parametrize("probability", [0.1, 0.5])
@pytest.mark.parametrize("word", [WORDS[len(WORDS) // 2], WORDS[-1]])
def test_merges_are_left_out_as_often_as_by_sentencepiece(word: str, probability: float) -> None:
    vocabulary = VOCABULARIES["bpe"]
    pieces = vocabulary.learned_pieces()
    scores, ids = dict(pieces.values()), {piece: id_ for id_, (piece, _) in pieces.items()}
    generator = np.random.default_rng(1)
    found = shares(
        tuple(
            ids[piece]
            for piece in merge(f"▁{word}", scores, lambda: generator.random() < probability)
        )
        for _ in range(DRAWS)
    )
    sentencepiece.set_random_generator_seed(1)
    own = processor(vocabulary).encode(
        [word] * DRAWS, enable_sampling=True, nbest_size=-1, alpha=probability, num_threads=1
    )
    assert_like_shares(found, shares(map(tuple, own)), DRAWS // 2)
    assert len(found) > 2


def test_the_kept_segmentations_of_bpe_are_like_sentencepieces_in_all() -> None:
    """Each word has 64 at most; over many words, they are as long as SentencePiece's."""
    vocabulary = VOCABULARIES["bpe"]
    choose = DroppedMerges(vocabulary, 0.1)
    rows = vocabulary.encode(WORDS)
    mine = [len(choose(tuple(ids), number / 64)) for ids in rows for number in range(64)]
    sentencepiece.set_random_generator_seed(1)
    own = processor(vocabulary).encode(
        WORDS * 64, enable_sampling=True, nbest_size=-1, alpha=0.1, num_threads=1
    )
    assert np.mean(mine) == pytest.approx(np.mean([len(ids) for ids in own]), rel=0.01)
    assert np.mean(mine) > 1.1 * np.mean([len(ids) for ids in rows])


def merged_as_sentencepiece(vocabulary: Vocabulary, word: str) -> None:
    own = processor(vocabulary).encode(word, out_type=str)
    scores = dict(vocabulary.learned_pieces().values())
    assert merge("".join(own), scores, lambda: False) == own


def test_with_no_merge_left_out_bpe_is_sentencepieces_own() -> None:
    for word in WORDS:
        merged_as_sentencepiece(VOCABULARIES["bpe"], word)


@given(st.text(alphabet="abcdeinrstußüESD", min_size=1, max_size=30))
def test_with_no_merge_left_out_nonsense_is_merged_as_by_sentencepiece(word: str) -> None:
    merged_as_sentencepiece(VOCABULARIES["bpe"], word)


@pytest.mark.parametrize("name", VOCABULARIES | ODD)
@given(
    text=st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=8).map(" ".join)
    | st.text(alphabet="ae<sep> ▁　東Ǆﬁ½İ\u200b", max_size=30),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_what_is_sampled_spells_the_same_text(name: str, text: str, seed: int) -> None:
    vocabulary = (VOCABULARIES | ODD)[name]
    sampler = SAMPLERS[name]
    (ids,) = vocabulary.encode([text])
    sampled = sampler.sample(ids, np.random.default_rng(seed))
    assert vocabulary.decode([sampled]) == vocabulary.decode([ids])
    assert "".join(vocabulary.pieces(sampled)) == "".join(vocabulary.pieces(ids))
    assert [id_ for id_ in sampled if id_ == vocabulary.unk_id] == [
        id_ for id_ in ids if id_ == vocabulary.unk_id
    ]


@pytest.mark.parametrize("name", sorted(set(VOCABULARIES | ODD) - SELDOM))
def test_many_sentences_are_sampled(name: str) -> None:
    rows = (VOCABULARIES | ODD)[name].encode(TEXTS[:200])
    generator = np.random.default_rng(1)
    assert np.mean([SAMPLERS[name].sample(ids, generator) != ids for ids in rows]) > 0.3


def test_words_with_unknown_characters_or_bytes_stay_and_others_do_not() -> None:
    for name in ("unigram", "unigram in bytes", "bpe", "bpe in bytes"):
        vocabulary = (VOCABULARIES | ODD)[name]
        odd, plain = f"{WORDS[-1]}東", " ".join(WORDS[-5:])
        (ids,), (kept,) = vocabulary.encode([f"{odd} {plain}"]), vocabulary.encode([odd])
        generator = np.random.default_rng(1)
        rows = [SAMPLERS[name].sample(ids, generator) for _ in range(50)]
        assert all(row[: len(kept)] == kept for row in rows)
        assert len({tuple(row) for row in rows}) > 5


def test_a_large_exponent_gives_the_best_segmentation_always() -> None:
    vocabulary = VOCABULARIES["unigram"]
    sampler = SubwordSampler(vocabulary, 1e4)
    generator = np.random.default_rng(1)
    rows = vocabulary.encode(TEXTS)
    assert [sampler.sample(ids, generator) for ids in rows] == rows


@pytest.mark.parametrize("change", [pickle.dumps, None])
@pytest.mark.parametrize("name", VOCABULARIES)
def test_what_is_drawn_depends_on_the_generator_alone(
    name: str, change: Callable[[object], bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on what the cache has met before, and not on its size."""
    rows = VOCABULARIES[name].encode(TEXTS[:50])
    expected = [SAMPLERS[name].sample(ids, np.random.default_rng(i)) for i, ids in enumerate(rows)]
    monkeypatch.setattr(sampling, "_CACHED_WORDS", 1)
    monkeypatch.setattr(sampling, "_CACHED_SEGMENTATIONS", 1)
    new = sampler_of(VOCABULARIES[name]) if change is None else pickle.loads(change(SAMPLERS[name]))
    for i in reversed(range(50)):
        assert new.sample(rows[i], np.random.default_rng(i)) == expected[i]


def test_sides_that_share_a_vocabulary_share_the_sampler() -> None:
    source, target = make_samplers(learned("bpe", target_normalization="nmt_nfkc"), 0.1)
    assert source is target
    source, target = make_samplers(learned("bpe", shared=False), 0.1)
    assert source is not target


@pytest.mark.parametrize(
    ("model", "strength", "told"),
    [
        ("char", 0.1, "a char tokenizer has one segmentation of a word"),
        ("word", 0.1, "a word tokenizer has one segmentation of a word"),
        ("bpe", 1.5, "with a bpe tokenizer it is a probability"),
    ],
)
def test_a_ready_made_vocabulary_is_judged_by_what_it_is(
    model: str, strength: float, told: str
) -> None:
    with pytest.raises(ConfigError, match=rf"subword_sampling: {strength} is refused: {told}"):
        make_samplers(learned(model), strength)
