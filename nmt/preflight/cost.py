"""Memory and time of training, measured on a few real updates."""

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil
import torch

from nmt.data.loader import Update
from nmt.inference.device import describe_device
from nmt.inference.threads import torch_threads
from nmt.log import log
from nmt.training.data_module import TranslationData
from nmt.training.fit import fit_briefly

_MOST_UPDATES, _LEAST_UPDATES, _ENOUGH_SECONDS = 20, 3, 3.0


@dataclass(frozen=True)
class Cost:
    """Cost of a training run.

    Attributes:
        device: name of the device.
        precision: fp32 or bf16.
        parameters: number of weights of the network.
        peak_gib: peak memory of the GPU, or of the whole process on a CPU, after a few updates.
        device_gib: total memory of the GPU, or what the machine or the job allows.
        updates_per_epoch: updates of the first epoch.
        sentences_per_update: mean over the first epoch.
        target_tokens_per_update: mean over the first epoch, end tokens included.
        seconds_per_update: mean.
        target_tokens_per_second: end tokens included, all processes together.
        cores_of_others: mean number of CPU cores that other processes used during the measurement.
        total_updates: bound on the updates by the config's limits.
        validations: number of validations in these updates.
        estimated_minutes: time of these updates, without the validations.
    """

    device: str
    precision: str
    parameters: int
    peak_gib: float
    device_gib: float
    updates_per_epoch: int
    sentences_per_update: float
    target_tokens_per_update: float
    seconds_per_update: float
    target_tokens_per_second: float
    cores_of_others: float
    total_updates: int
    validations: int
    estimated_minutes: float


def measure(data: TranslationData, processes: int, device: torch.device, precision: str) -> Cost:
    """Train for a few updates on the device, without a run folder.

    Args:
        data: already set up.
        processes: number that would train together; this one uses the share of one.
        device: to train on.
        precision: fp32 or bf16.

    Raises:
        NmtError: training does not fit into memory.
    """
    config, described = data.config, describe_device(device)
    threads, process = torch.get_num_threads(), psutil.Process()
    if device.type == "cpu":
        threads = config.training.threads or max(1, threads // processes)
    ends: list[float] = []
    tokens: list[int] = []
    used: list[float] = []

    def after_update(update: Update) -> bool:
        """Return whether enough updates are measured; the first one is a warm-up."""
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        ends.append(time.perf_counter())
        tokens.append(update.target_tokens)
        if len(ends) == 1:  # psutil measures from its first call on
            psutil.cpu_percent()
            used.append(sum(process.cpu_times()[:4]))
        return len(ends) > _LEAST_UPDATES and ends[-1] - ends[0] >= _ENOUGH_SECONDS

    log.info("timing a few updates on %s", described)
    with torch_threads(threads):
        trained = fit_briefly(data, _MOST_UPDATES + 1, after_update)
    # With the children that have ended: those of training.workers.
    own = (sum(process.cpu_times()[:4]) - used[0]) / (ends[-1] - ends[0])
    busy = psutil.cpu_percent() / 100 * (os.cpu_count() or 1) - own
    speed = processes * sum(tokens[1:]) / (ends[-1] - ends[0])
    plan = data.updates(world_size=processes).plan(0)
    # Updates differ in size: extrapolate by tokens, whose mean number the plan gives.
    tokens_per_update = int(plan.target_lengths[plan.order].sum()) / len(plan)
    total = data.total_updates(processes)
    peak, whole = _memory(device)
    seconds = tokens_per_update / speed
    return Cost(
        device=described,
        precision=precision,
        parameters=sum(parameter.numel() for parameter in trained.model.parameters()),
        peak_gib=peak / 2**30,
        device_gib=whole / 2**30,
        updates_per_epoch=len(plan),
        sentences_per_update=len(plan.order) / len(plan),
        target_tokens_per_update=tokens_per_update,
        seconds_per_update=seconds,
        target_tokens_per_second=speed,
        cores_of_others=max(0.0, busy),
        total_updates=total,
        validations=-(-total // config.training.validate_every),
        estimated_minutes=total * seconds / 60,
    )


def _memory(device: torch.device) -> tuple[int, int]:
    """Return the peak and the limit of memory in bytes."""
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        return torch.cuda.max_memory_reserved(device), whole
    # `ru_maxrss` may be that of the parent process.
    kibibytes = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(kibibytes[1]) * 1024 if kibibytes else 0, memory_limit()


def memory_limit(root: Path = Path("/")) -> int:
    """Return the bytes of memory that this process may use.

    Containers and cluster jobs are control groups with limits below the machine's memory; the
    limit of a group also holds for the groups inside it.

    Args:
        root: the folder of `proc` and `sys`.

    Source: cgroups(7), versions 1 and 2.
    """
    limits = [int(psutil.virtual_memory().total)]
    groups = root / "proc/self/cgroup"
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, group = line.split(":", 2)
        mount = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        if controllers in ("", "memory"):
            own = PurePosixPath(group.lstrip("/"))
            for folder in (own, *own.parents):
                with contextlib.suppress(OSError, ValueError):  # no limit: no file, or "max"
                    limits.append(int((mount / folder / name).read_text()))
    return min(limits)
