"""What the process does with memory, seen from outside: its resident size."""

import os
import subprocess
import sys

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
