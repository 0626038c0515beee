"""Training on several machines: torchrun agents in network namespaces, and the script for SLURM."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import nmt.training.run as running
from nmt.config import dump_config, load_config
from nmt.training.checkpoints import checkpoint_files
from tests.conftest import ROOT
from tests.training.made import assert_equal_runs, assert_equal_weights, changed
from tests.training.test_ranks import assert_close_weights, without_dropout

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Machine:
    """Where an agent runs.

    Attributes:
        prefix: words before its command.
        options: its own options of torchrun.
        variables: its own environment.
    """

    prefix: list[str]
    options: list[str]
    variables: dict[str, str]


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine, str]]:
    """Two network namespaces, where they can be made, and the address where the agents meet."""
    names = [f"nmt{os.getpid()}{side}" for side in "ab"]
    pair = [f"{name[-14:]}" for name in names]
    commands = [f"ip netns add {name}" for name in names]
    commands.append(f"ip link add {pair[0]} type veth peer name {pair[1]}")
    for number, (name, link) in enumerate(zip(names, pair, strict=True), start=1):
        commands.append(f"ip link set {link} netns {name}")
        commands.append(f"ip -n {name} addr add 10.231.77.{number}/24 dev {link}")
        commands += [f"ip -n {name} link set {one} up" for one in (link, "lo")]
    made = shutil.which("ip") is not None and all(
        subprocess.run(command.split(), capture_output=True).returncode == 0 for command in commands
    )
    try:
        if made:
            first, second = (
                Machine(
                    ["ip", "netns", "exec", name],
                    ["--local-addr", f"10.231.77.{number}", "--rdzv-conf", f"is_host={2 - number}"],
                    {"GLOO_SOCKET_IFNAME": link},
                )
                for number, (name, link) in enumerate(zip(names, pair, strict=True), start=1)
            )
            yield first, second, "10.231.77.1:29517"
        else:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            here = Machine([], ["--local-addr", "127.0.0.1"], {})
            yield here, here, f"127.0.0.1:{port}"
    finally:
        for name in names if shutil.which("ip") else []:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def agent(machine: Machine, meeting: str, config: Path, run: Path, number: int) -> psutil.Popen:
    """Start torchrun on a machine, with one process and a cache folder of its own."""
    words = ["--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3", *machine.options]
    words += ["--rdzv-backend", "c10d", "--rdzv-endpoint", meeting, "--rdzv-id", run.name]
    words += ["-m", "--", "nmt", "train", str(config), "--run", str(run), "--resume"]
    variables = os.environ | machine.variables
    variables |= {
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"
    }  # else a replaced machine waits in vain
    variables |= {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(run.parent / f"cache{number}")}
    with open(run.parent / f"log{number}", "ab") as log:
        return psutil.Popen(
            [*machine.prefix, sys.executable, "-m", "torch.distributed.run", *words],
            env=variables,
            stderr=log,
        )


def kill(process: psutil.Popen) -> None:
    """Kill all that runs on a machine."""
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()


def finish(agents: list[psutil.Popen], folder: Path) -> None:
    try:
        codes = [one.wait(timeout=400) for one in agents]
    finally:
        for one in agents:
            with contextlib.suppress(psutil.Error):
                kill(one)
    told = "".join(log.read_text() for log in sorted(folder.glob("log*")))
    assert codes == [0, 0], told


@pytest.fixture(scope="module")
def on_two_machines(
    tiny_config: Path,
    machines: tuple[Machine, Machine, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A finished run on two machines. Do not change it."""
    folder = tmp_path_factory.mktemp("machines")
    config = changed(without_dropout(changed(tiny_config)), checkpoint_every=3)
    (folder / "config.yaml").write_text(dump_config(config))
    agents = [
        agent(machine, machines[2], folder / "config.yaml", folder / "whole", number)
        for number, machine in enumerate(machines[:2])
    ]
    finish(agents, folder)
    return folder / "whole"


