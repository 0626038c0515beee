"""Translates a corpus on a cluster with Ray Data: readers make blocks, workers translate them."""

import contextlib
import logging
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.data

from nmt.bundle import FILES, find_bundle
from nmt.config import SearchOptions
from nmt.errors import NmtError, UsageError, counted
from nmt.inference.corpus_job import RECORD, CorpusJob, open_place
from nmt.inference.translator import Translator
from nmt.memory import tune_memory

_log = logging.getLogger("nmt")
_RETRIES = 10  # of a block whose worker dies


class WorkerCall(NamedTuple):
    """All that a worker needs.

    Attributes:
        job: inputs and outputs.
        models: the files of each bundle, by name; see `bundle_files`.
        options: of the search.
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or int8.
        threads: CPU threads of a worker.
    """

    job: CorpusJob
    models: Sequence[Mapping[str, bytes]]
    options: SearchOptions
    device: str
    precision: str
    threads: int


def bundle_files(model: str) -> dict[str, bytes]:
    """Read the files of a bundle.

    Workers get these, so that all have one model, even if training replaces it meanwhile.
    """
    folder = find_bundle(model)
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


class BlockTranslator:
    """A worker: an actor with a loaded model.

    Args:
        call: reference to a `WorkerCall`.
    """

    def __init__(self, call: Any):
        self._call: WorkerCall = ray.get(call)
        self._translator: Translator | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Translate a block; the model is loaded here, since errors of `__init__` are retried."""
        self._translator = self._translator or self._load()
        block = pickle.loads(batch["block"][0])
        made = self._call.job.translate(block, self._translator, self._call.options)
        lines = len(block.texts)
        return {"name": [block.name], "lines": [lines], "made": [lines if made else 0]}

    def _load(self) -> Translator:
        import torch

        tune_memory()
        torch.set_num_threads(self._call.threads)
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, str(number)) for number in range(len(self._call.models))]
            for path, files in zip(paths, self._call.models, strict=True):
                path.mkdir()
                for name, data in files.items():
                    (path / name).write_bytes(data)
            device, precision = self._call.device, self._call.precision
            return Translator.load(paths[0], ensemble=paths[1:], device=device, precision=precision)


def translate_corpus(call: WorkerCall, workers: int | None, record: bytes) -> int:
    """Translate a corpus on the cluster at `RAY_ADDRESS`, else on this machine.

    A block whose worker dies is translated again by another, up to `_RETRIES` times.

    Args:
        call: the job, the models and their settings.
        workers: number of workers; None for one per GPU, or one per `threads` CPU cores.
        record: from `job_record`.

    Returns:
        The number of lines that failed.

    Raises:
        UsageError: the cluster is too small for the workers.
        NmtError: an input cannot be read, an output cannot be written, or a block fails.
    """
    job, made, started = call.job, 0, time.perf_counter()
    lines = dict.fromkeys(job.inputs, 0)
    with contextlib.redirect_stdout(sys.stderr), _cluster():  # Ray prints to stdout
        workers, resources = _resources(call, workers)
        with open_place(f"{job.folder}/{RECORD}") as stream:
            stream.write(record)
        single = {"fn_args": (job,), "batch_size": 1, "num_cpus": 0}
        single["concurrency"] = 1 + workers // 16  # reading takes a thousandth of translating
        several = {"fn_constructor_args": (ray.put(call),), "batch_size": 1, **resources}
        several |= {"concurrency": workers, "max_task_retries": _RETRIES}
        blocks = _dataset(lines).map_batches(_read, **single)
        for row in blocks.map_batches(BlockTranslator, **several).iter_rows():
            lines[row["name"]] += row["lines"]
            made += row["made"]
            rate = made / (time.perf_counter() - started)
            _log.info("%s, %.0f lines/s", counted(made, "line"), rate)
        ends = list(_dataset(lines).map_batches(_finish, **single).iter_rows())
    total, problems = sum(lines.values()), sum(row["problems"] for row in ends)
    _log.info("%s, %s of an earlier call", counted(total, "line"), f"{total - made:,}")
    if problems:
        _log.warning("%d of %s had problems: see *.problems.tsv", problems, counted(total, "line"))
    return sum(row["failed"] for row in ends)


def _dataset(lines: Mapping[str, int]) -> ray.data.Dataset:
    """Return the inputs and their numbers of lines, with a task for each, up to 1,000 tasks."""
    rows = [{"name": name, "lines": number} for name, number in lines.items()]
    return ray.data.from_items(rows, override_num_blocks=min(len(rows), 1000))


def _read(batch: Mapping[str, Any], job: CorpusJob) -> Iterator[dict[str, list[bytes]]]:
    """Read one input."""
    for block in job.blocks(str(batch["name"][0])):
        yield {"block": [pickle.dumps(block)]}


def _finish(batch: Mapping[str, Any], job: CorpusJob) -> dict[str, list[int]]:
    """Finish one input."""
    problems, failed = job.finish(str(batch["name"][0]), int(batch["lines"][0]))
    return {"problems": [problems], "failed": [failed]}


def _resources(call: WorkerCall, workers: int | None) -> tuple[int, dict[str, int]]:
    """Return the number of workers and the resources that each reserves.

    Raises:
        UsageError: the cluster is too small.
    """
    has = ray.cluster_resources()
    on_gpu = call.device == "cuda" or (call.device == "auto" and "GPU" in has)
    unit, each = ("GPU", 1) if on_gpu else ("CPU", call.threads)
    most = int(has.get(unit, 0)) // each
    workers = max(1, most) if workers is None else workers
    if workers > most:
        room = f"the cluster has room for {most} with {counted(each, unit)} each"
        raise UsageError(f"--workers: {workers}, and {room}; lower it, or change --device")
    return workers, {"num_gpus": 1, "num_cpus": 0} if on_gpu else {"num_cpus": each}


@contextlib.contextmanager
def _cluster() -> Iterator[None]:
    """Connect to Ray, or start it on this machine, and turn its errors into ours."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, include_dashboard=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # bytes: every row is a task of its own
        context.max_tasks_in_flight_per_actor = 2
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", error)
        wrapped = NmtError(f"Ray: {cause}; continue with --resume")
        raise (cause if isinstance(cause, NmtError) else wrapped) from error
    finally:
        ray.shutdown()
