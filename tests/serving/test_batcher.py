"""The queue behind all requests: company, order, bounds, cancelling, failures, the end."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any

import pytest

from nmt.serving.batcher import Batcher, FullError


class Doubling:
    """Work that notes its batches, and waits while its gate is closed."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.begun.set()
        assert self.gate.wait(20)
        if -1 in items:
            raise ValueError("-1")
        return [2 * item for item in items]

    def close(self) -> None:
        """Let the next batch wait in work."""
        self.gate.clear()
        self.begun.clear()


@contextmanager
def running(most: int = 1000, window: float = 0.1) -> Iterator[Batcher]:
    batcher = Batcher(most, window=window)
    try:
        yield batcher
    finally:
        batcher.close()


def test_jobs_that_arrive_together_share_a_batch() -> None:
    work = Doubling()
    with running() as batcher:
        futures = [batcher.submit(work, [one, one + 10]) for one in range(5)]
        assert [future.result(5) for future in futures] == [
            [2 * one, 2 * one + 20] for one in range(5)
        ]
    assert work.batches == [[0, 10, 1, 11, 2, 12, 3, 13, 4, 14]]


def test_only_equal_work_shares_a_batch() -> None:
    one, other = Doubling(), Doubling()
    with running() as batcher:
        futures = [batcher.submit(work, [row]) for row, work in enumerate([one, other] * 2)]
        assert [future.result(5) for future in futures] == [[0], [2], [4], [6]]
    assert one.batches == [[0, 2]] and other.batches == [[1, 3]]


def test_a_long_job_holds_up_no_short_one() -> None:
    work, done = Doubling(), []
    with running(most=5000) as batcher:
        long = batcher.submit(work, range(2000))
        short = batcher.submit(work, [7])
        for name, future in (("long", long), ("short", short)):
            future.add_done_callback(lambda _, name=name: done.append(name))
        assert long.result(5) == list(range(0, 4000, 2))
    assert done == ["short", "long"]
    assert max(map(len, work.batches)) <= 256 and 7 in work.batches[0][64:]


def test_what_has_no_room_is_refused_until_there_is_room() -> None:
    work = Doubling()
    with running(most=10, window=0) as batcher:
        with pytest.raises(FullError):
            batcher.submit(work, range(11))
        work.close()
        first = batcher.submit(work, range(6))
        assert work.begun.wait(5)
        second = batcher.submit(work, range(4))
        with pytest.raises(FullError) as full:
            batcher.submit(work, [1])
        assert full.value.seconds > 0 and batcher.waiting == 10
        second.cancel()
        assert batcher.waiting == 6
        third = batcher.submit(work, range(4))
        work.gate.set()
        assert first.result(5) and third.result(5)
        assert batcher.waiting == 0
        batcher.submit(work, range(10)).result(5)


def test_a_cancelled_job_is_never_begun() -> None:
    work = Doubling()
    with running(window=0) as batcher:
        work.close()
        first = batcher.submit(work, [1])
        assert work.begun.wait(5)
        dropped, kept = batcher.submit(work, [2]), batcher.submit(work, [3])
        assert dropped.cancel()
        work.gate.set()
        assert first.result(5) == [2] and kept.result(5) == [6]
    assert work.batches == [[1], [3]]


def test_a_long_job_that_is_cancelled_in_work_goes_no_further() -> None:
    work = Doubling()
    with running(window=0) as batcher:
        work.close()
        long = batcher.submit(work, range(500))
        assert work.begun.wait(5)
        assert long.cancel() and batcher.waiting == 0
        work.gate.set()
        assert batcher.submit(work, [1]).result(5) == [2]
    assert work.batches == [list(range(64)), [1]]


def test_a_failing_job_harms_no_other() -> None:
    with running() as batcher:
        work = Doubling()
        futures = [batcher.submit(work, items) for items in ([1], [2, -1], [3])]
        assert futures[0].result(5) == [2] and futures[2].result(5) == [6]
        with pytest.raises(ValueError, match="-1"):
            futures[1].result(5)
        assert batcher.waiting == 0


def test_closing_finishes_what_was_accepted() -> None:
    work = Doubling()
    batcher = Batcher(1000, window=0.1)
    futures = [batcher.submit(work, range(300)), batcher.submit(work, [5])]
    batcher.close()
    assert all(future.done() for future in futures)
    assert futures[0].result() == list(range(0, 600, 2)) and futures[1].result() == [10]
    with pytest.raises(RuntimeError):
        batcher.submit(work, [1])


def test_many_threads_with_cancelled_and_failing_jobs() -> None:
    works, numbers = [Doubling(), Doubling()], itertools.count()
    wrong: list[Any] = []

    def client(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            items = [next(numbers) for _ in range(chance.choice([1, 2, 90]))]
            if chance.random() < 0.1:
                items.append(-1)
            try:
                future: Future[list[int]] = batcher.submit(chance.choice(works), items)
            except FullError:
                time.sleep(0.001)
                continue
            if chance.random() < 0.3:
                future.cancel()
            try:
                if future.result(20) != [2 * item for item in items]:
                    wrong.append(items)
            except CancelledError:
                pass
            except ValueError:
                if -1 not in items:
                    wrong.append(items)

    with running(most=300, window=0.0005) as batcher:
        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        assert batcher.waiting == 0
    assert not wrong
