"""Detects processes that torchrun or srun started, and initializes the process group."""

import contextlib
import datetime
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from nmt.config import TrainingConfig
from nmt.errors import UsageError

_PATIENCE = datetime.timedelta(days=7)  # the other ranks wait while rank 0 encodes the corpus


def launcher() -> ClusterEnvironment | None:
    """Return the launcher that started this process and others; None for a single process."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:  # torchrun, or `nmt.training.launch`
        return TorchElasticEnvironment() if int(os.environ["WORLD_SIZE"]) > 1 else None
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    if tasks > 1:  # srun; a batch script without it has no step
        local = tasks // int(os.environ.get("SLURM_STEP_NUM_NODES", "1"))
        if torch.cuda.device_count() == 1:  # --gpus-per-task hides the GPUs of the other tasks
            local, os.environ["SLURM_LOCALID"] = 1, "0"
            os.environ["SLURM_NNODES"] = str(tasks)  # Lightning: tasks = nodes × tasks of a node
        # A step of fewer tasks than its job inherits the job's SLURM_NTASKS_PER_NODE.
        os.environ["LOCAL_WORLD_SIZE"] = os.environ["SLURM_NTASKS_PER_NODE"] = str(local)
        return SLURMEnvironment(auto_requeue=False)
    return None


def check_launched(environment: ClusterEnvironment, config: TrainingConfig) -> None:
    """Check the config against the launcher, and take the first process's address from it.

    Raises:
        UsageError: `training.devices` differs from the number of processes.
    """
    started = int(os.environ.setdefault("LOCAL_WORLD_SIZE", str(environment.world_size())))
    if config.devices not in (1, "auto", started):
        name = "srun" if isinstance(environment, SLURMEnvironment) else "torchrun"
        raise UsageError(
            f"training.devices: {config.devices} differs from the {started} processes that {name} "
            "started on this machine; leave the key out"
        )
    os.environ["MASTER_ADDR"] = environment.main_address
    os.environ["MASTER_PORT"] = str(environment.main_port)


@contextlib.contextmanager
def process_group(environment: ClusterEnvironment) -> Iterator[None]:
    """Initialize the process group: gloo for CPU tensors, NCCL for GPU tensors."""
    if torch.cuda.is_available():
        torch.cuda.set_device(environment.local_rank() % torch.cuda.device_count())
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        rank=environment.global_rank(),
        world_size=environment.world_size(),
        timeout=_PATIENCE,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()
