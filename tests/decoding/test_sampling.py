import collections
import math

import pytest
import torch

from nmt.decoding.sampling import sample
from nmt.decoding.stepper import Limits
from nmt.models.batch import pad
from tests.decoding.doubles import BOS, EOS, TableModel, every_hypothesis, search_options, sentences

LIMITS = Limits(BOS, EOS, max_length_ratio=0.0, extra_length=3)


def test_draws_follow_the_models_distribution() -> None:
    """Each hypothesis comes up as often as its probability says, within four deviations.

    At the last step the end token is forced, so a hypothesis cut there has the probability of its
    prefix.
    """
    model, draws = TableModel(seed=1, sharpness=1.0), 20_000
    (found,) = sample(
        model, sentences(4), LIMITS, search_options(sample=True, seed=7, n_best=draws)
    )
    counts = collections.Counter(tuple(hypothesis.tokens) for hypothesis in found)
    for tokens in every_hypothesis(3):
        score = model.score(4, tokens)
        if len(tokens) == 2:
            score -= model.table[4, 2, tokens[-1], EOS].item()
        expected = math.exp(score)
        deviation = math.sqrt(expected * (1 - expected) / draws)
        assert counts[tuple(tokens)] / draws == pytest.approx(expected, abs=4 * deviation)


def test_draws_depend_on_seed_and_source_and_on_nothing_else() -> None:
    model, source = TableModel(seed=1), sentences(0, 1, 2, 3)
    together = sample(model, source, LIMITS, search_options(sample=True, seed=1, n_best=4))
    for row in range(4):
        alone = sample(
            model, source.select(torch.tensor([row])), LIMITS, search_options(seed=1, n_best=4)
        )[0]
        assert [one.tokens for one in alone] == [one.tokens for one in together[row]]
    other = sample(model, source, LIMITS, search_options(sample=True, seed=2, n_best=4))
    assert [[h.tokens for h in row] for row in other] != [
        [h.tokens for h in row] for row in together
    ]


def test_equal_sentences_get_equal_draws() -> None:
    found = sample(
        TableModel(seed=1),
        pad([[3, 9], [3, 9]]),
        LIMITS,
        search_options(sample=True, seed=1, n_best=3),
    )
    assert found[0] == found[1]


def test_narrow_settings_lead_to_greedy_search() -> None:
    model, source = TableModel(seed=2), sentences(*range(6))
    plain = [[int(model.table[name, 0, BOS].argmax())] for name in range(6)]
    for settings in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-4}, {"temperature": 1e-40}):
        found = sample(model, source, LIMITS, search_options(sample=True, seed=1, **settings))  # type: ignore[arg-type]
        firsts = [([*row[0].tokens, EOS])[:1] for row in found]
        assert firsts == plain, settings


def test_top_k_and_top_p_rule_out_the_unlikely() -> None:
    model = TableModel(seed=3)
    model.table[0, 0, BOS] = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05]).log()
    one_token = Limits(BOS, EOS, 0.0, 2)

    def firsts(**settings: float) -> set[int]:
        (found,) = sample(
            model,
            sentences(0),
            one_token,
            search_options(sample=True, seed=1, n_best=500, **settings),
        )  # type: ignore[arg-type]
        return {([*one.tokens, EOS])[0] for one in found}

    assert firsts(top_k=2) == {0, 1}
    assert firsts(top_p=0.69) == {0, 1}  # together 0.7
    assert firsts(top_p=0.71) == {0, 1, 2}
    assert firsts() == {0, 1, 2, 3, 4}


def test_scores_are_the_models_own() -> None:
    model = TableModel(seed=4)
    (found,) = sample(
        model,
        sentences(5),
        LIMITS,
        search_options(sample=True, seed=1, n_best=20, temperature=2.0, top_k=3),
    )
    for hypothesis in found:
        assert hypothesis.score == pytest.approx(model.score(5, hypothesis.tokens), abs=1e-4)
    scores = [hypothesis.score for hypothesis in found]
    assert scores == sorted(scores, reverse=True)
