"""Time and memory of updates, against a clock by hand and what must at least be there."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from nmt.config import load_config
from nmt.data.loader import Update, Updates
from nmt.preflight import cost as measuring
from nmt.preflight.cost import Cost, measure, memory_limit
from nmt.training.data_module import TranslationData
from tests.training.made import changed, opened

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tiny_config: Path) -> TranslationData:
    return opened(load_config(tiny_config))


def measured(data: TranslationData, processes: int = 1) -> Cost:
    return measure(data, processes, CPU, "fp32")


@pytest.mark.parametrize("processes", [1, 2])
def test_updates_are_timed_after_one_that_warms_up(
    data: TranslationData, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """With a clock of which the first update takes a hundred seconds, the others two."""
    ticks = iter([100.0, 102.0, 104.0, 106.0])
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    plan = data.updates().plan(0)
    cost = measured(data, processes)  # three updates: at least three, and more than three seconds
    tokens = sum(plan.target_tokens(number) for number in (1, 2, 3))
    assert cost.target_tokens_per_second == pytest.approx(processes * tokens / 6)
    plan = data.updates(world_size=processes).plan(0)
    mean = sum(map(plan.target_tokens, range(len(plan)))) / len(plan)
    assert cost.seconds_per_update == pytest.approx(mean / (processes * tokens / 6))
    assert cost.total_updates == 30 and cost.validations == 3
    assert cost.estimated_minutes == pytest.approx(30 * cost.seconds_per_update / 60)


def test_at_most_twenty_are_timed(data: TranslationData, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(21))
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) * 0.001)
    monkeypatch.setattr(measuring, "time", clock)
    measured(data)
    assert list(ticks) == []


def test_nothing_is_left_behind(data: TranslationData) -> None:
    threads, order = torch.get_num_threads(), data.updates()[0, 0].batches[0].source.tokens
    measured(data, 2)
    assert torch.get_num_threads() == threads
    assert torch.equal(data.updates()[0, 0].batches[0].source.tokens, order)


def test_a_busy_process_elsewhere_is_noticed(
    data: TranslationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others use already varies, so only the sum's lower bound is certain."""
    monkeypatch.setattr(measuring, "_MOST_UPDATES", 60)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        before = psutil.Process(busy.pid).cpu_times().user
        start = time.monotonic()
        cost = measured(data)
        used = psutil.Process(busy.pid).cpu_times().user - before
        share = used / (time.monotonic() - start)
    finally:
        busy.kill()
        busy.wait()
    assert cost.cores_of_others > 0.5 * share


def test_the_processes_that_prepare_batches_are_none_of_the_others(
    tiny_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine where nothing else runs, with batches that take long to prepare."""
    plain, cores = Updates.__getitem__, os.cpu_count() or 1
    marks = [os.times()]

    def slow(updates: Updates, position: tuple[int, int]) -> Update:
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        return plain(updates, position)

    def busy() -> float:
        marks.append(os.times())
        before, now = marks[-2:]
        return 100 * (sum(now[:4]) - sum(before[:4])) / (now.elapsed - before.elapsed) / cores

    monkeypatch.setattr(Updates, "__getitem__", slow)
    monkeypatch.setattr(psutil, "cpu_percent", busy)
    cost = measured(opened(changed(tiny_config, workers=1)))
    before, now = marks[-2:]
    workers = now.children_user - before.children_user
    assert workers > 0.1
    assert cost.cores_of_others < 0.1 * workers / (now.elapsed - before.elapsed)


@pytest.mark.slow
def test_a_larger_model_needs_its_weights_gradients_and_moments(tiny_config: Path) -> None:
    """In processes of their own, since a process remembers its peak."""
    costs = []
    for size in (1024, 2048):
        words = ["check", str(tiny_config), "--json", "--model.hidden_size", str(size)]
        done = subprocess.run(
            [sys.executable, "-m", "nmt", *words], capture_output=True, text=True, check=True
        )
        costs.append(json.loads(done.stdout)["cost"])
    small, large = costs
    more = large["parameters"] - small["parameters"]
    grown = 2**30 * (large["peak_gib"] - small["peak_gib"])
    assert 15 * more < grown < 40 * more
    assert large["device_gib"] == memory_limit() / 2**30 <= psutil.virtual_memory().total / 2**30


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/job/step\n", {"job/memory.max": "4096\n", "job/step/memory.max": "max\n"}, 4096),
        ("0::/\n", {"memory.max": "8192"}, 8192),
        (
            "5:cpu,cpuacct:/\n4:memory:/slurm/job\n0::/\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/slurm/memory.limit_in_bytes": "1024",
                "memory/slurm/job/memory.limit_in_bytes": "2048",
            },
            1024,
        ),
        ("4:memory:/docker/hidden\n", {"memory/memory.limit_in_bytes": "512"}, 512),
        ("0::/\n", {}, None),
    ],
)
def test_the_memory_of_a_job_is_the_least_of_its_groups(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int | None
) -> None:
    for name, text in ({"proc/self/cgroup": groups} | files).items():
        path = tmp_path / (name if name.startswith("proc") else f"sys/fs/cgroup/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert memory_limit(tmp_path) == (limit or psutil.virtual_memory().total)


def test_without_control_groups_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == psutil.virtual_memory().total
