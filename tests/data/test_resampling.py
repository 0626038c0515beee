"""Updates of sampled segmentations: the same wherever they are made, and never too large."""

import itertools
import pickle
from collections import Counter
from pathlib import Path

import pytest

from nmt.config import TokenizerConfig
from nmt.data.corpus import Corpus
from nmt.data.encoded import EncodedPairs
from nmt.data.loader import Batch, Update, UpdateLoader, Updates
from nmt.data.phrases import read_split
from nmt.data.resampling import Resampler
from nmt.text.tokenizer import Tokenizer, train_tokenizer
from tests.data.made import encode

PAIRS = read_split("train")[:200]
Rows = list[tuple[tuple[int, ...], tuple[int, ...]]]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    config = TokenizerConfig(model="bpe", vocabulary_size=300, shared=False)
    return train_tokenizer(config, PAIRS)[0]


@pytest.fixture(scope="module")
def encoded(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> EncodedPairs:
    return encode(PAIRS, tokenizer, tmp_path_factory.mktemp("encoded"))


def taken(loader: UpdateLoader, number: int) -> list[Update]:
    """Take so many updates, in several iterations."""
    iterations = itertools.chain.from_iterable(loader for _ in itertools.count())
    return list(itertools.islice(iterations, number))


def updates_of(
    encoded: EncodedPairs,
    tokenizer: Tokenizer,
    *,
    accumulate: int = 2,
    rank: int = 0,
    world_size: int = 1,
    seed: int = 1,
    subword_sampling: float | None = 0.2,
) -> Updates:
    return Updates(
        encoded,
        tokenizer,
        batch_tokens=256,
        accumulate=accumulate,
        seed=seed,
        rank=rank,
        world_size=world_size,
        subword_sampling=subword_sampling,
    )


def rows_of(batch: Batch) -> Rows:
    """The token ids of both sides, without padding, start and end."""
    source, target = batch.source, batch.target
    return [
        (tuple(source.tokens[row, : s - 1].tolist()), tuple(target.tokens[row, 1 : t - 1].tolist()))
        for row, (s, t) in enumerate(zip(source.lengths, target.lengths, strict=True))
    ]


def flat(update: Update) -> Rows:
    return [row for batch in update.batches for row in rows_of(batch)]


def epoch_of(updates: Updates, epoch: int) -> list[Rows]:
    return [flat(updates[epoch, number]) for number in range(len(updates.plan(epoch)))]


def test_epochs_differ_and_each_can_be_made_again(
    encoded: EncodedPairs, tokenizer: Tokenizer
) -> None:
    updates = updates_of(encoded, tokenizer)
    first, second = epoch_of(updates, 0), epoch_of(updates, 1)
    again = updates_of(encoded, tokenizer)
    assert epoch_of(again, 1) == second and epoch_of(again, 0) == first
    assert epoch_of(pickle.loads(pickle.dumps(updates)), 0) == first  # sent to a worker
    rows = [{row for update in epoch for row in update} for epoch in (first, second)]
    assert len(rows[0] & rows[1]) < 0.2 * len(PAIRS)
    other = epoch_of(updates_of(encoded, tokenizer, seed=2), 0)
    assert len(rows[0] & {row for update in other for row in update}) < 0.2 * len(PAIRS)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_with_the_same_samples_whoever_makes_them(
    encoded: EncodedPairs, tokenizer: Tokenizer, workers: int
) -> None:
    updates = updates_of(encoded, tokenizer)
    every = [update for epoch in range(3) for update in epoch_of(updates, epoch)]
    fresh = updates_of(encoded, tokenizer)
    loader = UpdateLoader(fresh, workers)
    loader.load_state_dict({"epoch": 1, "update": 2})
    left = every[len(updates.plan(0)) + 2 :]
    assert [flat(update) for update in taken(loader, len(left))] == left


def test_ranks_make_the_samples_that_one_process_makes(
    encoded: EncodedPairs, tokenizer: Tokenizer
) -> None:
    alone = epoch_of(updates_of(encoded, tokenizer, accumulate=4), 0)
    shares = [
        epoch_of(updates_of(encoded, tokenizer, accumulate=2, rank=rank, world_size=2), 0)
        for rank in range(2)
    ]
    for whole, *parts in zip(alone, *shares, strict=True):
        assert Counter(whole) == Counter(parts[0] + parts[1])


def test_every_pair_is_learned_from_within_the_budget(
    encoded: EncodedPairs, tokenizer: Tokenizer
) -> None:
    """Also where what was planned as one micro-batch has outgrown it."""
    updates = updates_of(encoded, tokenizer)
    planned = updates_of(encoded, tokenizer, subword_sampling=None)
    texts, split = [], 0
    for number in range(len(updates.plan(0))):
        update, before = updates[0, number], planned[0, number]
        assert update.target_tokens == before.target_tokens
        split += len(update.batches) > len(before.batches)
        for batch in update.batches:
            sources, targets = batch.source.lengths, batch.target.lengths - 1
            assert len(sources) * max(sources.max(), targets.max()) <= 256
        sources, targets = zip(*flat(update), strict=True)
        texts += zip(
            tokenizer.source.decode(sources), tokenizer.target.decode(targets), strict=True
        )
    assert sorted(texts) == sorted(PAIRS)
    assert split > 0
    counts = [sum(len(target) + 1 for u in epoch_of(one, 0) for _, target in u)
              for one in (planned, updates)]  # fmt: skip
    assert counts[0] == encoded.facts.target_tokens < 0.9 * counts[1]


def test_a_pair_that_outgrows_the_budget_alone_stays_as_it_is(tokenizer: Tokenizer) -> None:
    source, target = tokenizer.source.encode([PAIRS[0][0]]), tokenizer.target.encode([PAIRS[0][1]])
    longest = max(len(source[0]), len(target[0])) + 1
    outcomes = set()
    for budget in (longest, 4 * longest):
        resample = Resampler(tokenizer, 0.9, batch_tokens=budget, seed=1)
        ((sources, targets),) = resample(source, target, epoch=0, start=0)
        outcomes.add((sources, targets) == (source, target))
        assert len(sources[0]) < budget and len(targets[0]) < budget
    assert outcomes == {True, False}


def test_a_pair_that_comes_often_is_sampled_each_time(tokenizer: Tokenizer, tmp_path: Path) -> None:
    places = {"a": PAIRS[:2]}
    corpus = Corpus(
        "made", {"train": [{"place": "a", "weight": 20.0}]}, lambda place: iter(places[place])
    )
    updates = updates_of(encode(corpus, tokenizer, tmp_path), tokenizer)
    seen = Counter(row for update in epoch_of(updates, 0) for row in update)
    assert seen.total() == 40 and len(seen) > 20


def test_ranks_without_an_example_get_an_empty_micro_batch(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    encoded = encode(PAIRS[:1], tokenizer, tmp_path)
    shares = [
        updates_of(encoded, tokenizer, accumulate=1, rank=rank, world_size=2)[0, 0]
        for rank in range(2)
    ]
    assert sorted(len(update.batches) for update in shares) == [1, 1]
    assert sorted(len(flat(update)) for update in shares) == [0, 1]
