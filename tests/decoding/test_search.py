"""Greedy and beam search against brute force, and against each other."""

import math

import pytest
import torch

from nmt.config import ModelConfig
from nmt.decoding.beam import _continuations, beam_search
from nmt.decoding.greedy import greedy_search
from nmt.decoding.stepper import Limits
from nmt.models.batch import pad
from nmt.models.seq2seq import Seq2Seq
from tests.decoding.doubles import (
    BOS,
    EOS,
    VOCABULARY,
    TableModel,
    every_hypothesis,
    search_options,
    sentences,
)
from tests.decoding.scoring import forced_scores, whole_attention


def limits(longest: int) -> Limits:
    return Limits(BOS, EOS, max_length_ratio=0.0, extra_length=longest)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("longest", [1, 2, 3, 4])
def test_a_full_beam_finds_what_brute_force_finds(longest: int, length_penalty: float) -> None:
    """A beam of |V|^(L-1) holds every prefix of up to L tokens."""
    model, source = TableModel(seed=longest), sentences(0, 1, 2, 3)
    n_best = min(5, len(every_hypothesis(longest)))
    found = beam_search(
        model,
        source,
        limits(longest),
        search_options(
            beam_size=max(n_best, VOCABULARY ** (longest - 1)),
            length_penalty=length_penalty,
            n_best=n_best,
        ),
    )
    for name, hypotheses in enumerate(found):
        ranked = sorted(
            every_hypothesis(longest),
            key=lambda tokens: -model.score(name, tokens) / (len(tokens) + 1) ** length_penalty,
        )
        assert [hypothesis.tokens for hypothesis in hypotheses] == ranked[:n_best]
        for hypothesis in hypotheses:
            assert hypothesis.score == pytest.approx(model.score(name, hypothesis.tokens), abs=1e-4)


@pytest.mark.parametrize("input_feeding", [False, True])
def test_a_coverage_penalty_ranks_as_brute_force_does(input_feeding: bool) -> None:
    """Attention of every hypothesis from the whole network, its penalty worked out here."""
    torch.manual_seed(3)
    config = ModelConfig(
        embedding_size=6, hidden_size=8, attention="general", input_feeding=input_feeding
    )
    model = Seq2Seq(config, source_size=12, target_size=VOCABULARY, shared=False).eval()
    for parameter in model.parameters():
        parameter.data.mul_(3)  # some source tokens are hardly looked at
    source = pad([[4, 5, 6, 7, 8, 3], [9, 3]])
    every = every_hypothesis(3)
    changed = 0
    for row in range(2):
        alone = source.select(torch.tensor([row]))
        ranks: dict[float, dict[tuple[int, ...], float]] = {0.0: {}, 0.8: {}}
        for tokens in every:
            target = pad([[BOS, *tokens, EOS]])
            score = forced_scores(model, alone, target).item()
            coverage = whole_attention(model, alone, target)[0].sum(dim=0)
            for penalty, ranked in ranks.items():
                bonus = penalty * sum(math.log(min(one, 1.0)) for one in coverage.tolist())
                ranked[tuple(tokens)] = score / (len(tokens) + 1) ** 0.7 + bonus
        orders = []
        for penalty, ranked in ranks.items():
            found = beam_search(
                model,
                source,
                limits(3),
                search_options(
                    beam_size=VOCABULARY**2, length_penalty=0.7, coverage_penalty=penalty, n_best=6
                ),
            )[row]
            orders.append([tuple(one.tokens) for one in found])
            assert orders[-1] == sorted(ranked, key=lambda tokens: -ranked[tokens])[:6]
        changed += orders[0] != orders[1]
    assert changed  # the penalty does something here


@pytest.mark.parametrize("seed", range(20))
def test_a_beam_of_one_is_greedy_search(seed: int) -> None:
    model, source = TableModel(seed, sharpness=1.0), sentences(*range(10))
    greedy = greedy_search(model, source, limits(8))
    beam = beam_search(model, source, limits(8), search_options(beam_size=1))
    assert [best.tokens for best in greedy] == [best[0].tokens for best in beam]
    for best, (only,) in zip(greedy, beam, strict=True):
        assert best.score == pytest.approx(only.score, abs=1e-5)
        assert best.cut == only.cut


