"""Child processes that end with this process, even if it is killed: one, or a pool of workers."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from nmt.errors import NmtError

COMMAND = "from nmt.cli.main import main; main()"
"""Code of a `ChildProcess` that runs `nmt` with the words it is given."""
_LIFELINE = "NMT_LIFELINE"
_AHEAD = 3  # items in flight for each worker
Item = TypeVar("Item")
Result = TypeVar("Result")
_WATCH = "from nmt.processes import end_with_parent; end_with_parent()\n"


class ChildProcess(subprocess.Popen[bytes]):
    """Python code in a process group of its own, which is killed when this process ends.

    The child reads from a pipe whose only writing end is this process's: also after `kill -9` the
    kernel closes it. The child watches it before it imports anything slow. Ctrl-C at a terminal
    reaches this process alone.

    Args:
        code: Python source to run.
        *words: its `sys.argv[1:]`.
        **options: of `subprocess.Popen`.
    """

    def __init__(self, code: str, *words: str, **options: Any):
        reading, writing = os.pipe()
        self._lifeline = os.fdopen(writing, "wb", buffering=0)
        options["env"] = options.get("env", os.environ) | {_LIFELINE: str(reading)}
        options |= {"pass_fds": [reading], "start_new_session": True}
        try:
            # By default the modules of the working folder come first, such as a `tokenize.py`.
            code = f"import sys; sys.path[:] = {sys.path!r}\n{_WATCH}{code}"
            super().__init__([sys.executable, "-c", code, *words], **options)
        finally:
            os.close(reading)

    def end(self) -> None:
        """Kill the process and its descendants, and wait until it has ended."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.communicate()
        self._lifeline.close()


def end_with_parent() -> None:
    """Kill this process's group once the process that started it as a `ChildProcess` has ended."""
    reading = int(os.environ.pop(_LIFELINE))

    def watch() -> None:
        os.read(reading, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def last_error(log: Path) -> str:
    """Return the error in the last line of a command's log; empty if the log is."""
    last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    return last.removeprefix("nmt: error: ")


class WorkerPool(Generic[Item, Result]):
    """Processes that apply one function to many items.

    Args:
        function: sent once to every worker; must be picklable.
        workers: number of processes; 1 does everything in this process.
    """

    def __init__(self, function: Callable[[Item], Result], workers: int):
        self._function = function
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        if workers > 1:
            self._pool = ProcessPoolExecutor(
                workers,
                # A fork would copy the locks that this process's threads hold.
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
                initargs=(function,),
            )

    def map(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result of each item, in order; a few items are read ahead of the consumer.

        Raises:
            NmtError: a worker died.
        """
        if self._pool is None:
            yield from map(self._function, items)
            return
        waiting: deque[Future[Any]] = deque()
        try:
            for item in items:
                with _ctrl_c_held_back(), _empty_main():  # submitting starts the workers
                    waiting.append(self._pool.submit(_work, item))
                if len(waiting) == _AHEAD * self.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise NmtError(
                f"one of {self.workers} worker processes died; if memory ran out, close other "
                "programs or use a machine with more memory"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the workers after their current items."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


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