def test_two_machines_reach_the_weights_of_one_process(
    on_two_machines: Path, tmp_path: Path
) -> None:
    config = load_config(on_two_machines / "config.yaml")
    running.train(changed(config, accumulate=2), tmp_path / "one")
    assert_close_weights(on_two_machines, tmp_path / "one")


def test_the_ranks_wait_for_one_cache(on_two_machines: Path) -> None:
    """Each machine had a cache folder of its own, and one of them was filled."""
    caches = [on_two_machines.parent / f"cache{number}" / "nmt" for number in range(2)]
    assert sum(cache.exists() for cache in caches) == 1


@pytest.mark.parametrize("lost", [0, 1])
def test_a_machine_that_is_lost_comes_back_and_training_goes_on_bit_for_bit(
    on_two_machines: Path, machines: tuple[Machine, Machine, str], tmp_path: Path, lost: int
) -> None:
    """The first machine is the one where the agents meet: then all begin anew."""
    config, run = on_two_machines.parent / "config.yaml", tmp_path / "run"

    def begin(number: int) -> psutil.Popen:
        return agent(machines[number], machines[2], config, run, number)

    agents = [begin(0), begin(1)]
    try:
        deadline = time.monotonic() + 200
        while len(checkpoint_files(run / "checkpoints")) < 2:
            assert time.monotonic() < deadline and all(one.poll() is None for one in agents)
            time.sleep(0.01)
        kill(agents[lost])
        if lost == 0:  # without its meeting point the other agent ends, as its job would
            agents[1].wait(timeout=200)
            agents[1] = begin(1)
        agents[lost] = begin(lost)
    except BaseException:
        for one in agents:
            kill(one)
        raise
    finish(agents, tmp_path)
    assert_equal_runs(run, on_two_machines)


SRUN = """
import os, subprocess, sys
common = {"STEP_NUM_TASKS": 2, "NTASKS": 2, "STEP_NUM_NODES": 1, "NODEID": 0}
common["NODELIST"] = "127.0.0.1"
words = sys.argv[sys.argv.index("nmt") :]
assert {"--kill-on-bad-exit=1", "--wait=0"} == {*sys.argv[1:]} - {*words}
tasks = [
    subprocess.Popen(
        words,
        env=os.environ
        | {f"SLURM_{name}": str(value) for name, value in common.items()}
        | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
    )
    for rank in range(2)
]
open(os.environ["TASKS"], "w").write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(task.wait() % 256 for task in tasks))
"""


def test_the_script_for_slurm_requeues_what_was_stopped(tiny_config: Path, tmp_path: Path) -> None:
    """`srun` and `scontrol` are replaced: this machine has no SLURM."""
    for name, text in (
        ("srun", f"#!{sys.executable}\n{textwrap.dedent(SRUN)}"),
        ("scontrol", '#!/bin/sh\necho "$@" >> "$TASKS.requeued"\n'),
        ("nmt", f'#!/bin/sh\nexec {sys.executable} -m nmt "$@"\n'),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    variables = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_ID": str(os.getpid()),
        "TASKS": str(tmp_path / "tasks"),
    }
    run = tmp_path / "run"
    words = [ROOT / "scripts" / "slurm.sh", tiny_config, "--run", run]
    words += ["--training.max_updates", "60", "--training.checkpoint_every", "2"]
    process = subprocess.Popen(list(map(str, words)), env=variables)
    deadline = time.monotonic() + 200
    while not checkpoint_files(run / "checkpoints"):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    for task in (tmp_path / "tasks").read_text().split():
        os.kill(int(task), signal.SIGUSR1)  # SLURM's warning before the time limit
    assert process.wait(timeout=100) == 130
    assert (tmp_path / "tasks.requeued").read_text() == f"requeue {os.getpid()}\n"
    assert subprocess.run(list(map(str, words)), env=variables).returncode == 0
    whole = changed(tiny_config, max_updates=60, checkpoint_every=2, devices=2)
    running.train(whole, tmp_path / "whole")
    assert_equal_weights(run, tmp_path / "whole")
    assert (tmp_path / "tasks.requeued").read_text().count("requeue") == 1
