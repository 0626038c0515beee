"""The checks of a resumed run: the keys and data that may change, and those that may not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nmt.card import Environment
from nmt.config import Config, changed_keys, flat_config, load_stored_config
from nmt.errors import BundleError, ConfigError, DataError
from nmt.log import log
from nmt.reading import read_record
from nmt.storage import atomic_folder
from nmt.text.lines import writing_to
from nmt.text.tokenizer import Tokenizer, load_tokenizer
from nmt.training.checkpoints import LIMITS, CheckpointFile, checkpoint_files
from nmt.training.distributed import world_size
from nmt.training.fine_tuning import adopt_network

# These do not affect the weights, or are compared otherwise: texts by their fingerprints, processes
# by the micro-batches of an update.
_FREE = (
    *("data.cache", "data.columns", "data.corpus", "data.splits"),
    *("training.checkpoint_every", "training.keep_checkpoints"),
    *("training.log_every", "training.loggers", "training.workers", "training.threads"),
    *("training.accumulate", "training.devices"),
)
_LIMITS = tuple(f"training.{name}" for name in LIMITS)


def resumed_config(run: Path, config: Config) -> Config:
    """Return the config of a resumed run: its own, with changes of the keys that may change.

    A limit may move unless past updates depend on it. With the cosine schedule they do, since it
    ends with the training.

    Raises:
        ConfigError: another key has changed.
    """
    stored = load_stored_config(run / "config.yaml")
    if config.training.init_from is not None:
        config = adopt_network(config, stored)
    changed = changed_keys(stored, config)
    roots = tuple(f"{root}." for root in (*_FREE, *_LIMITS))
    fixed = [key for key in changed if not f"{key}.".startswith(roots)]
    if fixed:
        raise ConfigError(
            f"--resume: the run {run} was made with another {', '.join(fixed)}; "
            "give the same config, or choose another folder with --run"
        )
    moved = [key for key in changed if key in _LIMITS[:2]]
    if moved and stored.training.schedule == "cosine":
        before, now = (flat_config(each)[moved[0]] for each in (stored, config))
        raise ConfigError(
            f"--resume: {moved[0]}: {now} in place of {before} would have given past updates "
            "another learning rate, since the cosine schedule ends with the training; keep it, or "
            f"train further in another folder with --training.init_from {run}"
        )
    return config


def refuse_other_updates(config: Config, checkpoint: CheckpointFile) -> None:
    """Compare a checkpoint with the updates to come.

    Raises:
        ConfigError: an update would have another number of micro-batches, or the training would
            have ended before the checkpoint.
    """
    training = config.training
    for key, done, what in (
        ("max_updates", checkpoint.update, "updates that the run has made"),
        ("max_epochs", checkpoint.epochs, "epochs that the run has begun"),
    ):
        most = getattr(training, key)
        if most is not None and most < done:
            raise ConfigError(f"--resume: training.{key}: {most} is fewer than the {done} {what}")
    now = world_size() * training.accumulate
    if now != checkpoint.micro_batches:
        raise ConfigError(
            f"--resume: training.accumulate: {training.accumulate} on {world_size()} processes "
            f"makes updates of {now} micro-batches, and the run's have {checkpoint.micro_batches}; "
            "choose training.accumulate × training.devices to keep that number"
        )


def recorded_teachers(run: Path) -> list[str]:
    """Return the hashes of a run's teachers, which may be gone once they have translated."""
    return list((first_environment(run)["data"].get("distill") or {}).get("teacher", ()))


def warn_of_other_threads(run: Path) -> None:
    """Warn that sums, and so the last bits of the weights, depend on the number of threads."""
    now = torch.get_num_threads()
    before = first_environment(run).get("machine", {}).get("threads", now)
    if now != before:
        log.warning(
            "the run began with %s threads and resumes with %d: its weights may differ in the last "
            "bits; training.threads: %s keeps them equal",
            *(before, now, before),
        )


def first_environment(run: Path) -> Environment:
    """Return the environment that a run began with; empty if the run was killed at its start.

    Raises:
        DataError: it is damaged or missing.
    """
    path = run / "environment.json"
    if not path.exists() and not checkpoint_files(run / "checkpoints"):
        return {"data": {}}
    try:
        recorded = read_record(path, Environment)
        if "data" not in recorded:
            raise DataError(f"{path} is damaged: the key data is missing")
    except DataError as error:
        raise DataError(
            f"--resume: {error}; put it back, or choose another folder with --run"
        ) from None
    return recorded


def stored_tokenizer(run: Path) -> Tokenizer | None:
    """Return the tokenizer that a run began with, restored from its best model if necessary.

    Returns:
        None if the run was killed at its start.

    Raises:
        DataError: it has changed or is missing.
    """
    expected = first_environment(run)["data"].get("tokenizer")
    fault = None
    for folder in (run / "tokenizer", run / "model"):
        if not folder.exists():
            continue
        try:
            tokenizer = load_tokenizer(folder)
        except BundleError as error:
            fault = str(error)
            continue
        if expected in (None, tokenizer.fingerprint):
            if folder.name == "model":
                log.warning("%s; restored from %s", fault or "the tokenizer is missing", folder)
                with writing_to(run), atomic_folder(run / "tokenizer") as new:
                    tokenizer.save(new)
            return tokenizer
        fault = f"{folder} is not the tokenizer that the run began with"
    if expected is None and fault is None:
        return None
    fault = fault or f"{run / 'tokenizer'} is missing"
    raise DataError(f"--resume: {fault}; put it back, or choose another folder with --run")


def refuse_other_data(run: Path, now: Mapping[str, Any]) -> None:
    """Compare the raw text and the kept pairs with those at the start of the run.

    Args:
        run: the run folder.
        now: the value of `data` in `environment.json`, or a part of it.

    Raises:
        DataError: a value has changed.
    """
    before: Mapping[str, Any] = first_environment(run)["data"]
    for key, what in {
        "train": "the text of data.splits.train is",
        "weights": "the weights in data.splits.train are",
        "fingerprint": "the text of data.splits.train, or a teacher's translation of it, is",
        "validation": "the text of data.splits.validation is",
        "left_out": "what data.filters leave out is",
    }.items():
        if key in before and key in now and before[key] != now[key]:
            raise DataError(
                f"--resume: {what} not what the run {run} began with; "
                "put it back, or choose another folder with --run"
            )
