"""Several pieces of work at once in one process."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
_MOST_WORKERS = 16
"""More would wait for each other in Python."""


def side_by_side(
    work: Callable[[ItemT], ResultT], items: Sequence[ItemT], device: torch.device
) -> list[ResultT]:
    """Do work on every item, on a CPU on as many at once as torch has threads.

    A network's steps are many small operations: threads that share each of them spend their time
    on waiting for each other, threads with steps of their own do not.

    Args:
        work: what to do; it must be safe in threads.
        items: what to do it on, the longest work first.
        device: where torch computes; a GPU takes one item after the other.

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
        torch.set_num_threads(threads)  # for threads that others start: torch shares the number


def num_workers(device: torch.device) -> int:
    """Return how many pieces of work `side_by_side` does at once."""
    return min(torch.get_num_threads(), _MOST_WORKERS) if device.type == "cpu" else 1
