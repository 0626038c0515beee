"""Next words against brute force over all sequences of pieces, and by hand."""

import itertools
import re
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nmt.bundle import build_model
from nmt.config import Config, ModelConfig, TokenizerConfig
from nmt.decoding.ensemble import Ensemble
from nmt.errors import UsageError
from nmt.inference.engine import fast_engine
from nmt.inference.next_words import Prediction, predict
from nmt.inference.translator import Translator
from nmt.models.batch import Padded, pad
from nmt.models.seq2seq import Seq2Seq
from nmt.text.tokenizer import Tokenizer, Vocabulary, train_tokenizer

TEXTS = ["ab a ba.", "b ab, ba a", "a abba b b.", "ba bab ab."]
APART = ["ab a ba .", "b ab , ba a", "ba bab ab ."]  # no word holds a sign


@dataclass(frozen=True)
class LastToken:
    """All that this state holds is how many rows there are."""

    rows: int
    coverage: None = None

    def select(self, rows: Tensor) -> "LastToken":
        return LastToken(len(rows))


class Bigrams:
    """Predicts each piece from the one before it."""

    attends = False

    def __init__(self, table: Tensor):
        self.table = table.log_softmax(-1)

    def start(self, source: Padded) -> LastToken:
        return LastToken(len(source.lengths))

    def step(self, tokens: Tensor, state: LastToken) -> tuple[Tensor, LastToken]:
        assert len(tokens) == state.rows
        return self.table[tokens], state


def tokenizer(model: str, texts: list[str] = TEXTS, **settings: object) -> Tokenizer:
    config = TokenizerConfig(vocabulary_size=14, model=model, **settings)  # type: ignore[arg-type]
    return train_tokenizer(config, [(text, text) for text in texts])[0]


def bigrams(vocabulary: Vocabulary, seed: int) -> Bigrams:
    generator = torch.Generator().manual_seed(seed)
    return Bigrams(2 * torch.randn(len(vocabulary), len(vocabulary), generator=generator))


def brute_force(
    vocabulary: Vocabulary, model: Bigrams, prefix: str, least: float
) -> tuple[dict[str, float], float]:
    """Probabilities of all next words, read off the text of every likely sequence of pieces.

    Keys are words, "</s>" for the end, "+" where the prefix's word goes on. What is not known yet
    when a sequence gets less likely than `least` is added up beside.
    """
    given = vocabulary.encode([prefix])[0]
    before = vocabulary.decode([given])[0]
    silent = {vocabulary.bos_id, 0}
    found: dict[str, float] = {}
    unknown = 0.0
    stack: list[tuple[list[int], float]] = [([], 1.0)]
    while stack:
        written, probability = stack.pop()
        last = (written or given or [vocabulary.bos_id])[-1]
        for token, log_prob in enumerate(model.table[last].tolist()):
            reached = probability * torch.tensor(log_prob).exp().item()
            if token in silent:
                continue
            tokens = [*given, *written, *([] if token == vocabulary.eos_id else [token])]
            text = vocabulary.decode([tokens])[0][len(before) :]
            if re.search(r"\w$", prefix) and re.match(r"\w", text):
                found["+"] = found.get("+", 0) + reached
                continue
            word = re.match(r"\s*(\w+|[^\w\s])", text)
            over = token == vocabulary.eos_id
            if over and word is None:
                found["</s>"] = found.get("</s>", 0) + reached
            elif word and (over or word.end() < len(text) or vocabulary_ends(vocabulary, token)):
                found[word[1]] = found.get(word[1], 0) + reached
            elif reached < least:
                unknown += reached
            else:
                stack.append(([*written, token], reached))
    return found, unknown


def vocabulary_ends(vocabulary: Vocabulary, token: int) -> bool:
    """Whether a piece is a sign that is a word of its own, or a space behind a word."""
    return not re.search(r"\w$", vocabulary.pieces([token])[0].replace("<unk>", "?"))