@pytest.mark.parametrize("seed", range(10))
def test_n_best_lists_are_ranked_and_start_with_the_best(seed: int) -> None:
    model, source = TableModel(seed), sentences(*range(8))
    options = {"beam_size": 4, "length_penalty": 0.7}
    best = beam_search(model, source, limits(9), search_options(**options))  # type: ignore[arg-type]
    lists = beam_search(model, source, limits(9), search_options(**options, n_best=4))  # type: ignore[arg-type]
    for (only,), ranked in zip(best, lists, strict=True):
        assert only == ranked[0]  # asking for more does not change the first
        ranks = [one.score / (len(one.tokens) + 1) ** 0.7 for one in ranked]
        assert ranks == sorted(ranks, reverse=True)
        assert len({tuple(one.tokens) for one in ranked}) == len(ranked)


@pytest.mark.parametrize("seed", range(5))
def test_a_wider_beam_never_finds_less_here(seed: int) -> None:
    """Not a law of beam search, but of these small spaces once the beam is full."""
    model, source = TableModel(seed), sentences(*range(6))
    full = beam_search(model, source, limits(4), search_options(beam_size=VOCABULARY**3))
    for beam_size in (1, 2, 5):
        some = beam_search(model, source, limits(4), search_options(beam_size=beam_size))
        for best, found in zip(full, some, strict=True):
            assert best[0].score >= found[0].score - 1e-5


def test_greedy_takes_the_likeliest_token_each_time() -> None:
    model = TableModel(seed=3)
    for name, hypothesis in enumerate(greedy_search(model, sentences(0, 1, 2), limits(6))):
        last, tokens = BOS, []
        for step in range(6):
            last = int(model.table[name, step, last].argmax())
            if last == EOS or step == 5:
                break
            tokens.append(last)
        assert hypothesis.tokens == tokens
        assert hypothesis.cut == (last != EOS)
        assert hypothesis.score == pytest.approx(model.score(name, tokens), abs=1e-4)


def test_the_maximum_length_depends_on_the_source_alone() -> None:
    bounds = Limits(BOS, EOS, max_length_ratio=1.5, extra_length=2)
    assert bounds.max_lengths(torch.tensor([1, 4, 2])).tolist() == [4, 8, 5]


def test_a_hypothesis_cut_at_the_maximum_length_says_so() -> None:
    model = TableModel(seed=0)
    model.table[..., EOS] = -20.0  # never ends by itself
    (greedy,) = greedy_search(model, sentences(1), limits(5))
    ((beam,),) = beam_search(model, sentences(1), limits(5), search_options(beam_size=3))
    for hypothesis in (greedy, beam):
        assert hypothesis.cut and len(hypothesis.tokens) == 4
        assert hypothesis.score < -20  # the end token's own probability counts


def test_a_finished_sentence_leaves_the_batch() -> None:
    """Rows stepped are counted: they shrink as sentences end."""
    model, rows = TableModel(seed=0), []
    model.table[:25, 1:, :, EOS] = 20.0  # the first sentences end at their second step
    plain_step = model.step

    def counting_step(tokens, state):  # type: ignore[no-untyped-def]
        rows.append(len(tokens))
        return plain_step(tokens, state)

    model.step = counting_step  # type: ignore[method-assign]
    model.table[25:, :4, :, EOS] = -20.0
    greedy_search(model, sentences(0, 1, 25), limits(6))
    assert rows[0] == 3 and rows[2] == 1
    rows.clear()
    beam_search(model, sentences(0, 1, 25), limits(6), search_options(beam_size=4))
    assert rows[0] == 3 and rows[2] == 4  # one row a sentence, until its hypotheses differ


def test_search_stops_once_no_live_hypothesis_can_win() -> None:
    """Where the first end token is all but certain, no second step is made."""
    model, steps = TableModel(seed=0), []
    model.table[:, 0, :, :] = torch.tensor([-30.0, -30.0, -30.0, 0.0, -30.0])
    plain_step = model.step

    def counting_step(tokens, state):  # type: ignore[no-untyped-def]
        steps.append(1)
        return plain_step(tokens, state)

    model.step = counting_step  # type: ignore[method-assign]
    beam_search(model, sentences(0, 1), limits(10), search_options(beam_size=3, length_penalty=1.0))
    assert len(steps) == 1


