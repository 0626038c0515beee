"""Unknown tokens: never written, and said where a source has no others."""

import math
from pathlib import Path

import pytest

import nmt
from nmt.config import TokenizerConfig
from nmt.decoding.beam import beam_search
from nmt.decoding.masked import Masked
from nmt.decoding.stepper import Limits
from nmt.inference.translator import Translator
from nmt.text.tokenizer import train_tokenizer
from tests.conftest import save_member
from tests.decoding.doubles import BOS, EOS, TableModel, every_hypothesis, search_options, sentences

SEARCHES = [{}, {"greedy": True}, {"sample": True}, {"n_best": 3}, {"shortlist": 20}]


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Translator:
    """A model that would write the unknown token at every step."""
    config = TokenizerConfig("word", vocabulary_size=40)
    pairs = [(f"ein hund wort{n % 20}", f"a dog word{n % 20}") for n in range(60)]
    tokenizer, _ = train_tokenizer(config, pairs)
    path = save_member(tiny_run, tmp_path_factory.mktemp("unknown") / "model", tokenizer=tokenizer)
    found = nmt.load(path)
    plain = found.stepper.step

    def step(tokens, state):  # type: ignore[no-untyped-def]
        log_probs, state = plain(tokens, state)
        size = log_probs.shape[1]
        if size == len(tokenizer.target):
            log_probs[:, tokenizer.target.unk_id] += 20
        return log_probs.log_softmax(dim=1), state

    found.stepper.step = step  # type: ignore[method-assign]
    found.models[0].decoder.token_counts.fill_(1)
    return found


@pytest.mark.parametrize("settings", SEARCHES, ids=str)
def test_no_search_writes_the_unknown_token(
    translator: Translator, settings: dict[str, object]
) -> None:
    for found in translator.translate(["ein hund wort1", "ein wort7"], **settings):
        assert all(
            translator.tokenizer.target.unk_id not in one.tokens and "⁇" not in one.text
            for one in found.n_best
        )
        assert math.isfinite(found.score)


def test_a_prefix_may_hold_unknown_tokens(translator: Translator) -> None:
    (found,) = translator.translate(["ein hund"], prefixes=["a tiger"])
    unknown = translator.tokenizer.target.unk_id
    assert found.text.startswith("a tiger") and math.isfinite(found.score)
    assert found.n_best[0].tokens[:2] == [*translator.tokenizer.target.encode(["a"])[0], unknown]
    assert unknown not in found.n_best[0].tokens[2:]


@pytest.mark.parametrize("token", [1, 4])
def test_the_best_of_all_hypotheses_without_a_token_is_found(token: int) -> None:
    model, longest = TableModel(seed=3), 4
    limits = Limits(BOS, EOS, max_length_ratio=0.0, extra_length=longest)
    for name in range(5):
        ((best,),) = beam_search(
            Masked(model, token), sentences(name), limits, search_options(beam_size=500)
        )
        others = [one for one in every_hypothesis(longest) if token not in one]
        expected = max(others, key=lambda one: model.score(name, one))
        assert best.tokens == expected
        assert best.score == pytest.approx(model.score(name, expected), abs=1e-5)


def test_a_source_of_unknown_tokens_alone_is_named(translator: Translator) -> None:
    sources = ["東京", "東 京 大", "東京 hund", "ein hund", "", "  東  "]
    problems = [found.problem or "" for found in translator.translate(sources, beam_size=2)]
    told = ["unknown" in problem for problem in problems]
    assert told == [True, True, False, False, False, True]


@pytest.mark.parametrize("model", ["unigram", "bpe", "char", "word"])
def test_spaces_make_nothing_known(model: str) -> None:
    config = TokenizerConfig(model, vocabulary_size=60)  # type: ignore[arg-type]
    tokenizer, _ = train_tokenizer(config, [("ein hund und eine katze", "a b")] * 9)
    unknown = [tokenizer.source.is_unknown(ids) for ids in tokenizer.source.encode(["東 京", "東"])]
    known = [
        tokenizer.source.is_unknown(ids) for ids in tokenizer.source.encode(["東 ein", "", "ein"])
    ]
    assert unknown == [True, True] and known == [False] * 3