def check(found: Prediction, expected: dict[str, float], unknown: float) -> None:
    slack = found.unexplored + unknown + 1e-6
    for guess in found.guesses:
        assert guess.probability == pytest.approx(expected[guess.text], abs=slack)
    assert found.end == pytest.approx(expected.get("</s>", 0.0), abs=slack)
    assert found.goes_on == pytest.approx(expected.get("+", 0.0), abs=slack)
    words = {word: p for word, p in expected.items() if word not in ("</s>", "+")}
    ranked = sorted(words, key=lambda word: -words[word])[: len(found.guesses)]
    assert [guess.text for guess in found.guesses] == ranked
    shown = sum(guess.probability for guess in found.guesses)
    assert shown + found.end + found.goes_on + found.others == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("model", ["char", "bpe", "unigram", "word"])
@pytest.mark.parametrize("prefix", ["", "ab", "a.", "a x"])
def test_words_are_those_of_brute_force(model: str, prefix: str) -> None:
    pieces = tokenizer(model, APART if model == "word" else TEXTS)
    stepper = bigrams(pieces.target, seed=3)
    translator = Translator(stepper, pieces, Config())
    found = predict(translator, None, prefix, top=5)
    assert found.unexplored < 1e-3
    check(found, *brute_force(pieces.target, stepper, prefix, 1e-5))
    given = [pieces.target.bos_id, *pieces.target.encode([prefix])[0]]
    score = sum(stepper.table[a, b].item() for a, b in itertools.pairwise(given))
    assert found.prefix_score == pytest.approx(score, abs=1e-5)


def test_what_is_not_looked_into_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.inference.next_words._LEAST", 0.05)
    pieces = tokenizer("bpe")
    stepper = bigrams(pieces.target, seed=3)
    found = predict(Translator(stepper, pieces, Config()), None, "ab", top=50)
    expected, unknown = brute_force(pieces.target, stepper, "ab", 1e-5)
    assert 0.02 < found.unexplored <= found.others
    for guess in found.guesses:
        real = expected[guess.text]
        assert guess.probability - 1e-6 <= real <= guess.probability + found.unexplored + unknown


def chain(vocabulary: Vocabulary, links: dict[tuple[str, str], float]) -> Bigrams:
    """A model of few links between pieces, with their probabilities."""
    pieces = vocabulary.pieces(range(len(vocabulary)))
    table = torch.full((len(pieces), len(pieces)), -80.0)
    for (last, following), probability in links.items():
        table[pieces.index(last), pieces.index(following)] = torch.tensor(probability).log()
    return Bigrams(table)


def test_bytes_are_letters_and_spellings_add_up() -> None:
    pieces = tokenizer("char", byte_fallback=False)
    links = {
        ("<s>", "▁"): 0.7,
        ("<s>", "a"): 0.3,  # the same word without its space
        ("▁", "a"): 1.0,
        ("a", "."): 0.25,
        ("a", "b"): 0.75,
        ("b", "</s>"): 1.0,
    }
    found = predict(Translator(chain(pieces.target, links), pieces, Config()), None)
    assert [(one.text, pytest.approx(one.probability)) for one in found.guesses[:2]] == [
        ("ab", 0.75),
        ("a", 0.25),
    ]
    pieces = train_tokenizer(
        TokenizerConfig(vocabulary_size=280, model="bpe", byte_fallback=True),
        [(text, text) for text in TEXTS],
    )[0]
    links = {
        ("<s>", "▁"): 1.0,
        ("▁", "<0xC3>"): 0.5,
        ("▁", "a"): 0.5,
        ("a", "<0xC3>"): 0.5,
        ("a", "</s>"): 0.5,
        ("▁a", "<0xC3>"): 0.5,
        ("▁a", "</s>"): 0.5,
        ("<0xC3>", "<0xA9>"): 1.0,
        ("<0xA9>", "▁"): 0.75,
        ("<0xA9>", "</s>"): 0.25,
    }
    found = predict(Translator(chain(pieces.target, links), pieces, Config()), None)
    assert {one.text: round(one.probability, 6) for one in found.guesses[:3]} == {
        "é": 0.5,
        "a": 0.25,
        "aé": 0.25,
    }
    behind = predict(Translator(chain(pieces.target, links), pieces, Config()), None, "a")
    assert behind.goes_on == pytest.approx(0.5) and behind.end == pytest.approx(0.5)


