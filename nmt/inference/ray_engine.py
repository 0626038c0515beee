"""Translates a corpus on a cluster by Ray Data: readers make blocks, workers translate them."""

import contextlib
import logging
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.data

from nmt.bundle import FILES, find_bundle
from nmt.config import SearchOptions
from nmt.errors import NmtError, UsageError, counted
from nmt.inference.corpus_job import CorpusJob, open_place
from nmt.inference.translator import Translator
from nmt.log import PROGRESS, ProgressBar
from nmt.memory import tune_memory

_log = logging.getLogger("nmt")
_WORKERS_PER_READER = 16  # reading a line takes a thousandth of translating it
_QUEUED = 2  # blocks at a worker, the one in work included
_SECONDS = 10  # between lines of progress
_RETRIES = 10  # of a block whose worker dies


@dataclass(frozen=True)
class WorkerCall:
    """All that a worker needs.

    Attributes:
        job: where to read and write.
        models: the files of each bundle, by name: every worker gets the model as it was at the
            start, also if a training run replaces its best model meanwhile.
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

    def load(self) -> Translator:
        """Load the models in a worker's process."""
        import torch

        tune_memory()
        torch.set_num_threads(self.threads)
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder, str(number)) for number in range(len(self.models))]
            for path, files in zip(paths, self.models, strict=True):
                path.mkdir()
                for name, data in files.items():
                    (path / name).write_bytes(data)
            return Translator.load(
                paths[0], ensemble=paths[1:], device=self.device, precision=self.precision
            )


def bundle_files(model: str) -> dict[str, bytes]:
    """Read the files of a bundle."""
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

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[int]]:
        """Translate a block; the model is loaded here, since errors of `__init__` are retried."""
        self._translator = self._translator or self._call.load()
        block = pickle.loads(batch["block"][0])
        lines = len(block.texts)
        made = self._call.job.translate(block, self._translator, self._call.options)
        return {"index": [block.index], "lines": [lines], "made": [lines if made else 0]}


def translate_corpus(call: WorkerCall, workers: int | None, record: bytes) -> int:
    """Translate a corpus on the cluster of `RAY_ADDRESS`, else on this machine.

    A block whose worker dies is translated again by another, up to `_RETRIES` times.

    Args:
        call: what to translate.
        workers: number of models; None for one a GPU, or one for every `threads` CPU cores.
        record: from `job_record`.

    Returns:
        The number of lines that failed.

    Raises:
        UsageError: the cluster is too small for the workers.
        NmtError: an input cannot be read, an output not be written, or a block fails.
    """
    job, started = call.job, time.perf_counter()
    bar = ProgressBar("line", None)
    with contextlib.redirect_stdout(sys.stderr), _cluster():  # Ray prints its messages
        workers, resources = _resources(call, workers)
        with open_place(job.record) as stream:
            stream.write(record)
        readers = 1 + workers // _WORKERS_PER_READER
        inputs = [{"index": index, "lines": 0} for index in range(len(job.inputs))]
        done = (
            _dataset(inputs)
            .map_batches(_read, fn_args=(job,), batch_size=1, num_cpus=0, concurrency=readers)
            .map_batches(
                BlockTranslator,
                fn_constructor_args=(ray.put(call),),
                batch_size=1,
                concurrency=workers,
                max_task_retries=_RETRIES,
                **resources,
            )
        )
        made, due = 0, started
        try:
            for row in done.iter_rows():
                inputs[row["index"]]["lines"] += row["lines"]
                made += row["made"]
                bar.advance(row["made"])
                if time.perf_counter() > due:
                    _log.log(PROGRESS, "%s, %s", counted(made, "line"), bar.pace())
                    due = time.perf_counter() + _SECONDS
        finally:
            bar.stop()
        ends = _dataset(inputs).map_batches(
            _finish, fn_args=(job,), batch_size=1, num_cpus=0, concurrency=readers
        )
        problems, failed = map(
            sum, zip(*((r["problems"], r["failed"]) for r in ends.iter_rows()), strict=True)
        )
    total, seconds = sum(row["lines"] for row in inputs), time.perf_counter() - started
    if made < total:
        _log.info("kept %s of an earlier call", counted(total - made, "line"))
    rate = f"{made / seconds:,.0f}"
    _log.info("%s in %.1f s, %s lines/s", counted(made, "line"), seconds, rate)
    if problems:
        told = "%d of %s had problems: see problem in the rows, and %s/*.problems.tsv"
        _log.warning(told, problems, counted(total, "line"), job.folder)
    return int(failed)


def _dataset(inputs: list[dict[str, int]]) -> ray.data.Dataset:
    """Return the inputs as a data set with a task for each, up to 1,000 tasks."""
    return ray.data.from_items(inputs, override_num_blocks=min(len(inputs), 1000))


def _read(batch: Mapping[str, Any], job: CorpusJob) -> Iterator[dict[str, list[bytes]]]:
    """Read one input."""
    for block in job.blocks(int(batch["index"][0])):
        yield {"block": [pickle.dumps(block)]}


def _finish(batch: Mapping[str, Any], job: CorpusJob) -> dict[str, list[int]]:
    """Finish one input."""
    problems, failed = job.finish(int(batch["index"][0]), int(batch["lines"][0]))
    return {"problems": [problems], "failed": [failed]}


def _resources(call: WorkerCall, workers: int | None) -> tuple[int, dict[str, int]]:
    """Return the number of workers and what each reserves.

    Raises:
        UsageError: the cluster has less.
    """
    available = ray.cluster_resources()
    on_gpu = call.device == "cuda" or (call.device == "auto" and "GPU" in available)
    unit, each = ("GPU", 1) if on_gpu else ("CPU", call.threads)
    has = int(available.get(unit, 0))
    workers = max(1, has // each) if workers is None else workers
    if workers * each > has:
        raise UsageError(
            f"--workers: {workers} with {counted(each, unit)} each exceed the cluster's {has}; "
            "lower --workers or --threads, or change --device"
        )
    return workers, {"num_gpus": 1, "num_cpus": 0} if on_gpu else {"num_cpus": each}


@contextlib.contextmanager
def _cluster() -> Iterator[None]:
    """Connect to Ray, or start it on this machine, and turn its errors into ours."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # no warning about it
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, include_dashboard=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = 1  # bytes: every row is a task of its own
        context.max_tasks_in_flight_per_actor = _QUEUED
        yield
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, NmtError):
            raise cause from error
        raise NmtError(f"Ray: {cause or error}; continue with --resume") from error
    finally:
        ray.shutdown()
