"""Translates a corpus on a cluster with Ray Data: readers make blocks, workers translate them."""

import contextlib
import logging
import os
import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import ray
import ray.data

from nmt.config import SearchOptions
from nmt.errors import NmtError, UsageError, counted
from nmt.inference.corpus_job import RECORD, CorpusJob, open_place
from nmt.inference.workers import ModelCopy
from nmt.log import log

_RETRIES = 10  # of a block whose worker dies


class BlockTranslator:
    """A worker: an actor with a loaded model.

    Args:
        call: reference to the job, the model and the options of the search.
    """

    def __init__(self, call: Any):
        self._call: tuple[CorpusJob, ModelCopy, SearchOptions] = ray.get(call)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Translate a block; the model is loaded here, since errors of `__init__` are retried."""
        block, (job, model, options) = pickle.loads(batch["block"][0]), self._call
        made = job.translate(block, model.translator, options)
        lines = len(block.texts)
        return {"name": [block.name], "lines": [lines], "made": [lines if made else 0]}


def translate_corpus(
    job: CorpusJob, model: ModelCopy, options: SearchOptions, workers: int | None, record: bytes
) -> int:
    """Translate a corpus on the cluster at `RAY_ADDRESS`, else on this machine.

    A block whose worker dies is translated again by another, up to `_RETRIES` times.

    Args:
        job: inputs and outputs.
        model: what each worker loads.
        options: of the search.
        workers: number of workers; None for one per GPU, or one per `threads` CPU cores.
        record: from `job_record`.

    Returns:
        The number of lines that failed.

    Raises:
        UsageError: the cluster is too small for the workers.
        NmtError: an input cannot be read, an output cannot be written, or a block fails.
    """
    made, started = 0, time.perf_counter()
    lines = dict.fromkeys(job.inputs, 0)
    with contextlib.redirect_stdout(sys.stderr), _cluster():  # Ray prints to stdout
        workers, resources = _resources(model, workers)
        with open_place(f"{job.folder}/{RECORD}") as stream:
            stream.write(record)
        single = {"fn_args": (job,), "batch_size": 1, "num_cpus": 0}
        single["concurrency"] = 1 + workers // 16  # reading takes a thousandth of translating
        call = ray.put((job, model, options))
        several = {"fn_constructor_args": (call,), "batch_size": 1, **resources}
        several |= {"concurrency": workers, "max_task_retries": _RETRIES}
        blocks = _dataset(lines).map_batches(_read, **single)
        for row in blocks.map_batches(BlockTranslator, **several).iter_rows():
            lines[row["name"]] += row["lines"]
            made += row["made"]
            rate = made / (time.perf_counter() - started)
            log.info("%s, %.0f lines/s", counted(made, "line"), rate)
        ends = list(_dataset(lines).map_batches(_finish, **single).iter_rows())
    total, problems = sum(lines.values()), sum(row["problems"] for row in ends)
    log.info("%s, %s of an earlier call", counted(total, "line"), f"{total - made:,}")
    if problems:
        log.warning("%d of %s had problems: see *.problems.tsv", problems, counted(total, "line"))
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


def _resources(model: ModelCopy, workers: int | None) -> tuple[int, dict[str, int]]:
    """Return the number of workers and the resources that each reserves.

    Raises:
        UsageError: the cluster is too small.
    """
    has = ray.cluster_resources()
    on_gpu = model.device == "cuda" or (model.device == "auto" and "GPU" in has)
    unit, each = ("GPU", 1) if on_gpu else ("CPU", model.threads)
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
