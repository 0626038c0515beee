"""An ensemble predicts the mean of its members' log-probabilities, and is searched as one model."""

import pytest
import torch

from nmt.decoding.beam import beam_search
from nmt.decoding.ensemble import Ensemble
from nmt.decoding.greedy import greedy_search
from nmt.decoding.sampling import sample
from nmt.decoding.stepper import Limits
from nmt.models.batch import pad
from tests.decoding.doubles import (
    BOS,
    EOS,
    VOCABULARY,
    TableModel,
    every_hypothesis,
    search_options,
    sentences,
)
from tests.decoding.scoring import forced_scores

MEMBERS = [TableModel(seed=11), TableModel(seed=12), TableModel(seed=13)]


def limits(longest: int) -> Limits:
    return Limits(BOS, EOS, max_length_ratio=0.0, extra_length=longest)


def mean_score(name: int, tokens: list[int]) -> float:
    return sum(member.score(name, tokens) for member in MEMBERS) / len(MEMBERS)


def test_one_member_is_the_model_itself() -> None:
    model, source = MEMBERS[0], sentences(*range(8))
    alone = Ensemble([model])
    tokens = torch.full((8,), BOS)
    assert torch.equal(
        alone.step(tokens, alone.start(source))[0], model.step(tokens, model.start(source))[0]
    )
    for search in (
        lambda stepper: greedy_search(stepper, source, limits(6)),
        lambda stepper: beam_search(
            stepper, source, limits(6), search_options(beam_size=3, n_best=3)
        ),
        lambda stepper: sample(
            stepper, source, limits(6), search_options(sample=True, seed=1, n_best=2)
        ),
    ):
        assert search(alone) == search(model)


def test_a_step_is_the_mean_by_hand_and_the_rows_follow_the_search() -> None:
    ensemble = Ensemble(MEMBERS)
    state = ensemble.start(sentences(0, 1, 2)).select(torch.tensor([0, 0, 1, 1, 2, 2]))
    _, state = ensemble.step(torch.full((6,), BOS), state)
    state = state.select(torch.tensor([5, 0, 3, 3]))  # 2 0 1 1
    found, _ = ensemble.step(torch.tensor([4, 0, 1, 2]), state)
    for row, (name, last) in enumerate([(2, 4), (0, 0), (1, 1), (1, 2)]):
        for token in range(VOCABULARY):
            by_hand = sum(member.table[name, 1, last, token].item() for member in MEMBERS) / 3
            assert found[row, token].item() == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("longest", [2, 4])
def test_a_full_beam_finds_what_brute_force_finds(longest: int, length_penalty: float) -> None:
    found = beam_search(
        Ensemble(MEMBERS),
        sentences(0, 1, 2, 3),
        limits(longest),
        search_options(
            beam_size=VOCABULARY ** (longest - 1), length_penalty=length_penalty, n_best=5
        ),
    )
    for name, hypotheses in enumerate(found):
        ranked = sorted(
            every_hypothesis(longest),
            key=lambda tokens: -mean_score(name, tokens) / (len(tokens) + 1) ** length_penalty,
        )
        assert [hypothesis.tokens for hypothesis in hypotheses] == ranked[:5]
        for hypothesis in hypotheses:
            expected = mean_score(name, hypothesis.tokens)
            assert hypothesis.score == pytest.approx(expected, abs=1e-4)


def test_the_members_disagree_and_the_ensemble_is_none_of_them() -> None:
    """Else the tests above could pass with one member alone."""
    source = sentences(*range(8))
    found = [
        [
            best[0].tokens
            for best in beam_search(stepper, source, limits(6), search_options(beam_size=4))
        ]
        for stepper in (*MEMBERS, Ensemble(MEMBERS))
    ]
    assert all(one != found[-1] for one in found[:-1])


def test_a_score_is_the_mean_of_the_members_scores() -> None:
    source, hypotheses = sentences(0, 1, 2), [[4, 0], [], [1, 1, 4]]
    target = pad([[BOS, *tokens, EOS] for tokens in hypotheses])
    expected = [mean_score(name, tokens) for name, tokens in enumerate(hypotheses)]
    assert forced_scores(Ensemble(MEMBERS), source, target).tolist() == pytest.approx(expected)


def test_a_sentence_is_the_same_in_any_batch() -> None:
    ensemble, names = Ensemble(MEMBERS), [3, 0, 7, 5, 1]
    for search in (
        lambda source: [[one] for one in greedy_search(ensemble, source, limits(7))],
        lambda source: beam_search(
            ensemble, source, limits(7), search_options(beam_size=3, n_best=3)
        ),
        lambda source: beam_search(
            ensemble, source, limits(7), search_options(beam_size=3, prune=1.0)
        ),
        lambda source: sample(
            ensemble, source, limits(7), search_options(sample=True, seed=4, n_best=2)
        ),
    ):
        together = search(sentences(*names))
        for row, name in enumerate(names):
            assert search(sentences(name)) == [together[row]]
