"""A training run from config to scores, in a folder of its own."""

import contextlib
import dataclasses
import json
import logging
import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import lightning
import torch
from lightning.pytorch.loggers import Logger

from nmt.config import Config
from nmt.data.round_trip import round_trip, round_trip_warning
from nmt.errors import UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import corpus_scores
from nmt.evaluation.references import scoring_warnings
from nmt.evaluation.translations import Translations, write_translations
from nmt.inference.device import describe_device, find_device, find_precision
from nmt.inference.translator import Translator
from nmt.log import kept_log, log
from nmt.memory import tune_memory
from nmt.storage import locked
from nmt.text.lines import writing_to
from nmt.training.bf16_hint import bf16_hint
from nmt.training.checkpoints import CheckpointFile, limits, newest_checkpoint
from nmt.training.cluster import launcher
from nmt.training.data_module import TranslationData
from nmt.training.distributed import first_makes, rank, world_size
from nmt.training.environment import environment
from nmt.training.fit import fit, try_callbacks
from nmt.training.folder import is_run, make_folder, unscored_tests, write_text
from nmt.training.launch import num_processes, processes
from nmt.training.loggers import refuse_missing_loggers
from nmt.training.resume import (
    first_environment,
    recorded_teachers,
    refuse_other_data,
    refuse_other_updates,
    resumed_config,
    stored_tokenizer,
    warn_of_other_threads,
)


class _Start(NamedTuple):
    """The start of a new or resumed run.

    Attributes:
        data: already set up.
        checkpoint: to resume from; None for a new run.
        trained: training has ended, and only test scores are missing.
    """

    data: TranslationData
    checkpoint: Path | None
    trained: bool


def train(
    config: Config,
    run: Path,
    *,
    resume: bool = False,
    callbacks: Sequence[lightning.Callback] = (),
    loggers: Sequence[Logger] = (),
    then: Callable[[Path], None] | None = None,
) -> None:
    """Train a model, keep the best as a bundle, and score it on the test splits.

    Args:
        config: of the run.
        run: the run folder; must not exist unless the run is resumed.
        resume: continue the run; start it if it does not exist.
        callbacks: Lightning callbacks beside our own.
        loggers: Lightning loggers beside those of `training.loggers`.
        then: called with the folder of the finished run, in the first process alone.

    Raises:
        UsageError: the folder exists, another process trains in it, or its run was made with
            another config.
        DataError: the corpus does not match the config, or the run's earlier data.
        StoppedError: a signal stopped the run; its progress is saved.
    """
    device = find_device(config.training.device, "training.device")
    refuse_missing_loggers(config.training)
    several = launcher() is None and num_processes(config.training, device) > 1
    if several and (callbacks or loggers):
        raise UsageError(
            f"training.devices: {config.training.devices} with callbacks or loggers: start the "
            "script with torchrun, which runs it in every process"
        )
    if callbacks or loggers:
        try_callbacks(callbacks, loggers)
    with (
        processes(config.training, device, config, run, resume) as cluster,
        contextlib.ExitStack() as stack,
        kept_log() as log_to_file,
    ):
        if rank() > 0:
            log.setLevel(logging.CRITICAL)
        lightning.seed_everything(config.seed, verbose=False)
        start = first_makes(lambda: _start(config, run, resume, device, stack))
        if start is None:
            log.info("training is finished: the best model is %s", run / "model")
        else:
            if rank() == 0:
                log_to_file(run / "train.log")
            if not start.trained:
                fit(start.data, run, device, cluster, start.checkpoint, callbacks, loggers)
            if rank() == 0:
                _score_tests(start.data, run, device)
        if rank() == 0 and then is not None:
            then(run)


