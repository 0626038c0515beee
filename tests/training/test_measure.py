"""Memory and time of updates, against what can be worked out by hand."""

import copy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch import nn

import nmt.training.measure as measuring
from nmt.config import load_config
from nmt.training.data_module import TranslationData
from nmt.training.measure import MemoryFacts, measure_memory, saved_bytes, time_updates
from nmt.training.module import TranslationModule
from tests.training.made import changed, opened

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tiny_config: Path) -> TranslationData:
    return opened(load_config(tiny_config))


@pytest.fixture
def module(data: TranslationData) -> TranslationModule:
    return built(data)


def built(data: TranslationData) -> TranslationModule:
    module = TranslationModule(data.config)
    module.build(data)
    return module


def with_training(data: TranslationData, **settings: Any) -> TranslationData:
    """The same data with other settings of training."""
    other = copy.copy(data)
    other.config = changed(data.config, **settings)
    return other


def memory_of(data: TranslationData) -> MemoryFacts:
    return measure_memory(built(data), data.updates(), data.pairs, CPU, "fp32")


@pytest.mark.parametrize("rows", [1, 8])
def test_a_linear_layer_keeps_its_input_and_a_square_its_own(rows: int) -> None:
    layer, inputs = nn.Linear(5, 3), torch.randn(rows, 5)
    kept = saved_bytes(lambda: layer(inputs).square().sum(), layer.parameters())
    assert kept == 4 * (rows * 5 + rows * 3)  # the weights are parameters, and not counted


def test_memory_that_is_shared_counts_once() -> None:
    layer, inputs = nn.Linear(5, 3), torch.randn(2, 5)

    def forward() -> torch.Tensor:
        outputs = layer(inputs)
        return (outputs.view(6) * outputs.view(6)).sum()

    assert saved_bytes(forward, layer.parameters()) == 4 * (2 * 5 + 2 * 3)


def test_a_moving_average_needs_four_more_bytes_a_weight(
    data: TranslationData, module: TranslationModule
) -> None:
    memory = memory_of(data)
    more = memory_of(with_training(data, ema=0.999))
    weights = sum(one.numel() for one in module.model.parameters())
    assert more.parameters - memory.parameters == 4 * weights
    assert more.activations == memory.activations


def test_a_larger_batch_and_a_larger_vocabulary_need_more(
    data: TranslationData, module: TranslationModule
) -> None:
    memory = memory_of(data)
    assert memory.parameters == 16 * sum(one.numel() for one in module.model.parameters())
    assert memory.device is not None and memory.device > 2**28
    more = memory_of(with_training(data, batch_tokens=1024))
    # 4 × the tokens; the logits' softmax alone: tokens × vocabulary × 4 bytes.
    assert 3 * memory.activations < more.activations < 5 * memory.activations
    tokens = data.updates().plan(0).target_lengths.max()
    assert memory.activations > tokens * len(data.tokenizer.target) * 4


@pytest.mark.parametrize("sampling", [None, 0.1])
def test_the_widest_micro_batch_is_the_one_that_keeps_most(
    data: TranslationData, sampling: float | None
) -> None:
    data = with_training(data, subword_sampling=sampling)
    memory, module, updates = memory_of(data), built(data), data.updates()
    model = module.model.train()
    every = [
        saved_bytes(
            lambda batch=batch: model.loss(batch.source, batch.target, 0.1),  # type: ignore[misc]
            model.parameters(),
        )
        for number in range(len(updates.plan(0)))
        for batch in updates[0, number].batches
    ]
    assert memory.activations >= 0.95 * max(every)


def test_updates_are_timed_after_one_that_warms_up(
    data: TranslationData, module: TranslationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock of which an update takes two seconds, the first one a hundred."""
    ticks = iter([0.0, 100.0, 102.0, 110.0, 112.0, 120.0, 122.0, 130.0, 132.0])
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(ticks))
    plan = data.updates().plan(0)
    first = next(module.model.parameters()).detach().clone()
    timed = time_updates(module, data.updates(), CPU, "fp32")
    assert timed.updates == 3  # at least three, and more than three seconds
    tokens = sum(plan.target_tokens(number) for number in (1, 2, 3))
    assert timed.target_tokens_per_second == pytest.approx(tokens / 6)
    mean = sum(map(plan.target_tokens, range(len(plan)))) / len(plan)
    assert timed.seconds_per_update == pytest.approx(mean / (tokens / 6))
    assert not torch.equal(first, next(module.model.parameters()))


def test_at_most_twenty_are_timed(
    data: TranslationData, module: TranslationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(ticks) * 0.001)
    assert time_updates(module, data.updates(), CPU, "fp32").updates == 20


def test_a_busy_process_elsewhere_is_noticed(
    data: TranslationData, module: TranslationModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others use already varies, so only the sum's lower bound is certain."""
    monkeypatch.setattr(measuring, "_ENOUGH_UPDATES", 60)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before = psutil.Process(busy.pid).cpu_times().user
        start = time.monotonic()
        timed = time_updates(module, data.updates(), CPU, "fp32")
        used = psutil.Process(busy.pid).cpu_times().user - before
        share = used / (time.monotonic() - start)
    finally:
        busy.kill()
        busy.wait()
    assert timed.cores_of_others > 0.5 * share
