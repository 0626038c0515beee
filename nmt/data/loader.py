"""Loads updates as tensors, in the order of the plan."""

import functools
import io
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from nmt.data.encoded import EncodedPairs, Rows
from nmt.data.plan import UpdatePlan, plan_epoch
from nmt.errors import NmtError
from nmt.models.batch import Padded, pad
from nmt.text.lines import reason
from nmt.text.tokenizer import Tokenizer

Position = tuple[int, int]
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
    """The micro-batches of one optimizer step on one rank.

    Attributes:
        epoch: counted from 0.
        number: the update's number in its epoch, counted from 0.
        batches: micro-batches.
        target_tokens: target tokens of the whole update, over all ranks, end tokens included.
    """

    epoch: int
    number: int
    batches: list[Batch]
    target_tokens: int

    def to(self, device: torch.device) -> "Update":
        """Move the tokens to a device; Lightning does so before a training step."""
        return replace(self, batches=[batch.to(device) for batch in self.batches])


class Updates(Dataset[Update]):
    """Every update of every epoch of a run, by (epoch, number).

    Args:
        pairs: the encoded training split.
        tokenizer: source of the start and end tokens.
        **settings: `batch_tokens`, `accumulate`, `seed`, `rank` and `world_size` of `plan_epoch`.
    """

    def __init__(self, pairs: EncodedPairs, tokenizer: Tokenizer, **settings: int):
        self._pairs = pairs
        self._tokenizer = tokenizer
        self._plan_epoch = functools.partial(
            plan_epoch, pairs.source_lengths, pairs.target_lengths, pairs.weights, **settings
        )
        self._planned: tuple[int, UpdatePlan] | None = None

    def plan(self, epoch: int) -> UpdatePlan:
        """Return an epoch's plan; the last one is cached."""
        if self._planned is None or self._planned[0] != epoch:
            self._planned = epoch, self._plan_epoch(epoch=epoch)
        return self._planned[1]

    def __getitem__(self, position: Position) -> Update:
        epoch, number = position
        plan = self.plan(epoch)
        batches = [self._batch(*self._pairs[indices]) for indices in plan[number]]
        return Update(epoch, number, batches, plan.target_tokens(number))

    def positions(self, start: Position) -> Iterator[Position]:
        """Yield the positions of all updates from a given one on, in an endless run of epochs."""
        epoch, number = start
        while True:
            for update in range(number, len(self.plan(epoch))):
                yield epoch, update
            epoch, number = epoch + 1, 0

    def _batch(self, sources: Rows, targets: Rows) -> Batch:
        source, target = self._tokenizer.source, self._tokenizer.target
        return Batch(
            pad([source.input_ids(ids) for ids in sources]),
            pad([[target.bos_id, *target.input_ids(ids)] for ids in targets]),
        )


def _pickled(update: Update) -> bytes:
    """Return an update as bytes, which workers send through pipes.

    Tensors would go through shared memory and take an open file each. If either runs out, the
    worker fails in a thread and this process waits forever.
    """
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dispatch_table = {torch.Tensor: lambda tensor: (torch.from_numpy, (tensor.numpy(),))}
    pickler.dump(update)
    return buffer.getvalue()


class UpdateLoader:
    """Yields the updates of training in order; its position can be saved and restored.

    Each iteration yields as many updates as the first epoch has, and continues where the one before
    ended. Fractional weights make epochs differ by a few updates; iterations do not differ, since
    Lightning fixes an epoch's length when training starts.

    Args:
        updates: all updates of the run.
        workers: processes that prepare updates ahead; 0 prepares them in this process.
    """

    def __init__(self, updates: Updates, workers: int = 0):
        self.updates = updates
        self._workers = workers
        self._length = len(updates.plan(0))
        self._position: Position = (0, 0)
        self._stream: Iterator[Update] | None = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Update]:
        if self._stream is None:
            self._stream = self._start()
        for _ in range(len(self)):
            update = next(self._stream)
            # Lightning reads the state before it asks for the next update, and never exhausts us.
            self._position = update.epoch, update.number + 1
            yield update

    def _start(self) -> Iterator[Update]:
        """Start the workers, and yield their updates.

        Raises:
            NmtError: a worker cannot start.
        """
        loader: DataLoader[Any] = DataLoader(
            self.updates,
            sampler=self.updates.positions(self._position),
            batch_size=None,
            collate_fn=_pickled if self._workers else None,  # type: ignore[arg-type]
            num_workers=self._workers,
            generator=torch.Generator(),  # the loader's draws must not move the global one
        )
        if not self._workers:
            yield from loader
        failure = ""
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            stream = iter(loader)
        except OSError as error:  # torch's unfinished iterator complains when it is deleted
            failure = reason(error)
        sys.unraisablehook = hook
        if failure:
            raise NmtError(
                f"training.workers: {self._workers}: cannot start: {failure}; set it to 0"
            )
        yield from map(pickle.loads, stream)

    def close(self) -> None:
        """End the processes that prepare updates; another iteration starts them again."""
        self._stream = None

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the next update."""
        epoch, number = self._position
        return {"epoch": epoch, "update": number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position."""
        self._position, self._stream = (state["epoch"], state["update"]), None
