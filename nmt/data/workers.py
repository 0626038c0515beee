"""Work that several processes share, in its order; nothing of it depends on how many there are."""

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

_AHEAD = 3  # items under way for each worker
Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Apply a function to items, some of them ahead of what is asked for.

    Args:
        function: sent once to every worker; it must survive pickling.
        items: what to work on, read in this process.
        workers: processes; with 1, all is done in this one.

    Raises:
        NmtError: a worker died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = ProcessPoolExecutor(
        workers,
        # A fork would copy this process's threads and whatever they hold locked.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(function,),
    )
    waiting: deque[Future[Any]] = deque()
    try:
        for item in items:
            with _ctrl_c_held_back(), _empty_main():  # here the workers start
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
    """Answer Ctrl-C after the block; processes that start in it leave that to this one for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    # Another thread may still take the signal; Python then answers in the main thread.
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

    Each would import it, and one without `if __name__ == "__main__"` would start all over. A
    notebook's main module is none that could be imported.
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
    """Leave when the main process is gone, which a kill leaves it no time to say."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(item: Any) -> Any:
    return _function(item)
