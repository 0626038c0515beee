"""Searches for translations that begin as they must, against brute force."""

import pytest
import torch

from nmt.decoding.beam import beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.prefix import Prefixed
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

PREFIXES = [[1, 4], [], [0], [4, 1, 1]]
LONGEST = 5
LIMITS = Limits(BOS, EOS, max_length_ratio=0.0, extra_length=LONGEST)


def begun(
    model: TableModel, prefixes: list[list[int]], open_ended: list[bool] | None = None
) -> Prefixed:
    """Behind an open end only 1 and the end token may follow."""
    followers = torch.zeros(VOCABULARY, dtype=torch.bool)
    followers[[1, EOS]] = True
    return Prefixed(
        model,
        pad(prefixes),
        open_ended=torch.tensor(open_ended or [False] * len(prefixes)),
        followers=followers,
    )


@pytest.mark.parametrize("open_ended", [False, True])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_full_beam_finds_the_best_of_those_that_begin_so(
    length_penalty: float, open_ended: bool
) -> None:
    model, source = TableModel(seed=6), sentences(0, 1, 2, 3)
    found = beam_search(
        begun(model, PREFIXES, [bool(prefix) and open_ended for prefix in PREFIXES]),
        source,
        LIMITS,
        search_options(
            beam_size=VOCABULARY ** (LONGEST - 1), length_penalty=length_penalty, n_best=3
        ),
    )
    for name, (prefix, hypotheses) in enumerate(zip(PREFIXES, found, strict=True)):
        every = [
            tokens
            for tokens in every_hypothesis(LONGEST)
            if tokens[: len(prefix)] == prefix
            and (not open_ended or not prefix or tokens[len(prefix) :][:1] in ([], [1]))
        ]
        ranked = sorted(
            every,
            key=lambda tokens: -model.score(name, tokens) / (len(tokens) + 1) ** length_penalty,
        )
        assert [one.tokens for one in hypotheses] == ranked[:3]
        for one in hypotheses:
            assert one.score == pytest.approx(model.score(name, one.tokens), abs=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_is_greedy_search(seed: int) -> None:
    model, source = TableModel(seed, sharpness=1.0), sentences(0, 1, 2, 3)
    greedy = greedy_search(begun(model, PREFIXES), source, LIMITS)
    beam = beam_search(
        begun(model, PREFIXES), source, LIMITS, search_options(beam_size=1, prune=0.1)
    )
    for prefix, best, (only,) in zip(PREFIXES, greedy, beam, strict=True):
        assert best.tokens == only.tokens
        assert best.tokens[: len(prefix)] == prefix
        assert best.score == pytest.approx(only.score, abs=1e-5)


def test_the_beginning_of_what_greedy_search_writes_changes_nothing() -> None:
    model, source = TableModel(seed=2), sentences(*range(12))
    free = greedy_search(model, source, LIMITS)
    assert len({len(one.tokens) for one in free}) > 1
    for cut in range(1, LONGEST):
        prefixes = [one.tokens[:cut] for one in free]
        assert greedy_search(begun(model, prefixes), source, LIMITS) == free


def test_empty_prefixes_change_nothing() -> None:
    model, source = TableModel(seed=1), sentences(0, 1, 2, 3)
    nothing = begun(model, [[]] * 4, [False] * 4)
    options = {"beam_size": 3, "length_penalty": 1.0, "n_best": 3}
    assert beam_search(nothing, source, LIMITS, search_options(**options)) == beam_search(
        model, source, LIMITS, search_options(**options)
    )
    drawn = sample(nothing, source, LIMITS, search_options(sample=True, seed=4, n_best=3))
    assert drawn == sample(model, source, LIMITS, search_options(sample=True, seed=4, n_best=3))


def test_a_prefix_may_fill_all_but_the_end() -> None:
    model, prefix = TableModel(seed=3), [1, 0, 4, 4]
    found = [
        greedy_search(begun(model, [prefix]), sentences(1), LIMITS)[0],
        beam_search(begun(model, [prefix]), sentences(1), LIMITS, search_options(beam_size=4))[0][
            0
        ],
    ]
    for one in found:
        assert one.tokens == prefix
        assert one.score == pytest.approx(model.score(1, prefix), abs=1e-4)


def test_draws_begin_so_and_go_on_as_the_model_does() -> None:
    """The share of each token behind the prefix is its probability."""
    model, count = TableModel(seed=8, sharpness=1.0), 2000
    ((draws),) = sample(
        begun(model, [[1, 4]]),
        sentences(3),
        LIMITS,
        search_options(sample=True, seed=1, n_best=count, top_k=VOCABULARY),
    )
    shares = torch.zeros(VOCABULARY)
    for one in draws:
        assert one.tokens[:2] == [1, 4]
        assert one.score == pytest.approx(model.score(3, one.tokens), abs=1e-4)
        shares[[*one.tokens, EOS][2]] += 1 / count
    assert torch.allclose(shares, model.table[3, 2, 4].exp(), atol=0.04)


def test_rows_of_many_sentences_keep_their_own_prefix() -> None:
    """`select` carries which sentence a row belongs to."""
    model = TableModel(seed=0)
    stepper = begun(model, [[4], [1], []])
    state = stepper.start(sentences(0, 1, 2)).select(torch.tensor([2, 1, 0, 1]))
    log_probs, _ = stepper.step(torch.full((4,), BOS), state)
    alive = [row.isfinite().nonzero().flatten().tolist() for row in log_probs]
    assert alive == [[0, 1, 2, 3, 4], [1], [4], [1]]
    assert log_probs[1, 1] == model.table[1, 0, BOS, 1]
