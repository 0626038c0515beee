"""Runs several work items at once, in threads of one process; sets the threads of torch."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_MOST_WORKERS = 16
"""More threads would wait for Python's lock."""


@contextlib.contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Compute with a number of threads in a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(
    work: Callable[[ItemT], ResultT], items: Sequence[ItemT], device: torch.device
) -> list[ResultT]:
    """Call a function on every item; on a CPU, on as many at once as torch has threads.

    A network's steps are many small operations. Threads that share each operation mostly wait for
    each other; threads with steps of their own do not.

    Args:
        work: the function; must be thread-safe.
        items: its arguments, the longest work first.
        device: of the computation; a GPU takes one item after the other.

    Returns:
        The results, in the order of the items.
    """
    workers = min(num_workers(device), len(items))
    if workers < 2:
        return [work(item) for item in items]
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
    )
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # torch shares the number with threads started later


def by_row(
    batches: Iterable[Sequence[int]], results: Iterable[Sequence[ResultT]]
) -> Iterator[tuple[int, ResultT]]:
    """Yield each row of the batches with its result."""
    for rows, done in zip(batches, results, strict=True):
        yield from zip(rows, done, strict=True)


def num_workers(device: torch.device) -> int:
    """Return the number of items that `side_by_side` works on at once."""
    return min(torch.get_num_threads(), _MOST_WORKERS) if device.type == "cpu" else 1