def test_forced_scores_equal_search_scores() -> None:
    model, names = TableModel(seed=5), [0, 1, 2, 3, 4]
    source = sentences(*names)
    found = [best[0] for best in beam_search(model, source, limits(9), search_options(beam_size=3))]
    target = pad([[BOS, *best.tokens, EOS] for best in found])
    scores = forced_scores(model, source, target)
    assert scores.tolist() == pytest.approx([best.score for best in found], abs=1e-4)


def beam_by_hand(
    model: TableModel, name: int, longest: int, beam_size: int, prune: float
) -> list[int]:
    """One sentence, one hypothesis at a time, ranked by log-probability ÷ length."""
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    finished: list[tuple[float, float, list[int]]] = []
    for step in range(longest):
        grown = []
        for score, tokens in live:
            last = tokens[-1] if tokens else BOS
            row = model.table[name, step, last].tolist()
            choices = range(VOCABULARY) if step + 1 < longest else [EOS]
            grown += [(score + row[token], [*tokens, token]) for token in choices]
        grown = sorted(grown, reverse=True)[: 2 * beam_size]
        finished += [
            (score / (step + 1), score, tokens[:-1])
            for score, tokens in grown[:beam_size]
            if tokens[-1] == EOS
        ]
        live = [one for one in grown if one[1][-1] != EOS][:beam_size]
        best = max([*(one[0] for one in live[:1]), *(max(finished)[1:2] if finished else [])])
        live = [one for one in live if one[0] >= best - prune]
    return max(finished)[2]


@pytest.mark.parametrize("prune", [0.5, 2.0, 50.0])
@pytest.mark.parametrize("seed", range(8))
def test_pruning_does_what_it_says(seed: int, prune: float) -> None:
    model, source = TableModel(seed, sharpness=1.0), sentences(*range(10))
    found = beam_search(
        model, source, limits(7), search_options(beam_size=3, length_penalty=1.0, prune=prune)
    )
    expected = [beam_by_hand(model, name, 7, 3, prune) for name in range(10)]
    assert [best[0].tokens for best in found] == expected


def test_a_pruned_hypothesis_has_no_row() -> None:
    """With almost no leeway one row a sentence is left: greedy search, but for a better ending."""
    model, rows = TableModel(seed=1), []
    plain_step = model.step

    def counting_step(tokens, state):  # type: ignore[no-untyped-def]
        rows.append(len(tokens))
        return plain_step(tokens, state)

    model.step = counting_step  # type: ignore[method-assign]
    most = []
    for prune in (1e-9, None):
        rows.clear()
        beam_search(
            model, sentences(*range(5)), limits(6), search_options(beam_size=4, prune=prune)
        )
        most.append(max(rows))
    assert most[0] == 5 < most[1]


@pytest.mark.parametrize("width", [600, 1024])
@pytest.mark.parametrize("alive", [1, 3])
def test_continuations_in_groups_are_the_best_of_all(width: int, alive: int) -> None:
    """Against a plain selection over every token of every live hypothesis."""
    generator = torch.Generator().manual_seed(width)
    log_probs = torch.randn(7 * alive, width, generator=generator).log_softmax(1)
    log_probs[:, 32:40] += 4  # several of the best in one group
    scores = torch.full((7, 3), float("-inf"))
    scores[:, :alive] = -torch.rand(7, alive, generator=generator)
    rows = (scores.flatten() > float("-inf")).nonzero().squeeze(1)
    best, beam, row, token = _continuations(log_probs, scores, rows)
    totals = scores[:, :alive, None] + log_probs.view(7, alive, width)
    expected, index = totals.flatten(1).topk(6, dim=1)
    assert torch.equal(best, expected)
    assert torch.equal(beam, index // width) and torch.equal(token, index % width)
    assert torch.equal(rows[row], torch.arange(7)[:, None] * 3 + beam)
