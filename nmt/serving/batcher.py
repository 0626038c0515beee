"""Batches the work of concurrent requests, and runs it in one thread.

The batcher is independent of models and HTTP. One thread serves all models: torch has one thread
count per process, and two concurrent batches would only share the same cores.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

Run = Callable[[list[Any]], Sequence[Any]]
"""Returns one result for each item. Jobs with equal ones, by `==` and `hash`, share a batch."""
WINDOW = 0.002
"""Seconds that the first request of a batch waits for others."""
_BATCH = 256  # items done at a time
_SHARE = 64  # items of one job among them, so that a long one holds up no short one


class FullError(Exception):
    """The queue is full.

    Args:
        seconds: estimate of the time until there is room.
    """

    def __init__(self, seconds: float):
        super().__init__()
        self.seconds = seconds


@dataclass(eq=False)
class _Job:
    """The items of one request, and their results so far."""

    run: Run
    items: list[Any]
    future: "Future[list[Any]]" = field(default_factory=Future)
    results: list[Any] = field(default_factory=list)

    @property
    def part(self) -> list[Any]:
        """The items of the next batch."""
        return self.items[len(self.results) : len(self.results) + _SHARE]


class Batcher:
    """A bounded queue and the thread that empties it.

    Args:
        most_waiting: maximum number of items queued or in progress.
        window: seconds; see `WINDOW`.
        observe: called after each batch with its number of items and its seconds.

    Attributes:
        waiting: number of items queued or in progress.
    """

    def __init__(
        self,
        most_waiting: int,
        *,
        window: float = WINDOW,
        observe: Callable[[int, float], None] = lambda items, seconds: None,
    ):
        self._most, self._window, self._observe = most_waiting, window, observe
        self._jobs: deque[_Job] = deque()
        self.waiting = 0
        self._closed = False
        self._pace = 0.01  # seconds an item, a moving average
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="nmt-serve", daemon=True)
        self._thread.start()

    def submit(self, run: Run, items: Sequence[Any]) -> "Future[list[Any]]":
        """Queue a job.

        Args:
            run: does the work of several items, from one or several jobs.
            items: at least one.

        Returns:
            A future of the results, in order. Cancelling it drops the items not yet started.

        Raises:
            FullError: the queue is full.
        """
        job = _Job(run, list(items))
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            if self.waiting + len(job.items) > self._most:
                raise FullError(self.waiting * self._pace)
            self.waiting += len(job.items)
            self._jobs.append(job)
            self._changed.notify()
        job.future.add_done_callback(lambda _: self._leave(job))
        return job.future

    def close(self) -> None:
        """Finish all accepted work, then stop the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _leave(self, job: _Job) -> None:
        """Remove a cancelled job from the queue."""
        with self._changed:
            self.waiting -= len(job.items)
            if job.future.cancelled():
                with contextlib.suppress(ValueError):  # it is in work
                    self._jobs.remove(job)
            self._changed.notify()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            started = time.perf_counter()
            count = sum(len(job.part) for job in batch)
            groups: dict[Run, list[_Job]] = {}
            for job in batch:
                groups.setdefault(job.run, []).append(job)
            for run, jobs in groups.items():
                _advance(run, jobs)
            if batch:
                seconds = time.perf_counter() - started
                self._pace += 0.2 * (seconds / count - self._pace)
                self._observe(count, seconds)
            with self._changed:  # long jobs go on behind those that came meanwhile
                self._jobs.extend(job for job in batch if not job.future.done())

    def _next_batch(self) -> list[_Job] | None:
        """Wait for jobs; None once closed and empty. Some may be cancelled already."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            if not self._jobs:
                return None
            self._changed.wait_for(lambda: self._closed or self._queued() >= _BATCH, self._window)
            batch: list[_Job] = []
            count = 0
            while self._jobs and count < _BATCH:
                batch.append(self._jobs.popleft())
                count += len(batch[-1].part)
            return batch

    def _queued(self) -> int:
        return sum(len(job.part) for job in self._jobs)


def _advance(run: Run, jobs: list[_Job]) -> None:
    """Run the next part of some jobs as one batch; if it fails, one by one."""
    parts = [job.part for job in jobs]
    try:
        results = iter(run([item for part in parts for item in part]))
        for job, part in zip(jobs, parts, strict=True):
            job.results += [next(results) for _ in part]
    except Exception as error:
        if len(jobs) > 1:
            for job in jobs:
                _advance(run, [job])
        elif jobs[0].future.set_running_or_notify_cancel():
            jobs[0].future.set_exception(error)
        return
    for job in jobs:
        if len(job.results) == len(job.items) and job.future.set_running_or_notify_cancel():
            job.future.set_result(job.results)
