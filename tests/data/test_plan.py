"""The update plan: each example once, under the budget, the same number on every rank."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.plan import SamplingWeights, UpdatePlan, plan_epoch

BUDGET = 40
PAIRS = st.lists(st.tuples(st.integers(1, BUDGET), st.integers(1, BUDGET)), max_size=80)


def plans(
    pairs: list[tuple[int, int]],
    *,
    world_size: int = 1,
    accumulate: int = 1,
    seed: int = 1,
    epoch: int = 0,
) -> list[UpdatePlan]:
    lengths = np.array(pairs, dtype=np.int32).reshape(-1, 2)
    return [
        plan_epoch(
            lengths[:, 0],
            lengths[:, 1],
            batch_tokens=BUDGET,
            accumulate=accumulate,
            seed=seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]


def listed(plan: UpdatePlan) -> list[list[list[int]]]:
    return [[batch.tolist() for batch in plan[number]] for number in range(len(plan))]


@settings(deadline=None)
@given(PAIRS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 3))
def test_the_plans_promises(
    pairs: list[tuple[int, int]], world_size: int, accumulate: int, epoch: int
) -> None:
    ranks = plans(pairs, world_size=world_size, accumulate=accumulate, epoch=epoch)
    every = [listed(plan) for plan in ranks]
    indices = [i for updates in every for update in updates for batch in update for i in batch]
    assert sorted(indices) == list(range(len(pairs)))  # each example exactly once
    for updates in every:
        for update in updates:
            assert len(update) <= accumulate
            for batch in update:
                longest = max((max(pairs[index]) for index in batch), default=0)
                assert len(batch) * longest <= BUDGET
    for same in zip(*every, strict=True):  # every rank has the same number of updates
        assert len({len(update) for update in same}) == 1  # … and of micro-batches in each
    for number in range(len(ranks[0])):
        tokens = sum(
            pairs[index][1] for updates in every for batch in updates[number] for index in batch
        )
        assert [plan.target_tokens(number) for plan in ranks] == [tokens] * world_size


@given(PAIRS, st.integers(0, 5))
def test_a_plan_can_be_computed_again(pairs: list[tuple[int, int]], epoch: int) -> None:
    (first,), (second,) = plans(pairs, epoch=epoch), plans(pairs, epoch=epoch)
    assert listed(first) == listed(second)


def test_epochs_and_seeds_differ() -> None:
    pairs = [(number % 9 + 1, number % 7 + 1) for number in range(100)]
    (base,) = plans(pairs)
    assert listed(plans(pairs, epoch=1)[0]) != listed(base)
    assert listed(plans(pairs, seed=2)[0]) != listed(base)


def test_one_process_with_accumulation_sees_what_many_ranks_see_together() -> None:
    pairs = [(number % 9 + 1, number % 7 + 1) for number in range(100)]
    (alone,) = plans(pairs, accumulate=4)
    ranks = plans(pairs, accumulate=2, world_size=2)
    for number in range(len(alone)):
        mine, theirs = alone[number], [batch for plan in ranks for batch in plan[number]]
        if number < len(alone) - 1:  # in the last one, batches may be split between ranks
            assert sorted(map(tuple, theirs)) == sorted(map(tuple, mine))
        assert sorted(np.concatenate(theirs)) == sorted(np.concatenate(mine))


def test_micro_batches_are_as_large_as_the_budget_allows() -> None:
    """Ten pairs of length 10 under a budget of 40: four, four, two."""
    (plan,) = plans([(10, 5)] * 10)
    assert sorted(len(batch) for update in listed(plan) for batch in update) == [2, 4, 4]


def test_like_lengths_go_together() -> None:
    pairs = [(length, length) for length in range(1, 21) for _ in range(20)]
    (plan,) = plans(pairs)
    padded = real = 0
    for (batch,) in listed(plan):
        lengths = [pairs[index][0] for index in batch]
        padded += len(lengths) * max(lengths)
        real += sum(lengths)
    assert real / padded > 0.9


def test_a_corpus_smaller_than_the_ranks_gives_some_of_them_empty_batches() -> None:
    ranks = plans([(3, 3)], world_size=3)
    assert [len(plan) for plan in ranks] == [1, 1, 1]
    assert sorted(len(plan[0][0]) for plan in ranks) == [0, 0, 1]


def test_an_example_over_the_budget_is_an_error() -> None:
    with pytest.raises(ValueError, match="41 tokens exceeds batch_tokens 40"):
        plans([(1, 1), (41, 1)])
    with pytest.raises(IndexError):
        plans([(1, 1)])[0][1]


def test_large_plans_cost_bytes_per_pair() -> None:
    """No object for each pair: arrays of four bytes an example and a few for each batch."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(5, 40, size=200_000).astype(np.uint16)
    plan = plan_epoch(lengths, lengths, batch_tokens=4000, seed=1, epoch=0)
    assert plan.order.nbytes + plan.slices.nbytes < 5 * len(lengths)


