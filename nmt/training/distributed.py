"""Ranks and collective operations; without a process group, one process of rank 0."""

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's rank; rank 0 logs and writes."""
    return dist.get_rank() if world_size() > 1 else 0


def local_world_size() -> int:
    """Return the number of training processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world_size() > 1 else 1


def gather(value: T) -> list[T]:
    """Return every process's value, in the order of their ranks."""
    values: list[Any] = [value] * world_size()
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


def first_makes(make: Callable[[], T]) -> T:
    """Call a function in rank 0, and broadcast its result to all ranks.

    If rank 0 fails, the others exit silently; rank 0 reports.
    """
    if world_size() == 1:
        return make()
    made: list[Any] = [None, 1]
    if rank() == 0:
        try:
            made = [make(), 0]
        except BaseException as error:
            dist.broadcast_object_list([None, getattr(error, "exit_code", 1)])
            raise
    dist.broadcast_object_list(made)
    value, failed = made
    if failed:
        sys.exit(failed)
    result: T = value
    return result
