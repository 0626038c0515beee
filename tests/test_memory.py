"""What the process does with memory, seen from outside: its resident size."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

GROWTH = """
import ctypes, sys
if sys.argv[1] == "tuned":
    from nmt.memory import tune_memory
    tune_memory()
import torch
torch.set_num_threads(1)

def resident():
    ctypes.CDLL(None).malloc_trim(0)  # what is free already does not count
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4 // 1024

def train(time):
    stack(torch.zeros(64, time, 128))[0].sum().backward()

stack = torch.nn.LSTM(128, 128, batch_first=True)
train(120)  # the largest of all, so that only what is kept grows
before = resident()
for time in range(20, 120):
    train(time)
print(resident() - before)
"""


def growth(how: str) -> int:
    """Return by how many MiB a process grows while it meets new shapes."""
    own = {name: value for name, value in os.environ.items() if "CACHE_CAPACITY" not in name}
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, how], env=own, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.slow
def test_new_shapes_do_not_pile_up_in_memory() -> None:
    plain, tuned = growth("plain"), growth("tuned")
    assert tuned < plain / 2, (tuned, plain)


ARENAS = """
import ctypes, os, re, sys, threading
if sys.argv[1] == "limited":
    from nmt.memory import limit_arenas
    limit_arenas()
barrier = threading.Barrier(4 * os.cpu_count())

def allocate():
    barrier.wait()
    kept = [bytes(2000) for _ in range(1000)]
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(barrier.parties)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, stream), libc.fclose(stream)
print(len(re.findall("<heap nr", open(sys.argv[2]).read())))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="not glibc")
def test_threads_share_as_many_arenas_as_there_are_processors(tmp_path: Path) -> None:
    def arenas(how: str) -> int:
        words = [sys.executable, "-c", ARENAS, how, str(tmp_path / "info")]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    assert arenas("limited") <= (os.cpu_count() or 1) < arenas("as it is")
