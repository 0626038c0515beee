"""The update plan: the examples of each update, computed and never stored.

Pure: the same lengths, budget, seed and epoch give the same plan anywhere, so resuming needs only
the epoch and the number of updates done in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.integer]
SamplingWeights = tuple[tuple[int, float], ...]
"""Length of each run of examples, and the passes over it in one epoch."""


@dataclass(frozen=True)
class UpdatePlan:
    """One epoch's updates, for one rank of `world_size`.

    Attributes:
        order: every example once, or as often as its weight; micro-batches are slices of it.
        slices: start and end in `order` of each micro-batch, `(micro_batches, 2)`; an update is
            `accumulate × world_size` of them in a row, dealt to the ranks in turn.
        target_lengths: target tokens of each example, the end token included.
        accumulate: micro-batches of one update on one rank.
        rank: the rank whose micro-batches are returned.
        world_size: number of ranks.
    """

    order: Indices
    slices: Indices
    target_lengths: NDArray[np.integer]
    accumulate: int
    rank: int
    world_size: int

    def __len__(self) -> int:
        return -(-len(self.slices) // self._per_update)

    def __getitem__(self, update: int) -> list[Indices]:
        """Return this rank's micro-batches of an update, each the indices of its examples."""
        mine = self._slices(update)[self.rank :: self.world_size]
        return [self.order[start:end] for start, end in mine]

    def target_tokens(self, update: int) -> int:
        """Return the target tokens of an update over all its micro-batches and ranks."""
        batches = (self.order[start:end] for start, end in self._slices(update))
        return sum(int(self.target_lengths[examples].sum()) for examples in batches)

    @property
    def _per_update(self) -> int:
        return self.accumulate * self.world_size

    def _slices(self, update: int) -> Indices:
        if not 0 <= update < len(self):
            raise IndexError(f"update {update} of {len(self)}")
        return self.slices[update * self._per_update : (update + 1) * self._per_update]


def plan_epoch(
    source_lengths: NDArray[np.integer],
    target_lengths: NDArray[np.integer],
    weights: SamplingWeights | None = None,
    *,
    batch_tokens: int,
    accumulate: int = 1,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
) -> UpdatePlan:
    """Plan one epoch.

    Examples are sorted by source length, so that most micro-batches need no source padding, then by
    target length, ties in random order. The micro-batches are then shuffled.

    Args:
        source_lengths: tokens of each source, the end token included, `(examples,)`.
        target_lengths: the same of each target.
        weights: runs of examples and their weights; for the fractional part of a weight, that share
            of the run is drawn anew in each epoch. None for once each.
        batch_tokens: bound on sentences × longest side of a micro-batch.
        accumulate: micro-batches of one update on one rank.
        seed: of the run.
        epoch: counted from 0.
        rank: this process among `world_size`.
        world_size: number of processes that share each update.

    Raises:
        ValueError: an example is longer than `batch_tokens`.
    """
    random = np.random.default_rng([seed, epoch])
    order = _draw(weights or ((len(source_lengths), 1.0),), random)
    random.shuffle(order)
    order = order[np.lexsort((target_lengths[order], source_lengths[order]))]
    longer = np.maximum(source_lengths[order], target_lengths[order])
    slices = pack(longer, batch_tokens)
    slices = slices[random.permutation(len(slices))]
    slices = _even_out(slices, accumulate * world_size, world_size)
    return UpdatePlan(order, slices, target_lengths, accumulate, rank, world_size)


def _draw(weights: SamplingWeights, random: np.random.Generator) -> Indices:
    """Return the examples of an epoch, in four bytes each if possible."""
    size = sum(run for run, _ in weights)
    kind = np.int32 if size < 2**31 else np.int64
    drawn, start = [], 0
    for run, weight in weights:
        examples = np.arange(start, start + run, dtype=kind)
        drawn += [examples] * int(weight)
        extra = round(weight % 1 * run)
        if weight < 1 and run:
            extra = max(extra, 1)  # no run is left out altogether
        drawn.append(random.permuted(examples)[:extra] if extra else examples[:0])
        start += run
    return np.concatenate(drawn)


def pack(lengths: Indices, batch_tokens: int) -> Indices:
    """Cut a sequence of examples into micro-batches, each as large as the budget allows.

    Args:
        lengths: of the longer side of each example, `(examples,)`.
        batch_tokens: bound on sentences × longest side of a micro-batch.

    Returns:
        Start and end of each micro-batch, `(micro_batches, 2)`.

    Raises:
        ValueError: an example is longer than `batch_tokens`.
    """
    if len(lengths) and lengths.max() > batch_tokens:
        raise ValueError(
            f"an example of {lengths.max()} tokens exceeds batch_tokens {batch_tokens}"
        )
    ends: list[int] = []
    start = 0
    while start < len(lengths):
        window = lengths[start : start + batch_tokens // int(lengths[start])]
        cost = np.maximum.accumulate(window) * np.arange(1, len(window) + 1)
        start += int(np.searchsorted(cost, batch_tokens, side="right"))
        ends.append(start)
    bounds = np.array([0, *ends], dtype=np.int64)
    return np.stack([bounds[:-1], bounds[1:]], axis=1)


def _even_out(slices: Indices, per_update: int, world_size: int) -> Indices:
    """Split micro-batches of the last update until every rank has equally many.

    If the update has fewer examples than ranks, some ranks get empty ones.
    """
    complete = len(slices) - len(slices) % per_update
    last = [(int(start), int(end)) for start, end in slices[complete:]]
    while len(last) % world_size:
        widest = max(range(len(last)), key=lambda number: last[number][1] - last[number][0])
        start, end = last[widest]
        middle = (start + end + 1) // 2
        last[widest : widest + 1] = [(start, middle), (middle, end)]
    return np.concatenate([slices[:complete], np.array(last, dtype=np.int64).reshape(-1, 2)])
