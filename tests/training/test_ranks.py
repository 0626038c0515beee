"""Several processes against one of the same updates, against themselves interrupted, and dying."""

import contextlib
import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lightning
import psutil
import pytest
import torch

import nmt.training.run as running
from nmt.config import Config, TrainingConfig, load_config
from nmt.errors import NmtError, UsageError
from nmt.training.checkpoints import checkpoint_files
from nmt.training.cluster import launcher
from nmt.training.launch import num_processes, processes
from tests.conftest import Command, write_pairs
from tests.faults.test_stops import start, wait_for_checkpoints, weights
from tests.training.made import (
    assert_equal_weights,
    changed,
    last_checkpoint,
    last_weights,
    train_until_killed,
)

CPU = torch.device("cpu")


def without_dropout(config: Config) -> Config:
    import dataclasses

    return dataclasses.replace(config, model=dataclasses.replace(config.model, dropout=0.0))


def assert_close_weights(one: Path, other: Path) -> None:
    first, second = last_weights(one), last_weights(other)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=1e-5, rtol=1e-4)


@pytest.fixture(scope="module")
def on_two(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on two ranks, of two micro-batches each. Do not change it."""
    run = tmp_path_factory.mktemp("ranks") / "run"
    running.train(changed(tiny_config, devices=2, accumulate=2, workers=1), run)
    return run


def test_two_ranks_reach_the_weights_of_one_with_the_same_updates(
    tiny_config: Path, tmp_path: Path
) -> None:
    """Over several epochs of an odd number of micro-batches, with and without accumulation."""
    config = without_dropout(changed(tiny_config, batch_tokens=512, max_updates=None, max_epochs=2))
    one, two = tmp_path / "one", tmp_path / "two"
    config = changed(config, checkpoint_every=2)  # which sums the losses so far over the ranks
    running.train(changed(config, accumulate=4), one)
    running.train(changed(config, accumulate=2, devices=2), two)
    assert_close_weights(one, two)
    rows = [list(csv.DictReader((run / "metrics.csv").open(newline=""))) for run in (one, two)]
    assert len(rows[0]) == len(rows[1]) > 2
    for here, there in zip(*rows, strict=True):  # losses and scores are those of all ranks
        for name in ("update", "train_loss", "gradient_norm", "validation_loss", "validation_chrf"):
            assert float(there[name] or 0) == pytest.approx(float(here[name] or 0), rel=1e-3)


def test_every_rank_draws_its_own_dropout(on_two: Path) -> None:
    states = last_checkpoint(on_two)["random"]
    assert len(states) == 2 and not torch.equal(states[0]["torch"], states[1]["torch"])


@pytest.mark.slow
def test_a_corpus_smaller_than_the_ranks_is_learned_from_all_the_same(
    tiny_config: Path, tiny_run: Path, tmp_path: Path
) -> None:
    import dataclasses

    write_pairs(tmp_path / "one", [("Der Hund schläft.", "The dog is sleeping.")])
    config = without_dropout(changed(tiny_config, max_updates=6, validate_every=3))
    places = {"train": str(tmp_path / "one"), "validation": str(tmp_path / "one")}
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, splits=places),
        tokenizer=dataclasses.replace(config.tokenizer, path=str(tiny_run / "tokenizer")),
    )
    running.train(config, tmp_path / "a")
    running.train(changed(config, devices=3), tmp_path / "b")
    assert_close_weights(tmp_path / "a", tmp_path / "b")


def test_ranks_killed_and_resumed_reach_the_same_weights_bit_for_bit(
    tiny_config: Path, on_two: Path, tmp_path: Path
) -> None:
    config = load_config(on_two / "config.yaml")
    train_until_killed(config, tmp_path / "run", after=14)
    running.train(config, tmp_path / "run", resume=True)
    assert_equal_weights(tmp_path / "run", on_two)
    scores = [(run / "scores.test.json").read_text() for run in (tmp_path / "run", on_two)]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_another_number_of_ranks_goes_on_with_the_same_updates(
    tiny_config: Path, tmp_path: Path
) -> None:
    config = without_dropout(changed(tiny_config, schedule="constant", max_updates=20, devices=2))
    running.train(config, tmp_path / "two")
    longer = changed(config, max_updates=30)
    with pytest.raises(UsageError, match=r"1 processes makes updates of 1 micro-batches, .* 2"):
        running.train(changed(longer, devices=1), tmp_path / "two", resume=True)
    running.train(changed(longer, devices=1, accumulate=2), tmp_path / "two", resume=True)
    running.train(longer, tmp_path / "whole")
    assert_close_weights(tmp_path / "two", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_a_launchers_processes_are_joined(
    tiny_config: Path, on_two: Path, tmp_path: Path, launcher: str
) -> None:
    """Both give the weights of the run whose second process was started by the first."""
    words = ["-m", "nmt", "train", str(tiny_config), "--run", str(tmp_path / "run")]
    words += ["--training.accumulate", "2", "--training.workers", "1"]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    if launcher == "torchrun":
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        commands = [([*torchrun, "--nproc-per-node", "2", "-m", "--", *words[1:]], variables)]
    else:
        slurm = {"NTASKS": 2, "STEP_NUM_TASKS": 2, "STEP_NUM_NODES": 1, "NODEID": 0}
        slurm |= {"JOB_ID": os.getpid(), "NODELIST": "127.0.0.1"}
        commands = [
            (
                [sys.executable, *words],
                variables
                | {f"SLURM_{name}": str(value) for name, value in slurm.items()}
                | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            )
            for rank in range(2)
        ]
    processes = [
        subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        for command, env in commands
    ]
    told = "".join(process.communicate(timeout=200)[1] for process in processes)
    assert [process.returncode for process in processes] == [0] * len(processes), told
    assert told.count("the best model is") == 1
    assert_equal_weights(tmp_path / "run", on_two)


@pytest.mark.slow
def test_three_ranks_too_resume_bit_for_bit(nmt: Command, tiny_config: Path) -> None:
    """The sum of two gradients is the same in any order, that of three is not."""
    result = nmt("train", tiny_config, "--verify-resume", "--training.devices", "3")
    assert result.code == 0, result.err
    assert "resume verified: after 30 updates" in result.err


def test_a_batch_script_without_srun_trains_alone(tiny_config: Path, tmp_path: Path) -> None:
    """Also in a job of `--ntasks 2`, without `--ntasks-per-node`."""
    with variables(SLURM_NTASKS="2", SLURM_PROCID="0", SLURM_JOB_ID="1"):
        with processes(TrainingConfig(), CPU) as environment:
            assert environment is None
        config = changed(tiny_config, max_updates=2, warmup_updates=0)
        running.train(config, tmp_path / "run", callbacks=[lightning.Callback()])


def test_a_step_of_fewer_tasks_than_its_job_has_its_own_number() -> None:
    """srun passes on the job's `--ntasks-per-node`, and sets the numbers of the step."""
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_NTASKS": "4"}
    with variables(**step, SLURM_NTASKS_PER_NODE="8", LOCAL_WORLD_SIZE=""):
        environment = launcher()
        assert environment is not None and environment.world_size() == 4
        assert os.environ["LOCAL_WORLD_SIZE"] == "2"
        environment.validate_settings(num_devices=2, num_nodes=2)


def test_a_task_that_sees_one_gpu_takes_it() -> None:
    """`--gpus-per-task 1` gives each task its own GPU as the only one, of number 0."""
    step = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "1", "SLURM_NTASKS": "4"}
    task = {"SLURM_PROCID": "3", "SLURM_LOCALID": "3", "LOCAL_WORLD_SIZE": "", "SLURM_NNODES": "1"}
    with variables(**step, **task), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_NTASKS_PER_NODE", "4")
        for seen, local in ((4, 3), (1, 0), (1, 0)):
            patch.setattr("torch.cuda.device_count", lambda seen=seen: seen)
            environment = launcher()
            assert environment is not None and environment.local_rank() == local
            assert (environment.global_rank(), environment.world_size()) == (3, 4)
            assert os.environ["LOCAL_WORLD_SIZE"] == str(seen)
            environment.validate_settings(num_devices=seen, num_nodes=4 // seen)


@pytest.mark.slow
def test_a_signal_stops_every_rank_and_nothing_is_lost(tiny_config: Path, tmp_path: Path) -> None:
    words = ["train", tiny_config, "--training.devices", "2", "--training.schedule", "constant"]
    run = tmp_path / "run"
    process = start(*words, "--run", run, "--training.max_updates", "3000")
    wait_for_checkpoints(run / "checkpoints", 1, process)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "which is saved; continue with --resume" in told.splitlines()[-1]
    newest = checkpoint_files(run / "checkpoints")[-1]
    done = int(newest.stem.partition("-")[2])
    limit = ["--training.max_updates", str(done + 5)]
    for folder in (run, tmp_path / "whole"):
        _, told = (again := start(*words, "--run", folder, "--resume", *limit)).communicate()
        assert again.returncode == 0, told
    expected = weights(tmp_path / "whole")
    assert all(torch.equal(value, expected[name]) for name, value in weights(run).items())


def follower_of(process: subprocess.Popen[str]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


@pytest.mark.slow
def test_ranks_do_not_outlive_each_other(tiny_config: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", tiny_config, "--run", run, "--resume", "--training.devices", "2"]
    words += ["--training.max_updates", "5000"]
    process = start(*words)
    wait_for_checkpoints(run / "checkpoints", 1, process)
    os.kill(follower_of(process), signal.SIGKILL)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    last = told.splitlines()[-1]
    assert last == "nmt: error: a training process ended with exit code -9; continue with --resume"
    process = start(*words)
    before = checkpoint_files(run / "checkpoints")[-1]
    deadline = time.monotonic() + 120
    while checkpoint_files(run / "checkpoints")[-1] == before:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    follower = follower_of(process)
    process.kill()
    process.communicate()
    while Path(f"/proc/{follower}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def test_auto_takes_one_process_on_a_cpu() -> None:
    assert num_processes(TrainingConfig(devices="auto"), CPU) == 1
    assert num_processes(TrainingConfig(), CPU) == 1


def test_another_number_of_processes_than_the_launcher_started_is_refused() -> None:
    world = {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    told = "training.devices: 3 differs from the 2 processes that torchrun started"
    with variables(**world), pytest.raises(UsageError, match=told):
        processes(TrainingConfig(devices=3), CPU).__enter__()


@pytest.mark.parametrize("key", ["devices", "threads"])
def test_more_processes_or_threads_than_cores_are_refused_before_anything_starts(
    tiny_config: Path, tmp_path: Path, key: str
) -> None:
    before, cores = set(psutil.Process().children()), os.cpu_count() or 1
    many = max(300, cores + 1)
    with pytest.raises(UsageError, match=rf"training.{key}: {many} exceeds the {cores} CPU"):
        running.train(changed(tiny_config, **{key: many}), tmp_path / "run")
    assert set(psutil.Process().children()) == before
    assert not (tmp_path / "run").exists()


def test_callbacks_of_several_processes_need_torchrun(tiny_config: Path, tmp_path: Path) -> None:
    config = changed(tiny_config, devices=2)
    with pytest.raises(UsageError, match=r"training.devices: 2 with callbacks .* torchrun"):
        running.train(config, tmp_path / "run", callbacks=[lightning.Callback()])


def test_an_error_before_training_is_told_once(tiny_config: Path, tmp_path: Path) -> None:
    words = ["--training.devices", "2", "--data.splits.train", tmp_path / "none"]
    _, told = (
        process := start("train", tiny_config, "--run", tmp_path / "r", *words)
    ).communicate()
    assert process.returncode == 2
    assert told.splitlines()[-1].startswith("nmt: error: there is no file")
    assert told.count("nmt: error") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_divergence_on_several_ranks_is_told_once(tiny_config: Path, tmp_path: Path) -> None:
    config = changed(tiny_config, learning_rate=10.0, clip_norm=0.0, warmup_updates=0, devices=2)
    with pytest.raises(NmtError, match=r"training diverged"):
        running.train(config, tmp_path / "run")
