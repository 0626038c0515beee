"""What an update costs: memory and time, measured on a few real ones."""

import functools
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor

from nmt.data.encoded import EncodedPairs
from nmt.data.loader import Batch, Update, Updates
from nmt.inference.device import arithmetic
from nmt.training.module import TranslationModule

_BYTES_PER_PARAMETER = 16
"""A weight, its gradient and Adam's two moments, in fp32."""
_BYTES_PER_AVERAGE = 4
_ENOUGH_UPDATES, _LEAST_UPDATES, _ENOUGH_SECONDS = 20, 3, 3.0


@dataclass(frozen=True)
class MemoryFacts:
    """Bytes that training needs, about.

    Attributes:
        parameters: weights, gradients, the optimizer's moments and the moving average.
        activations: what the widest micro-batch keeps for its backward pass.
        device: what there is: the GPU's memory, or the machine's; None where nobody knows.
    """

    parameters: int
    activations: int
    device: int | None


@dataclass(frozen=True)
class TimeFacts:
    """Updates that were timed.

    Attributes:
        updates: how many, after one to warm up.
        seconds_per_update: mean.
        target_tokens_per_second: end tokens included.
        cores_of_others: CPU cores that other processes used meanwhile, mean.
    """

    updates: int
    seconds_per_update: float
    target_tokens_per_second: float
    cores_of_others: float


def measure_memory(
    module: TranslationModule,
    updates: Updates,
    pairs: EncodedPairs,
    device: torch.device,
    precision: str,
) -> MemoryFacts:
    """Run the widest micro-batches of the first epoch forward, and see what they keep."""
    model = module.model.to(device).train()
    activations = 0
    for batch in _widest(updates, pairs):
        batch = batch.to(device)
        with arithmetic(precision, device):
            loss = functools.partial(module.loss, batch)
            activations = max(activations, saved_bytes(loss, model.parameters()))
    weights = sum(parameter.numel() for parameter in model.parameters())
    each = _BYTES_PER_PARAMETER + (0 if module.config.training.ema is None else _BYTES_PER_AVERAGE)
    return MemoryFacts(each * weights, activations, _device_bytes(device))


def saved_bytes(forward: Callable[[], Tensor], parameters: Iterable[Tensor]) -> int:
    """Return the bytes that a forward pass keeps for its backward pass, parameters aside.

    Memory that several tensors share is counted once. The peak of the backward pass lies above:
    it also holds the gradients of a layer or two.
    """
    known = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = forward()  # keeps all that was saved, so that no address is used twice
    del kept
    return sum(sizes.values())


def time_updates(
    module: TranslationModule, updates: Updates, device: torch.device, precision: str
) -> TimeFacts:
    """Make a few real updates, after one to warm up. The weights are changed by it."""
    module.model.to(device).train()
    optimizer = torch.optim.AdamW(module.model.parameters(), fused=True)
    plan = updates.plan(0)
    seconds: list[float] = []
    tokens = 0
    others = _CoresOfOthers()
    for number in range(_ENOUGH_UPDATES + 1):
        start = time.perf_counter()
        update = updates[0, number % len(plan)]
        _learn(module, optimizer, update, device, precision)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number > 0:
            seconds.append(time.perf_counter() - start)
            tokens += update.target_tokens
        if len(seconds) >= _LEAST_UPDATES and sum(seconds) >= _ENOUGH_SECONDS:
            break
    # Updates differ in size: time goes by tokens, and the plan knows how many an update has.
    speed = tokens / sum(seconds)
    mean = int(plan.target_lengths[plan.order].sum()) / len(plan)
    return TimeFacts(len(seconds), mean / speed, speed, others())


class _CoresOfOthers:
    """Measures how many CPU cores other processes use, from when it was made."""

    def __init__(self) -> None:
        self._start = self._now()

    def __call__(self) -> float:
        """Return the mean number of cores since then."""
        (wall, busy, own), (wall_before, busy_before, own_before) = self._now(), self._start
        others = (busy - busy_before) - (own - own_before)
        return max(0.0, others / max(wall - wall_before, 1e-9))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Return seconds on the clock, of all cores' work, and of this process's work."""
        times = psutil.cpu_times()
        waiting = times.idle + getattr(times, "iowait", 0.0) + getattr(times, "guest", 0.0)
        return time.monotonic(), sum(times) - waiting, time.process_time()


def _learn(
    module: TranslationModule,
    optimizer: torch.optim.Optimizer,
    update: Update,
    device: torch.device,
    precision: str,
) -> None:
    """Make one update as `TranslationModule.training_step` does, without Lightning."""
    for micro in update.to(device).batches:
        with arithmetic(precision, device):
            loss = module.loss(micro)
        (loss / update.target_tokens).backward()
    torch.nn.utils.clip_grad_norm_(
        module.model.parameters(), module.config.training.clip_norm or math.inf
    )
    optimizer.step()
    optimizer.zero_grad()


def _widest(updates: Updates, pairs: EncodedPairs) -> list[Batch]:
    """Return the micro-batches of the first epoch's updates that may keep most.

    Those with the most cells, the most tokens, and, since unequal sources are read another way,
    the most cells among the batches that have them. Where subwords are sampled, a planned
    micro-batch may be split, so all of its update are tried.
    """
    plan = updates.plan(0)
    sizes: list[tuple[tuple[int, ...], int]] = []
    for number in range(len(plan)):
        for rows in plan[number]:
            if len(rows) == 0:
                continue
            sources, targets = pairs.source_lengths[rows], pairs.target_lengths[rows]
            cells = len(rows) * (int(sources.max()) + int(targets.max()))
            unequal = cells if sources.min() < sources.max() else 0
            sizes.append(((cells, int(targets.sum()), unequal), number))
    numbers = {max(sizes, key=lambda entry: entry[0][measure])[1] for measure in range(3)}
    batches = [batch for number in sorted(numbers) for batch in updates[0, number].batches]
    return [batch for batch in batches if len(batch.target.lengths)]


def _device_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