def weighted(weights: SamplingWeights, epoch: int, seed: int = 1) -> list[int]:
    """How often each example comes in an epoch."""
    lengths = np.full(sum(size for size, _ in weights), 4, np.uint16)
    plan = plan_epoch(lengths, lengths, weights, batch_tokens=BUDGET, seed=seed, epoch=epoch)
    assert sorted(plan.order[start:end].size for start, end in plan.slices)[-1] <= BUDGET // 4
    return np.bincount(plan.order, minlength=len(lengths)).tolist()


def test_weights_say_how_often_an_epoch_takes_an_example() -> None:
    for epoch in range(3):
        counts = weighted(((3, 1.0), (4, 2.0), (10, 2.5), (8, 0.25), (0, 3.0)), epoch)
        assert counts[:7] == [1, 1, 1, 2, 2, 2, 2]
        assert sorted(counts[7:17]) == [2] * 5 + [3] * 5
        assert sorted(counts[17:]) == [0] * 6 + [1] * 2


def test_fractions_are_drawn_anew_by_seed_and_epoch() -> None:
    weights = ((40, 1.5), (40, 0.5))
    assert weighted(weights, 0) == weighted(weights, 0)
    assert weighted(weights, 0) != weighted(weights, 1)
    assert weighted(weights, 0) != weighted(weights, 0, seed=2)
    total = np.sum([weighted(weights, epoch) for epoch in range(200)], axis=0)
    assert abs(total[:40] - 300).max() < 30  # 200 × 1.5; four standard deviations are 28
    assert abs(total[40:] - 100).max() < 30


def test_a_small_weight_leaves_no_place_out() -> None:
    assert sum(weighted(((4, 0.01),), 0)) == 1


def test_weights_of_one_change_nothing() -> None:
    lengths = np.arange(1, 31, dtype=np.uint16)
    plain = plan_epoch(lengths, lengths, batch_tokens=BUDGET, seed=1, epoch=0)
    weights = ((10, 1.0), (20, 1.0))
    same = plan_epoch(lengths, lengths, weights, batch_tokens=BUDGET, seed=1, epoch=0)
    assert sorted(plain.order) == sorted(same.order)
    assert plain.slices.tolist() == same.slices.tolist()


def test_the_order_is_that_of_a_plain_permutation() -> None:
    """As it always was: whoever goes on with a run must meet the same updates."""
    draw = np.random.default_rng(0)
    source, target = draw.integers(1, BUDGET, (2, 500))
    random = np.random.default_rng([1, 2])
    order = random.permutation(500)
    order = order[np.lexsort((target[order], source[order]))]
    plan = plan_epoch(source, target, batch_tokens=BUDGET, seed=1, epoch=2)
    assert plan.order.tolist() == order.tolist()
    assert plan.order.dtype == np.int32


def test_short_lengths_under_a_large_budget() -> None:
    lengths = np.array([60_000, 5, 5], np.uint16)
    plan = plan_epoch(lengths, lengths, batch_tokens=1_000_000, seed=1, epoch=0)
    assert plan.target_tokens(0) == 60_010 and len(plan) == 1
