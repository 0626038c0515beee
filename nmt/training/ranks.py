"""The processes that train one model together: starting them, and how they agree."""

import contextlib
import datetime
import os
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from nmt.config import TrainingConfig
from nmt.errors import NmtError, UsageError

T = TypeVar("T")
_PATIENCE = datetime.timedelta(days=7)  # others wait while the first encodes a large corpus
_FOLLOW = "from nmt.training.run import follow; follow()"


@dataclass(frozen=True)
class Ranks:
    """This process among those that share every update.

    Attributes:
        rank: its number; 0 alone speaks and writes.
        size: how many they are.
        local_size: how many of them run on this machine.
        environment: tells Lightning the same; None for one process.
    """

    rank: int = 0
    size: int = 1
    local_size: int = 1
    environment: ClusterEnvironment | None = None

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    @property
    def local_rank(self) -> int:
        """This process's number on its machine."""
        return 0 if self.environment is None else self.environment.local_rank()

    def share(self, make: Callable[[], T]) -> T:
        """Let the first process make something, and give it to all.

        Where that fails the others leave without a word: the first has said it.
        """
        if self.size == 1:
            return make()
        made: list[Any] = [None, 1]
        if self.first:
            try:
                made = [make(), 0]
            except BaseException as error:
                dist.broadcast_object_list([None, getattr(error, "exit_code", 1)])
                raise
        dist.broadcast_object_list(made)
        value, failed = made
        if failed:
            sys.exit(failed)
        result: T = value
        return result

    @contextlib.contextmanager
    def all_threads(self) -> Iterator[None]:
        """Compute with the threads of every process on this machine, while those wait."""
        threads = torch.get_num_threads()
        torch.set_num_threads(threads * self.local_size)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    def gather(self, value: T) -> list[T]:
        """Return every process's value, in the order of their ranks."""
        values: list[Any] = [value] * self.size
        if self.size > 1:
            dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Tell whether the flag is up in any process."""
        if self.size == 1:
            return flag
        raised = torch.tensor(int(flag))
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return bool(raised)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Add up a tensor over all processes."""
        if self.size > 1:
            values = values.cpu()
            dist.all_reduce(values)
        return values


@contextlib.contextmanager
def joined(config: TrainingConfig, device: torch.device, *call: object) -> Iterator[Ranks]:
    """Join the processes that train together; start them where nothing else has.

    Under torchrun and srun they are there already. Else this process is the first, and starts the
    others, which call `train(*call)` too. They end when it ends, however it ends.

    Args:
        config: the `training` section.
        device: kind of device to train on.
        call: the arguments of `train`.

    Raises:
        UsageError: the config and the launcher disagree, or there is nothing to launch with.
        NmtError: one of the processes has died.
    """
    environment = _launched()
    if environment is not None:
        ranks = _described(environment, config)
        with _group(ranks):
            yield ranks
        return
    size = num_devices(config, device)
    if size == 1:
        yield Ranks()
        return
    threads = torch.get_num_threads()
    variables = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "OMP_NUM_THREADS": str(max(1, threads // size)),
    }
    with _variables(variables | _place(0)), _followers(size, call) as followers:
        torch.set_num_threads(max(1, threads // size))
        ranks = Ranks(0, size, size, TorchElasticEnvironment())
        try:
            with _all_alive(followers) as joined_up, _group(ranks):
                joined_up.set()
                yield ranks
        except RuntimeError as error:
            codes = [code for code in (one.poll() for one in followers) if code]
            if not codes:
                raise
            raise NmtError(
                f"a training process ended with exit code {codes[0]}; go on with --resume"
            ) from error
        finally:
            torch.set_num_threads(threads)


def num_devices(config: TrainingConfig, device: torch.device) -> int:
    """Return how many processes to start."""
    if config.num_nodes > 1:
        raise UsageError(
            f"training.num_nodes: {config.num_nodes} machines need a launcher; "
            "start nmt on each with torchrun or srun"
        )
    if device.type == "cuda":
        available = torch.cuda.device_count()
        size = available if config.devices == "auto" else config.devices
        if size > available:
            raise UsageError(f"training.devices: {size} GPUs were asked for; there are {available}")
        return size
    # On a CPU several processes are no faster than one of as many threads, and need more memory.
    return 1 if config.devices == "auto" else config.devices


def _launched() -> ClusterEnvironment | None:
    """Find the launcher that has started this process."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:  # torchrun, or `joined`
        return TorchElasticEnvironment() if int(os.environ["WORLD_SIZE"]) > 1 else None
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1:  # srun; a batch script without it has no step
        nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
        os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(tasks // nodes))
        return SLURMEnvironment(auto_requeue=False)
    return None


def _described(environment: ClusterEnvironment, config: TrainingConfig) -> Ranks:
    """Say who this process is, once the config is known to agree with the launcher."""
    size = environment.world_size()
    slurm = isinstance(environment, SLURMEnvironment)
    local = os.environ.get("SLURM_NTASKS_PER_NODE" if slurm else "LOCAL_WORLD_SIZE", str(size))
    local_size = int(local)
    found = {"devices": local_size, "num_nodes": size // local_size}
    for name, number in found.items():
        wanted = getattr(config, name)
        if wanted not in (1, "auto", number):
            launcher = "srun" if slurm else "torchrun"
            raise UsageError(
                f"training.{name}: {wanted} does not agree with {launcher}, which started {number}"
            )
    os.environ["MASTER_ADDR"] = environment.main_address
    os.environ["MASTER_PORT"] = str(environment.main_port)
    return Ranks(environment.global_rank(), size, local_size, environment)


@contextlib.contextmanager
def _group(ranks: Ranks) -> Iterator[None]:
    """Let the processes talk: through shared memory and sockets, and GPUs among themselves."""
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.local_rank % torch.cuda.device_count())
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        rank=ranks.rank,
        world_size=ranks.size,
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _followers(size: int, call: tuple[object, ...]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start the other processes. Each lives only as long as the pipe from this one is open."""
    followers = [
        subprocess.Popen(
            [sys.executable, "-c", _FOLLOW],
            stdin=subprocess.PIPE,
            env=os.environ | _place(rank),
            start_new_session=True,  # Ctrl-C reaches this process, which tells the others
        )
        for rank in range(1, size)
    ]
    try:
        for follower in followers:
            assert follower.stdin is not None
            pickle.dump(call, follower.stdin)
            follower.stdin.flush()
        yield followers
        for follower in followers:
            follower.wait()
    finally:
        for follower in followers:
            follower.kill()
            follower.communicate()


@contextlib.contextmanager
def _all_alive(followers: list[subprocess.Popen[bytes]]) -> Iterator[threading.Event]:
    """End all where a follower dies before the processes have met, which waits without an end."""
    met = threading.Event()

    def watch() -> None:
        while not met.wait(0.2):
            if any(follower.poll() is not None for follower in followers):
                os.write(2, b"nmt: error: a training process ended before training began\n")
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield met
    finally:
        met.set()


def read_call(stream: IO[bytes]) -> tuple[Any, ...]:
    """Return what the first process wants done, and end this one when that one ends."""
    call: tuple[Any, ...] = pickle.load(stream)

    def watch() -> None:
        while os.read(stream.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return call


def _place(rank: int) -> dict[str, str]:
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}


@contextlib.contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
