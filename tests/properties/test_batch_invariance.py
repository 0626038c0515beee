"""What a sentence is translated to, and its score, does not depend on its batch."""

import itertools
import random

import pytest
import torch

from nmt.config import Config, ModelConfig, TokenizerConfig
from nmt.decoding.beam import beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.sampling import sample
from nmt.decoding.stepper import Hypothesis, Limits
from nmt.inference.translator import Translator
from nmt.models.batch import Padded, pad
from nmt.models.seq2seq import Seq2Seq
from nmt.text.tokenizer import train_tokenizer
from tests.decoding.doubles import search_options
from tests.decoding.scoring import forced_scores

ATTENTIONS = ["none", "dot", "general", "additive"]
LIMITS = Limits(bos_id=2, eos_id=3)
TOLERANCE = 1e-4  # nats a token


def model(attention: str, **settings: object) -> Seq2Seq:
    torch.manual_seed(1)
    config = ModelConfig(
        attention=attention,  # type: ignore[arg-type]
        embedding_size=12,
        hidden_size=16,
        **settings,  # type: ignore[arg-type]
    )
    network = Seq2Seq(config, source_size=40, target_size=40, shared=True).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2.0)  # far from uniform, so that ties are rare
    return network


def random_sentences(count: int) -> list[list[int]]:
    generator = random.Random(2)
    return [
        [*(generator.randrange(4, 40) for _ in range(generator.randrange(0, 14))), 3]
        for _ in range(count)
    ]


def assert_same(found: list[Hypothesis], alone: list[Hypothesis]) -> None:
    assert len(found) == len(alone)
    for one, other in zip(found, alone, strict=True):
        assert one.tokens == other.tokens
        assert abs(one.score - other.score) <= TOLERANCE * (len(one.tokens) + 1)


@pytest.mark.parametrize(
    ("attention", "settings"),
    [
        *itertools.product(ATTENTIONS, [{"reverse_source": False}, {"reverse_source": True}]),
        ("none", {"encoder": "bag"}),
        ("dot", {"encoder": "bag"}),
        ("none", {"encoder": "window", "window": 3}),
    ],
    ids=str,
)
@torch.inference_mode()
def test_search_gives_the_same_alone_shuffled_and_padded(
    attention: str, settings: dict[str, object]
) -> None:
    network = model(attention, **settings)
    sentences = random_sentences(24)
    searches = {
        "greedy": lambda source: [[one] for one in greedy_search(network, source, LIMITS)],
        "beam": lambda source: beam_search(
            network, source, LIMITS, search_options(beam_size=4, length_penalty=1.0, n_best=4)
        ),
        "sample": lambda source: sample(
            network, source, LIMITS, search_options(sample=True, seed=3, n_best=2)
        ),
    }
    order = list(range(len(sentences)))
    random.Random(3).shuffle(order)
    together = pad([sentences[row] for row in order])
    width = together.tokens.shape[1] + 5  # more padding than needed, of any token
    padding = torch.full((len(order), width), 7)
    padding[:, : together.tokens.shape[1]] = torch.where(together.mask, together.tokens, 7)
    for search in searches.values():
        shuffled, padded = search(together), search(Padded(padding, together.lengths))
        for place, row in enumerate(order):
            (alone,) = search(pad([sentences[row]]))
            assert_same(shuffled[place], alone)
            assert_same(padded[place], alone)


@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.inference_mode()
def test_forced_scores_are_the_same_in_any_batch_and_equal_the_searchs(attention: str) -> None:
    network, sentences = model(attention), random_sentences(20)
    source = pad(sentences)
    found = [best[0] for best in beam_search(network, source, LIMITS, search_options(beam_size=3))]
    targets = [[2, *one.tokens, 3] for one in found]
    together = forced_scores(network, source, pad(targets)).tolist()
    for row, (target, one) in enumerate(zip(targets, found, strict=True)):
        alone = forced_scores(network, pad([sentences[row]]), pad([target])).item()
        tolerance = TOLERANCE * (len(target) - 1)
        assert abs(together[row] - alone) <= tolerance
        assert abs(one.score - alone) <= tolerance


@pytest.mark.parametrize("settings", [{"greedy": True}, {}, {"n_best": 3}, {"sample": True}])
def test_the_translator_gives_the_same_at_every_batch_size(settings: dict[str, object]) -> None:
    words = [f"wort{number}" for number in range(30)]
    generator = random.Random(5)
    texts = [" ".join(generator.choices(words, k=generator.randrange(0, 9))) for _ in range(40)]
    config = Config(model=ModelConfig(embedding_size=12, hidden_size=16))
    tokenizer, _ = train_tokenizer(
        TokenizerConfig(vocabulary_size=60), [(text, text) for text in texts]
    )
    torch.manual_seed(1)
    network = Seq2Seq(
        config.model,
        source_size=len(tokenizer.source),
        target_size=len(tokenizer.target),
        shared=True,
    ).eval()
    translator = Translator(network, tokenizer, config)
    whole = translator.translate(texts, batch_size=64, **settings)
    single = translator.translate(texts, batch_size=1, **settings)
    backwards = translator.translate(texts[::-1], batch_size=7, **settings)[::-1]
    for one, other, third in zip(whole, single, backwards, strict=True):
        assert one.text == other.text == third.text
        assert [c.text for c in one.n_best] == [c.text for c in other.n_best]
        assert one.score == pytest.approx(other.score, abs=1e-2)