def worker_main() -> None:
    """Train as a process that the first one started; see `nmt.training.launch`."""
    config, run, resume = pickle.load(sys.stdin.buffer)
    tune_memory()
    try:
        train(config, run, resume=resume)
    except Exception as error:
        time.sleep(1)  # if the first process failed, it reports the error and ends this one
        print(f"nmt: error: process {os.environ['RANK']}: {error!r}", file=sys.stderr)
        os._exit(1)


def _start(
    config: Config, run: Path, resume: bool, device: torch.device, stack: contextlib.ExitStack
) -> _Start | None:
    """Read and check everything, and make the run folder; return None if the run is complete."""
    known = is_run(run, resume)
    checkpoint, trained, unscored = None, False, ["*"]
    if known:
        stack.enter_context(locked(run))
        first_environment(run)  # raises now if it is damaged
        checkpoint = newest_checkpoint(run / "checkpoints")
        config = resumed_config(run, config)
        if checkpoint is not None:
            refuse_other_updates(config, checkpoint)
            trained = checkpoint.finished and checkpoint.limits == limits(config.training)
        if trained:
            unscored = unscored_tests(run, config)
        if not unscored:
            return None
    several = f"{world_size()} × " if world_size() > 1 else ""
    precision = find_precision(config.training.precision, device, "training.precision")
    log.info("device: %s%s, precision %s", several, describe_device(device), precision)
    if not known and (hint := bf16_hint(config, device)) is not None:
        log.info(hint)
    data = _known_data(config, run, checkpoint) if known else TranslationData(config)
    data.setup()
    _warn(data)
    if known:
        refuse_other_data(run, environment(data)["data"])
        warn_of_other_threads(run)
    else:
        with writing_to(run):
            run.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(run))
        if is_run(run, resume):
            raise UsageError(f"--run {run}: another process has begun a run there; wait for it")
        config = data.config
    for name in unscored:
        for stale in (*run.glob(f"scores.{name}.json"), *run.glob(f"translations.{name}.jsonl")):
            stale.unlink()
    make_folder(run, config, data)
    return _Start(data, None if checkpoint is None else checkpoint.path, trained)


def _warn(data: TranslationData) -> None:
    """Warn of faults that will distort the scores, before any training."""
    target = TargetLanguage.of(data.config.data)
    references = [text for _, text in data.held_out["validation"]]
    trip = round_trip(data.tokenizer.target, references, target)
    lossy = round_trip_warning(trip, target.tag, data.config)
    for warning in [*scoring_warnings(references, target), *([] if lossy is None else [lossy])]:
        log.warning(warning)


def _known_data(config: Config, run: Path, checkpoint: CheckpointFile | None) -> TranslationData:
    """Read the corpus of a resumed run, with the run's own tokenizer and teachers.

    Raises:
        DataError: the text has changed since the run began.
    """
    if checkpoint is not None:  # it has the weights: the model of init_from may be gone
        training = dataclasses.replace(config.training, init_from=None)
        config = dataclasses.replace(config, training=training)
    teachers = recorded_teachers(run)
    data = TranslationData(config, tokenizer=stored_tokenizer(run), teachers=teachers)
    data.read()
    refuse_other_data(run, {"train": data.fingerprint})
    return data


def _score_tests(data: TranslationData, run: Path, device: torch.device) -> None:
    """Score the best model on every test split that has no scores yet."""
    missing = unscored_tests(run, data.config)
    if missing:
        translator = Translator.load(run, device=device.type)
    for name in missing:
        sources, references = (list(side) for side in zip(*data.held_out[name], strict=True))
        hypotheses = translator.translate_all(sources, progress=True)
        scores = corpus_scores(hypotheses, [references], TargetLanguage.of(data.config.data))
        path = run / f"translations.{name}.jsonl"
        with writing_to(path):  # before the scores, which mark the split as done
            write_translations(path, Translations(sources, references, hypotheses))
        write_text(run / f"scores.{name}.json", json.dumps(scores.to_json(), indent=2))
        log.info("%s:\n%s", name, scores)
    log.info("the best model is %s", run / "model")
