"""Translations that begin as they must, from raw text to raw text."""

import random
from pathlib import Path

import pytest
import torch

import nmt
from nmt.config import Config, ModelConfig, TokenizerConfig, load_config
from nmt.data.phrases import read_split
from nmt.errors import UsageError
from nmt.inference.prefixes import completed, completed_words, encode_prefixes
from nmt.inference.translator import Translator
from nmt.models.seq2seq import Seq2Seq
from nmt.text.tokenizer import train_tokenizer
from nmt.training.data_module import TranslationData
from nmt.training.fit import fit_briefly
from tests.conftest import save_member

SENTENCES = ["Der Hund schläft.", "Maria möchte schwimmen.", "Der Vogel singt.", "Peter geht."]
PREFIXES = ["The dog", "", "Łukasz\tand the", "Peter  goes."]
BEGINNINGS = ["The dog", "", "Łukasz and the", "Peter  goes."]
SEARCHES: list[dict[str, object]] = [
    {"greedy": True},
    {},
    {"beam_size": 4, "n_best": 3},
    {"sample": True, "n_best": 2, "top_k": 9},
    {"prune": 1.0, "length_penalty": 0.0},
]


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return nmt.load(str(tiny_run))


@pytest.fixture(scope="module")
def attentive(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_member(tiny_run, tmp_path_factory.mktemp("members") / "attentive")


@pytest.mark.parametrize("settings", SEARCHES)
def test_every_candidate_begins_as_it_must(
    translator: Translator, settings: dict[str, object]
) -> None:
    found = translator.translate(SENTENCES, prefixes=PREFIXES, **settings)
    for one, beginning in zip(found, BEGINNINGS, strict=True):
        for candidate in one.n_best:
            assert candidate.text.startswith(beginning)
            rest = candidate.text[len(beginning) :]
            assert beginning in ("", "Peter  goes.") or not rest[:1].isalnum()
    (free,) = translator.translate(SENTENCES[1:2], **settings)
    assert free.text == found[1].text


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("members", [0, 1])
def test_scores_are_those_of_forced_decoding(
    tiny_run: Path, attentive: Path, precision: str, members: int
) -> None:
    translator = nmt.load(str(tiny_run), ensemble=[attentive] * members, precision=precision)
    found = translator.translate(SENTENCES, prefixes=PREFIXES, beam_size=4, n_best=4)
    pairs = [
        (sentence, one)
        for sentence, every in zip(SENTENCES, found, strict=True)
        for one in every.n_best
    ]
    scores = translator.score([sentence for sentence, _ in pairs], [one.text for _, one in pairs])
    # A model may spell a text in other pieces than the tokenizer does.
    same = [abs(score - one.score) < 1e-3 for score, (_, one) in zip(scores, pairs, strict=True)]
    assert sum(same) >= len(pairs) // 4


@pytest.mark.slow
def test_a_prefix_of_ones_own_translation_changes_nothing(tiny_config: Path) -> None:
    bundle = fit_briefly(
        TranslationData(load_config(tiny_config, ["--training.schedule", "constant"])), 250
    )
    translator = Translator(bundle.model, bundle.tokenizer, bundle.config)
    target, checked = translator.tokenizer.target, 0
    sentences = [source for source, _ in read_split("validation")[:30]]
    for one, sentence in zip(translator.translate(sentences, greedy=True), sentences, strict=True):
        words = one.text.split()
        for number in range(1, len(words)):
            prefix = " ".join(words[:number])
            (ids,), (whole,) = target.encode([prefix]), target.encode([one.text])
            if whole[: len(ids)] != ids or target.decode([whole]) != [one.text]:
                continue
            (again,) = translator.translate([sentence], prefixes=[prefix], greedy=True)
            score = translator.score([sentence], [one.text])[0]
            if abs(score - one.score) < 1e-3:  # it was written in the tokenizer's own pieces
                assert again.text == one.text
                assert again.score == pytest.approx(one.score, abs=1e-4)
                checked += 1
    assert checked


@pytest.mark.parametrize("settings", SEARCHES)
def test_empty_prefixes_are_none(translator: Translator, settings: dict[str, object]) -> None:
    plain = translator.translate(SENTENCES, **settings)
    assert translator.translate(SENTENCES, prefixes=["", " ", "\u200b", ""], **settings) == plain


@pytest.mark.parametrize("settings", [{"greedy": True}, {}, {"n_best": 3}, {"sample": True}])
@pytest.mark.parametrize("attention", ["none", "general"])
def test_a_batch_changes_nothing(settings: dict[str, object], attention: str) -> None:
    words = [f"wort{number}" for number in range(30)]
    generator = random.Random(5)
    texts = [" ".join(generator.choices(words, k=generator.randrange(0, 9))) for _ in range(30)]
    begun = [" ".join(generator.choices(words, k=generator.randrange(0, 3))) for _ in texts]
    config = Config(
        model=ModelConfig(
            attention=attention,  # type: ignore[arg-type]
            embedding_size=12,
            hidden_size=16,
        )
    )
    tokenizer, _ = train_tokenizer(
        TokenizerConfig(vocabulary_size=60), [(text, text) for text in texts]
    )
    torch.manual_seed(1)
    sizes = {"source_size": len(tokenizer.source), "target_size": len(tokenizer.target)}
    network = Seq2Seq(config.model, **sizes, shared=True).eval()
    translator = Translator(network, tokenizer, config)
    whole = translator.translate(texts, prefixes=begun, batch_size=64, **settings)
    single = translator.translate(texts, prefixes=begun, batch_size=1, **settings)
    backwards = translator.translate(texts[::-1], prefixes=begun[::-1], batch_size=7, **settings)[
        ::-1
    ]
    for one, other, third in zip(whole, single, backwards, strict=True):
        assert one.text == other.text == third.text
        assert one.score == pytest.approx(other.score, abs=1e-2)
        assert one.problem == other.problem == third.problem
    assert sum(one.text.startswith(prefix) for one, prefix in zip(whole, begun, strict=True)) > 20


def test_a_shortlist_is_for_free_translations_alone(translator: Translator) -> None:
    """A prefix may hold rare pieces, and must not change what its neighbours become."""
    found = translator.translate(SENTENCES, prefixes=PREFIXES, shortlist=20)
    assert [one.text for one in found[:1]] == [
        one.text
        for one in translator.translate(SENTENCES[:1], prefixes=PREFIXES[:1], shortlist=None)
    ]
    assert found[1] == translator.translate(SENTENCES[1:2], shortlist=20)[0]


def test_alignments_name_words_of_the_whole_text(attentive: Path) -> None:
    translator = nmt.load(str(attentive))
    found = translator.translate(
        SENTENCES, prefixes=PREFIXES, alignments=True, max_length_ratio=1.5, greedy=True
    )
    for one, sentence in zip(found, SENTENCES, strict=True):
        links = one.n_best[0].alignment
        assert links is not None
        words = [target for _, target in links]
        assert words == sorted(set(words))
        assert all(target < len(one.text.split()) for target in words)
        assert all(source < len(sentence.split()) for source, _ in links)


@pytest.mark.parametrize("text", ["The dog\u00a0", "\u3000The\tdog", "The dog\u2028", " The dog"])
def test_spaces_of_any_kind_around_words_change_nothing(translator: Translator, text: str) -> None:
    (found,) = translator.translate(SENTENCES[:1], prefixes=[text])
    assert found == translator.translate(SENTENCES[:1], prefixes=["The dog"])[0]
    assert found.text.startswith("The dog") and found.problem is None


def test_words_are_counted_as_the_text_has_them_after_an_unknown_token() -> None:
    pairs = list(read_split("train"))[:200]
    vocabulary = train_tokenizer(TokenizerConfig(vocabulary_size=200), pairs)[0].target
    for begin, rest in [
        ("A 😀", ", a man"),
        ("A 😀 b", " the dog"),
        ("😀", "s"),
        ("The", " dog 😀 ."),
    ]:
        (prefix,) = encode_prefixes(vocabulary, [begin])
        tokens = vocabulary.encode([begin + rest])[0][len(prefix.tokens) :]
        whole = [*prefix.tokens, *tokens]
        words = completed_words(prefix, whole, vocabulary)
        text = completed(prefix, whole, vocabulary)
        assert len(words) == len(whole) and words == sorted(words)
        assert words[-1] == len(text.split()) - 1


def test_what_cannot_begin_so_is_a_problem_of_its_line(translator: Translator) -> None:
    sentences = ["Hund", "", "Hund", "   "]
    found = translator.translate(sentences, prefixes=["a dog " * 50, "A dog", "A dog", ""])
    assert [(one.text != "", one.failed) for one in found] == [
        (False, True),
        (False, False),
        (True, False),
        (False, False),
    ]
    tokens = len(translator.tokenizer.target.encode(["a dog " * 50])[0])
    limit = 2 * (len(translator.tokenizer.source.encode(["Hund"])[0]) + 1) + 10
    assert found[0].problem == (
        f"a prefix of {tokens} tokens leaves no room: the translation may have {limit}, its end "
        "included; raise max_length_ratio"
    )
    assert found[1].problem == "the source is empty: its translation is empty and has no prefix"
    assert found[3].problem is None


def test_as_many_prefixes_as_sentences(translator: Translator) -> None:
    with pytest.raises(UsageError, match="prefixes: 1 for 2 sentences"):
        translator.translate(["a", "b"], prefixes=["c"])
