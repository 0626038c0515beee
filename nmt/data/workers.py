"""An ordered map over several processes, whose results do not depend on their number."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from nmt.errors import NmtError

_AHEAD = 3  # items in flight for each worker
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Apply a function to items, some of them ahead of the consumer.

    Args:
        function: sent once to every worker; must be picklable.
        items: read in this process.
        workers: number of processes; 1 does everything in this process.

    Raises:
        NmtError: a worker died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(
        workers,
        # A fork would copy the locks that this process's threads hold.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(function,),
    )
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            with _ctrl_c_held_back(), _empty_main():  # submitting starts the workers
                waiting.append(pool.submit(_work, item))
            if len(waiting) == _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise NmtError(
            f"one of {workers} processes that encode the corpus died; if memory ran out, close "
            "other programs or train on a machine with more memory"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block; processes started in it ignore Ctrl-C for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    # Another thread may still receive the signal; Python then runs the handler in the main thread.
    handler = signal.getsignal(signal.SIGINT)
    ours = handler is not None and threading.current_thread() is threading.main_thread()
    came: list[int] = []
    if ours:
        signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def _empty_main() -> Iterator[None]:
    """Keep processes that start in the block from running the user's script again.

    Each would import it, and a script without `if __name__ == "__main__"` would start over. A
    notebook's main module cannot be imported at all.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


_function: Callable[[Any], Any]  # of a worker process


def _start(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Exit when the main process is gone, also after a kill."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(item: Any) -> Any:
    return _function(item)
