import dataclasses

import pytest
import torch

from nmt.config import Config
from nmt.inference.device import cpu_has_bf16
from nmt.training.bf16_hint import bf16_hint, bf16_speedup

CPU = torch.device("cpu")
WITH_BF16 = pytest.mark.skipif(not cpu_has_bf16(), reason="the processor has no bf16 kernels")


@WITH_BF16
@pytest.mark.parametrize(("gain", "hints"), [(0.7, False), (1.4, False), (2.3, True)])
def test_a_large_gain_is_reported_with_the_key(gain: float, hints: bool) -> None:
    hint = bf16_hint(Config(), CPU, lambda size: gain)
    assert (hint is not None) == hints
    if hint is not None:
        assert str(gain) in hint and "--training.precision bf16" in hint


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_configured_precision_is_left_alone(precision: str) -> None:
    training = dataclasses.replace(Config().training, precision=precision)  # type: ignore[arg-type]
    assert bf16_hint(Config(training=training), CPU, lambda size: 9.0) is None


def test_a_gpu_needs_no_hint() -> None:
    assert bf16_hint(Config(), torch.device("cuda"), lambda size: 9.0) is None


@WITH_BF16
def test_measuring_moves_no_random_generator() -> None:
    before = torch.get_rng_state()
    assert bf16_speedup(32) > 0
    assert torch.equal(torch.get_rng_state(), before)
