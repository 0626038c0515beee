"""Work side by side: the same results in order, errors passed on, threads left as they were."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from nmt.inference.threads import side_by_side

CPU = torch.device("cpu")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_threads_of_one_processor_each(two_threads: None) -> None:
    meeting = threading.Barrier(2, timeout=30)  # passes only where two are at work at once

    def work(number: int) -> tuple[int, int]:
        meeting.wait()
        return number * number, torch.get_num_threads()

    assert side_by_side(work, range(6), CPU) == [(number**2, 1) for number in range(6)]
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as other:  # and threads that others start have all, too
        assert other.submit(torch.get_num_threads).result() == 2


def test_one_piece_of_work_has_all_threads_to_itself(two_threads: None) -> None:
    def work(_: int) -> tuple[int, int]:
        return threading.get_ident(), torch.get_num_threads()

    assert side_by_side(work, [1], CPU) == [(threading.get_ident(), 2)]


def test_an_error_is_passed_on_and_ends_the_rest(two_threads: None) -> None:
    done = []

    def work(number: int) -> None:
        if number == 0:
            raise ValueError("no")
        done.append(number)

    with pytest.raises(ValueError, match="no"):
        side_by_side(work, range(10_000), CPU)
    assert len(done) < 9_999
    assert side_by_side(work, [], CPU) == []
