"""A training run from config to scores, in a folder of its own."""

import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lightning
import torch

from nmt.config import Config
from nmt.data.round_trip import round_trip, round_trip_warning
from nmt.errors import UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import corpus_scores
from nmt.evaluation.references import scoring_warnings
from nmt.evaluation.translations import Translations, write_translations
from nmt.inference.device import describe_device, find_device, find_precision
from nmt.inference.translator import Translator
from nmt.log import kept_log, log_to_file
from nmt.memory import tune_memory
from nmt.storage import locked
from nmt.text.lines import writing_to
from nmt.training.checkpoints import newest_checkpoint
from nmt.training.fit import fit
from nmt.training.folder import is_run, is_scored, make_folder, write_text
from nmt.training.module import limits
from nmt.training.prepare import Prepared, prepare
from nmt.training.ranks import Ranks, joined, read_call
from nmt.training.resume import refuse_other_updates, resumed_config

_log = logging.getLogger("nmt")


class Rehearsal(NamedTuple):
    """A short run that only shows that all works: no tests, and little to validate on."""

    kill_after: int | None
    """The update after which the process kills itself."""
    sentences: int = 20
    """How many to validate on."""


class _Start(NamedTuple):
    """Where a run begins or goes on."""

    prepared: Prepared
    newest: Path | None
    trained: bool


def train(
    config: Config,
    run: Path,
    resume: bool = False,
    rehearsal: Rehearsal | None = None,
    then: Callable[[Path], None] | None = None,
) -> None:
    """Train a model, keep the best as a bundle, and score it on the test splits.

    Args:
        config: what to do.
        run: the run folder; it must not exist, or be one to resume.
        resume: go on where the run stands; start it where there is none.
        rehearsal: only try it; see `nmt.training.verify`.
        then: what to do with the folder of the finished run, in the first process alone.

    Raises:
        UsageError: the folder exists, another process trains in it, or its run was made with
            another config.
        DataError: the corpus is not what the config says, or not what the run began with.
        StoppedError: a signal came; what is done is saved.
    """
    device = find_device(config.training.device, "training.device")
    with (
        joined(config.training, device, config, run, resume, rehearsal) as ranks,
        contextlib.ExitStack() as stack,
        kept_log() as earlier,
    ):
        if not ranks.first:
            _log.setLevel(logging.CRITICAL)
        lightning.seed_everything(config.seed, verbose=False)
        start = ranks.share(lambda: _start(config, run, resume, ranks, stack, rehearsal))
        if start is None:
            _log.info("training is finished: the best model is %s", run / "model")
            if ranks.first and then is not None:
                then(run)
            return
        if ranks.first:
            stack.enter_context(log_to_file(run / "train.log", earlier))
        if not start.trained:
            kill_after = None if rehearsal is None else rehearsal.kill_after
            fit(start.prepared, run, ranks, newest=start.newest, kill_after=kill_after)
        if ranks.first:
            _score_tests(start.prepared, run, device)
            if then is not None:
                then(run)


def follow() -> None:
    """Train as one of the processes that another has started; see `nmt.training.ranks`."""
    call = read_call(sys.stdin.buffer)
    tune_memory()
    try:
        train(*call)
    except Exception as error:
        time.sleep(1)  # where the first process failed, it says why and ends this one
        rank = os.environ["RANK"]
        print(f"nmt: error: process {rank}: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)


def _start(
    config: Config,
    run: Path,
    resume: bool,
    ranks: Ranks,
    stack: contextlib.ExitStack,
    rehearsal: Rehearsal | None,
) -> _Start | None:
    """Read and check everything, and make the run folder; None where all is done already."""
    known = is_run(run, resume)
    checkpoint, trained = None, False
    if known:
        stack.enter_context(locked(run))
        checkpoint = newest_checkpoint(run / "checkpoints")
        config = resumed_config(run, config)
        if checkpoint is not None:
            refuse_other_updates(config, ranks, checkpoint)
            trained = checkpoint.finished and checkpoint.limits == limits(config.training)
        if trained and is_scored(run, config):
            return None
    device = find_device(config.training.device)
    several = f"{ranks.size} × " if ranks.size > 1 else ""
    precision = find_precision(config.training.precision, device, "training.precision")
    _log.info("device: %s%s, precision %s", several, describe_device(device), precision)
    prepared = prepare(config, run if known else None, from_base=checkpoint is None, ranks=ranks)
    _warn(prepared)
    if not known:
        with writing_to(run):
            run.mkdir(parents=True, exist_ok=True)
        stack.enter_context(locked(run))
        if is_run(run, resume):
            raise UsageError(f"{run}: another process has begun a run there; wait for its end")
    make_folder(run, prepared)
    if not trained:
        for stale in (*run.glob("scores.*.json"), *run.glob("translations.*.jsonl")):
            stale.unlink()
    if rehearsal is not None:
        few = prepared.validation[: rehearsal.sentences]
        prepared = dataclasses.replace(prepared, held_out={"validation": few})
    return _Start(prepared, None if checkpoint is None else checkpoint.path, trained)


def _warn(prepared: Prepared) -> None:
    """Say what will be wrong with the scores, before any training."""
    target = TargetLanguage.of(prepared.config.data)
    references = [text for _, text in prepared.validation]
    trip = round_trip(prepared.tokenizer.target, references, target)
    told = round_trip_warning(trip, target.tag, prepared.config.tokenizer)
    for warning in [*scoring_warnings(references, target), *([] if told is None else [told])]:
        _log.warning(warning)


def _score_tests(prepared: Prepared, run: Path, device: torch.device) -> None:
    """Score the best model on every test split that has no scores yet."""
    missing = [
        name
        for name in prepared.held_out
        if name != "validation" and not (run / f"scores.{name}.json").exists()
    ]
    translator = Translator.load(run, device=device.type) if missing else None
    for name in missing:
        assert translator is not None
        pairs = prepared.held_out[name]
        sources, references = [source for source, _ in pairs], [target for _, target in pairs]
        hypotheses = translator.translate_all(sources, progress=True)
        scores = corpus_scores(hypotheses, references, TargetLanguage.of(prepared.config.data))
        path = run / f"translations.{name}.jsonl"
        with writing_to(path):  # before the scores, which say that the split is done
            write_translations(path, Translations(sources, references, hypotheses))
        write_text(run / f"scores.{name}.json", json.dumps(scores.to_json(), indent=2))
        _log.info("%s:\n%s", name, scores)
    _log.info("the best model is %s", run / "model")
