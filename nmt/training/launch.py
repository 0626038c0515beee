"""The processes that train one model: torchrun's, srun's, or started here.

Lightning's own launcher runs `sys.argv` again, refuses notebooks, and leaves its processes behind
when the first one is killed.
"""

import contextlib
import os
import pickle
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from nmt.config import TrainingConfig
from nmt.errors import NmtError, UsageError
from nmt.inference.threads import torch_threads
from nmt.processes import ChildProcess
from nmt.training.cluster import check_launched, launcher, process_group

_WORKER = "from nmt.training.run import worker_main; worker_main()"


@contextlib.contextmanager
def processes(
    config: TrainingConfig, device: torch.device, *call: object
) -> Iterator[ClusterEnvironment | None]:
    """Join the processes that train together; start them unless a launcher has.

    Every process computes with its share of the threads. Processes started here also run
    `train(*call)`, and end when this one ends.

    Args:
        config: the `training` section.
        device: kind of device to train on.
        call: the arguments of `train`.

    Yields:
        Lightning's description of the processes; None for one process.

    Raises:
        UsageError: the config and the launcher disagree, or the machine has too few devices.
        NmtError: one of the processes has died.
    """
    environment = launcher()
    size = num_processes(config, device) if environment is None else 1
    with torch_threads(config.threads or max(1, torch.get_num_threads() // size)):
        if environment is not None:
            check_launched(environment, config)
            with process_group(environment):
                yield environment
        elif size == 1:
            yield None
        else:
            with _started(size, call) as environment:
                yield environment


def num_processes(config: TrainingConfig, device: torch.device) -> int:
    """Return the number of processes to start.

    Raises:
        UsageError: the machine has too few GPUs or cores for them.
    """
    cores = os.cpu_count() or 1
    most, limit = max(4, cores), f"{cores} CPU cores"
    if config.threads is not None and config.threads > most:
        raise UsageError(f"training.threads: {config.threads} exceeds the {limit}; use 1 to {most}")
    if device.type == "cuda":
        most = torch.cuda.device_count()
        limit = f"{most} GPUs"
    size = config.devices
    if size == "auto":  # on a CPU several processes are no faster than one of as many threads
        return most if device.type == "cuda" else 1
    if size > most:
        raise UsageError(f"training.devices: {size} exceeds the {limit}; use 1 to {most}")
    return size


@contextlib.contextmanager
def _started(size: int, call: Sequence[object]) -> Iterator[ClusterEnvironment]:
    """Start the other processes, and join them as the first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    variables |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    variables["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    variables["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # only this process's warnings are shown
    others: list[ChildProcess] = []
    try:
        for rank in range(1, size):
            own = variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            others.append(ChildProcess(_WORKER, stdin=-1, env=os.environ | own))
            assert others[-1].stdin is not None
            pickle.dump(call, others[-1].stdin)
            others[-1].stdin.close()
        with _variables(variables | {"RANK": "0", "LOCAL_RANK": "0"}), _watched(others) as joined:
            environment = TorchElasticEnvironment()
            with process_group(environment):
                joined.set()
                yield environment
        for other in others:
            other.wait()
    except RuntimeError as error:
        codes = _failures(others)
        if not codes:
            raise
        raise NmtError(
            f"a training process ended with exit code {codes[0]}; continue with --resume"
        ) from error
    finally:
        for other in others:
            other.end()


def _failures(others: Sequence[ChildProcess]) -> list[int]:
    """Return exit codes other than 0; a connection may break a moment before its process ends."""
    for other in others:
        with contextlib.suppress(subprocess.TimeoutExpired):
            other.wait(timeout=1)
    return [code for code in (other.poll() for other in others) if code]


@contextlib.contextmanager
def _watched(others: Sequence[ChildProcess]) -> Iterator[threading.Event]:
    """Exit if a process dies before all have joined: the group would wait for it forever."""
    joined = threading.Event()

    def watch() -> None:
        while not joined.wait(0.2):
            if any(other.poll() is not None for other in others):
                os.write(2, b"nmt: error: a training process ended before training began\n")
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield joined
    finally:
        joined.set()


@contextlib.contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a block."""
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]
        os.environ.update(before)