def test_single_pieces_are_the_models_own() -> None:
    pieces = tokenizer("bpe")
    stepper = bigrams(pieces.target, seed=5)
    found = predict(Translator(stepper, pieces, Config()), "a", "ab", pieces=True, top=100)
    (*_, last) = pieces.target.encode(["ab"])[0]
    names = pieces.target.pieces(range(len(pieces.target)))
    expected = dict(zip(names, stepper.table[last].exp().tolist(), strict=True))
    assert found.end == pytest.approx(expected.pop("</s>"), abs=1e-6)
    assert {one.text: one.probability for one in found.guesses} == pytest.approx(expected, abs=1e-6)
    assert found.others == pytest.approx(0, abs=1e-6)


def network(pieces: Tokenizer, **settings: object) -> tuple[Seq2Seq, ModelConfig]:
    torch.manual_seed(7)
    config = ModelConfig(
        layers=2,
        embedding_size=6,
        hidden_size=8,
        **settings,  # type: ignore[arg-type]
    )
    return build_model(Config(model=config), pieces).eval(), config


@pytest.mark.parametrize("cell", ["lstm", "gru", "tanh", "relu"])
@pytest.mark.parametrize("feed_context", [False, True])
@torch.inference_mode()
def test_the_decoder_alone_is_torchs_stack_from_zeros(cell: str, feed_context: bool) -> None:
    pieces = tokenizer("bpe")
    model, _ = network(pieces, cell=cell, feed_context=feed_context, pool="mean")
    decoder, tokens = model.decoder, [2, 5, 6, 7]
    inputs = decoder.embedding(torch.tensor([tokens]))
    context = torch.zeros(1, len(tokens), 16)
    outputs, _ = decoder.stack(torch.cat([inputs, context], 2) if feed_context else inputs)
    assert decoder.readout is not None
    features = torch.cat([outputs, context], 2) if feed_context else outputs
    outputs = decoder.readout(features)
    expected = decoder.projection(outputs)[0].log_softmax(-1)
    steppers = [model, fast_engine(model, "fp32"), Ensemble([model, model])]
    for stepper in steppers:
        state = stepper.start(pad([[]]))
        for token, row in zip(tokens, expected, strict=True):
            log_probs, state = stepper.step(torch.tensor([token]), state)
            assert torch.allclose(log_probs[0], row, atol=1e-5)
    if cell != "relu":
        state = fast_engine(model, "int8").start(pad([[]]))
        log_probs, _ = fast_engine(model, "int8").step(torch.tensor([2]), state)
        assert torch.allclose(log_probs[0], expected[0], atol=0.05)


def test_what_cannot_be_predicted_is_refused() -> None:
    pieces = tokenizer("bpe")
    attentive, _ = network(pieces, attention="dot")
    translator = Translator(attentive, pieces, Config())
    assert predict(translator, "a b", "a").guesses
    with pytest.raises(UsageError, match="attention needs a sentence"):
        predict(translator, None, "a")
    mixed = Ensemble([network(pieces)[0], attentive])
    with pytest.raises(UsageError, match="attention needs a sentence"):
        predict(Translator(mixed, pieces, Config()), None, "a")
    with pytest.raises(UsageError, match="' ' has no words"):
        predict(translator, "  ", "a")
    with pytest.raises(UsageError, match="prefix: 1,200 tokens exceed the 1000"):
        predict(translator, "a", "a" * 1200)
    with pytest.raises(UsageError, match=r"top: 0 must be a whole number from 1 to"):
        predict(translator, "a", top=0)


def test_an_ensemble_has_probabilities_that_sum_to_one() -> None:
    pieces = tokenizer("char")
    members = [bigrams(pieces.target, seed) for seed in (1, 2)]
    translator = Translator(Ensemble(members), pieces, Config())
    found = predict(translator, None, pieces=True, top=100)
    shares = (members[0].table[2] + members[1].table[2]).exp().sqrt()
    assert found.end == pytest.approx((shares[3] / shares.sum()).item(), abs=1e-6)
    assert sum(one.probability for one in found.guesses) + found.end == pytest.approx(1)


def test_the_sentence_is_read_as_translate_reads_it() -> None:
    pieces = tokenizer("bpe")
    model, _ = network(pieces)
    found = predict(Translator(model, pieces, Config()), "ab a", pieces=True, top=100)
    with torch.inference_mode():
        state = model.start(pad([[*pieces.source.encode(["ab a"])[0], pieces.source.eos_id]]))
        log_probs, _ = model.step(torch.tensor([2]), state)
    assert found.end == pytest.approx(log_probs[0, 3].exp().item(), abs=1e-6)
