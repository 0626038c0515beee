"""A hint to train in bf16 on a processor that computes much faster in it."""

import functools
import timeit
from collections.abc import Callable

import torch

from nmt.config import Config
from nmt.inference.device import arithmetic, cpu_has_bf16

_MUCH = 1.5  # times as fast; below, fp32 is the safer choice
_ROWS, _STEPS, _TRIALS = 64, 20, 4  # a pass takes tens of milliseconds


def bf16_speedup(size: int) -> float:
    """Return how much faster an LSTM layer trains in bf16 than in fp32 on this processor.

    Times a forward and a backward pass, best of four; leaves the random generators as they are.

    Args:
        size: width of the layer.
    """
    with torch.random.fork_rng(devices=[]):
        layer, inputs = torch.nn.LSTM(size, size), torch.randn(_STEPS, _ROWS, size)

    def train(precision: str) -> None:
        with arithmetic(precision, torch.device("cpu")):
            outputs, _ = layer(inputs)
        outputs.float().sum().backward()

    fp32, bf16 = (
        min(timeit.repeat(functools.partial(train, kind), number=1, repeat=_TRIALS))
        for kind in ("fp32", "bf16")
    )
    return fp32 / bf16


def bf16_hint(
    config: Config, device: torch.device, speedup: Callable[[int], float] = bf16_speedup
) -> str | None:
    """Return a hint to set `training.precision`; None if it is set, or would gain little.

    Args:
        config: of the run.
        device: to train on.
        speedup: measures the gain for a layer's width.
    """
    if config.training.precision != "auto" or device.type != "cpu" or not cpu_has_bf16():
        return None
    gain = speedup(config.model.hidden_size)
    if gain < _MUCH:
        return None
    return (
        f"LSTM layers of this width train {gain:.1f} times as fast in bf16 on this processor: "
        "consider --training.precision bf16"
    )
