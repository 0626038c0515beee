"""Updates as tensors, in the order of the plan."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from nmt.data.encoded import EncodedPairs, Rows
from nmt.data.plan import UpdatePlan, plan_epoch
from nmt.data.resampling import Resampler
from nmt.models.batch import Padded, pad
from nmt.text.tokenizer import Tokenizer

Place = tuple[int, int]
"""An epoch and an update in it, both counted from 0."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch.

    Attributes:
        source: source sentences, the end token last.
        target: target sentences, the start token first, the end token last.
    """

    source: Padded
    target: Padded

    def to(self, device: torch.device) -> "Batch":
        """Move the tokens to a device."""
        return Batch(self.source.to(device), self.target.to(device))


@dataclass(frozen=True)
class Update:
    """What one optimizer step learns from on one rank.

    Attributes:
        epoch: counted from 0.
        number: the update's number in its epoch, counted from 0.
        batches: micro-batches.
        target_tokens: target tokens of the whole update, over all ranks, end tokens included, as
            planned: those of the best segmentations.
    """

    epoch: int
    number: int
    batches: list[Batch]
    target_tokens: int


class Updates(Dataset[Update]):
    """Every update of every epoch of a run, by (epoch, number).

    Args:
        pairs: the encoded training split.
        tokenizer: knows the start and end tokens.
        batch_tokens: see `plan_epoch`.
        accumulate: see `plan_epoch`.
        seed: see `plan_epoch`.
        rank: see `plan_epoch`.
        world_size: see `plan_epoch`.
        subword_sampling: see `training.subword_sampling`.
    """

    def __init__(
        self,
        pairs: EncodedPairs,
        tokenizer: Tokenizer,
        *,
        batch_tokens: int,
        accumulate: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        subword_sampling: float | None = None,
    ):
        self._pairs = pairs
        self._resample = (
            None
            if subword_sampling is None
            else Resampler(tokenizer, subword_sampling, batch_tokens=batch_tokens, seed=seed)
        )
        self._source_eos = tokenizer.source.eos_id
        self._target_bos = tokenizer.target.bos_id
        self._target_eos = tokenizer.target.eos_id
        self._plan_epoch = functools.partial(
            plan_epoch,
            pairs.source_lengths,
            pairs.target_lengths,
            pairs.weights,
            batch_tokens=batch_tokens,
            accumulate=accumulate,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
        self._planned: tuple[int, UpdatePlan] | None = None

    def plan(self, epoch: int) -> UpdatePlan:
        """Return an epoch's plan; the last one asked for is kept."""
        if self._planned is None or self._planned[0] != epoch:
            self._planned = epoch, self._plan_epoch(epoch=epoch)
        return self._planned[1]

    def __getitem__(self, place: Place) -> Update:
        epoch, number = place
        plan = self.plan(epoch)
        batches = [
            self._batch(*rows)
            for places in plan.places(number)
            for rows in self._micro_batches(self._pairs[plan.order[places]], epoch, places.start)
        ]
        return Update(epoch, number, batches, plan.target_tokens(number))

    def _micro_batches(
        self, planned: tuple[Rows, Rows], epoch: int, start: int
    ) -> Iterable[tuple[Rows, Rows]]:
        """Return what a planned micro-batch is made of; see `Resampler` for the arguments."""
        if self._resample is None:
            return [planned]
        return self._resample(*planned, epoch=epoch, start=start)

    def _batch(self, sources: Rows, targets: Rows) -> Batch:
        return Batch(
            pad([[*source, self._source_eos] for source in sources]),
            pad([[self._target_bos, *target, self._target_eos] for target in targets]),
        )


class UpdateOrder(Sampler[Place]):
    """The places of a run's updates, from where it stands to its last epoch.

    Args:
        updates: what to go through.
        start: the first update to take.
        max_epochs: epochs in all; without end where it is None.
    """

    def __init__(self, updates: Updates, start: Place, max_epochs: int | None):
        self._updates, self._start, self._max_epochs = updates, start, max_epochs

    def __iter__(self) -> Iterator[Place]:
        epoch, number = self._start
        while self._max_epochs is None or epoch < self._max_epochs:
            for update in range(number, len(self._updates.plan(epoch))):
                yield epoch, update
            epoch, number = epoch + 1, 0


def update_loader(
    updates: Updates, *, start: Place = (0, 0), max_epochs: int | None, workers: int = 0
) -> DataLoader[Update]:
    """Give updates in order, prepared ahead by `workers` processes where that is above 0."""
    return DataLoader(
        updates,
        sampler=UpdateOrder(updates, start, max_epochs),
        batch_size=None,
        num_workers=workers,
        generator=torch.Generator(),  # the loader's own draws must not move the global one
    )
