"""A training run from config to scores, in a folder of its own."""

import contextlib
import json
import logging
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy

from nmt.bundle import save_bundle
from nmt.config import Config, dump_config
from nmt.data.corpus import corpus_places
from nmt.data.loader import Updates
from nmt.errors import StoppedError, UsageError
from nmt.evaluation.metrics import corpus_scores
from nmt.inference.device import describe_device, find_device, find_precision
from nmt.inference.translator import Translator
from nmt.log import kept_log, log_to_file
from nmt.storage import atomic_folder, atomic_write, locked
from nmt.text.lines import writing_to
from nmt.training.checkpoints import Checkpoints, newest_checkpoint
from nmt.training.module import TranslationModule
from nmt.training.prepare import Prepared, prepare
from nmt.training.ranks import Ranks, joined, read_call
from nmt.training.records import Recorder
from nmt.training.resume import moved_limits, refuse_other_updates, resumed_config
from nmt.training.stopping import Stopping
from nmt.training.validation import Validation

_log = logging.getLogger("nmt")
_DEFAULT_EPOCHS = 20


class _Start(NamedTuple):
    """Where a run begins or goes on."""

    prepared: Prepared
    checkpoint: Path | None
    trained: bool


def train(config: Config, run: Path, *, resume: bool = False) -> None:
    """Train a model, keep the best as a bundle, and score it on the test splits.

    Args:
        config: what to do.
        run: the run folder; it must not exist, or be one to resume.
        resume: go on where the run stands; start it where there is none.

    Raises:
        UsageError: the folder exists, another process trains in it, or its run was made with
            another config.
        DataError: the corpus is not what the config says, or not what the run began with.
        StoppedError: a signal came; what is done is saved.
    """
    device = find_device(config.training.device, "training.device")
    precision = find_precision(config.training.precision, device)
    _quieten_lightning()
    with (
        joined(config.training, device, config, run, resume) as ranks,
        contextlib.ExitStack() as stack,
        kept_log() as earlier,
    ):
        if not ranks.first:
            _log.setLevel(logging.CRITICAL)
        lightning.seed_everything(config.seed, verbose=False)
        start = ranks.share(lambda: _start(config, run, resume, ranks, stack))
        if start is None:
            _log.info("training is finished: the best model is %s", run / "model")
            return
        if ranks.first:
            stack.enter_context(log_to_file(run / "train.log", earlier))
        if not start.trained:
            _fit(start, run, ranks, device, precision)
        if ranks.first:
            _score_tests(start.prepared, run, device)


def follow() -> None:
    """Train as one of the processes that another has started; see `nmt.training.ranks`."""
    config, run, resume = read_call(sys.stdin.buffer)
    try:
        train(config, run, resume=resume)
    except Exception as error:
        time.sleep(1)  # where the first process failed, it says why and ends this one
        rank = os.environ["RANK"]
        print(f"nmt: error: process {rank}: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)


def _start(
    config: Config, run: Path, resume: bool, ranks: Ranks, stack: contextlib.ExitStack
) -> _Start | None:
    """Read and check everything, and make the run folder; None where all is done already."""
    known = _is_run(run, resume)
    checkpoint, trained = None, False
    if known:
        stack.enter_context(locked(run))
        checkpoint = newest_checkpoint(run / "checkpoints")
        config = resumed_config(run, config)
        if checkpoint is not None:
            refuse_other_updates(config, ranks, checkpoint)
            trained = checkpoint.finished and not moved_limits(run, config)
        if trained and _is_scored(run, config):
            return None
    device = find_device(config.training.device)
    several = f"{ranks.size} × " if ranks.size > 1 else ""
    precision = find_precision(config.training.precision, device)
    _log.info("device: %s%s, precision %s", several, describe_device(device), precision)
    prepared = prepare(config, run if known else None, from_base=checkpoint is None)
    _make_folder(run, prepared)
    if not known:
        stack.enter_context(locked(run))
    return _Start(prepared, None if checkpoint is None else checkpoint.path, trained)


def _is_run(run: Path, resume: bool) -> bool:
    """Tell whether there is a run to go on with.

    Raises:
        UsageError: there is something else, or a run that was not to be touched.
    """
    for path in (run, *run.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"--run {run}: {path} is a file; choose another folder")
    if not run.exists() or not any(run.iterdir()):
        return False
    if not (run / "config.yaml").exists():
        raise UsageError(f"--run {run}: it holds something else than a run; choose another folder")
    if not resume:
        raise UsageError(f"{run} exists; go on with --resume, or choose another folder with --run")
    return True


def _is_scored(run: Path, config: Config) -> bool:
    tests = [name for name in corpus_places(config.data) if name not in ("train", "validation")]
    return all((run / f"scores.{name}.json").exists() for name in tests)


def _make_folder(run: Path, prepared: Prepared) -> None:
    """Make the run folder, or what is missing of it."""
    with writing_to(run):
        run.mkdir(parents=True, exist_ok=True)
        path, text = run / "config.yaml", dump_config(prepared.config)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            _write_text(path, text)  # first: now it is a run
        for left in run.glob(".*.tmp"):  # by a run that was killed while it wrote
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if not (run / "tokenizer").exists():
            with atomic_folder(run / "tokenizer") as folder:
                prepared.tokenizer.save(folder)
        if not (run / "environment.json").exists():
            _write_text(run / "environment.json", json.dumps(prepared.environment, indent=2))


def _fit(start: _Start, run: Path, ranks: Ranks, device: torch.device, precision: str) -> None:
    """Train to the end, from the newest checkpoint where there is one."""
    prepared, newest = start.prepared, start.checkpoint
    config = prepared.config.training
    module = _module(prepared, ranks)
    recorder = Recorder(run, config.log_every, module.total_updates, ranks)
    checkpoints = Checkpoints(
        run / "checkpoints", config.checkpoint_every or config.validate_every, ranks
    )
    stopping = Stopping(checkpoints, ranks)
    if ranks.size > 1:
        device = torch.device(device.type, ranks.local_rank if device.type == "cuda" else 0)
        torch.manual_seed(prepared.config.seed + ranks.rank)  # other units drop out in each
    translator = Translator(
        prepared.model, prepared.tokenizer, prepared.config, device=device, precision=precision
    )

    def export(trained: TranslationModule, update: int, scores: dict[str, float]) -> None:
        save_bundle(
            run / "model",
            model=trained.model,
            tokenizer=prepared.tokenizer,
            config=prepared.config,
            metrics=prepared.environment | {"update": update, "validation": scores},
        )

    trainer = lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=ranks.local_size,
        num_nodes=ranks.size // ranks.local_size,
        strategy=_strategy(config.strategy, ranks),
        plugins=None if ranks.environment is None else [ranks.environment],
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_steps=config.max_updates or -1,
        max_epochs=1,
        callbacks=[
            recorder,
            Validation(
                prepared.config,
                translator,
                prepared.held_out["validation"],
                recorder,
                export,
                ranks,
            ),
            checkpoints,
            stopping,
        ],
        # On a CPU all of torch's kernels used here are deterministic as they are.
        deterministic="warn" if device.type == "cuda" else None,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=run,
    )
    if newest is not None:
        _log.info("going on from %s", newest)
    try:
        trainer.fit(module, ckpt_path=newest, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise StoppedError("interrupted; go on with --resume") from None
    if ranks.any(stopping.asked):
        raise StoppedError("interrupted; training is finished, score the tests with --resume")


def _strategy(wanted: str, ranks: Ranks) -> str | DDPStrategy:
    """Return Lightning's strategy: one process, or copies of the model that agree on gradients."""
    if ranks.size == 1 and wanted == "auto":
        return "auto"
    return DDPStrategy(process_group_backend="gloo" if not torch.cuda.is_available() else None)


def _module(prepared: Prepared, ranks: Ranks) -> TranslationModule:
    """Join the network with its updates, and work out where training ends by itself."""
    config = prepared.config.training
    updates = Updates(
        prepared.pairs,
        prepared.tokenizer,
        batch_tokens=config.batch_tokens,
        accumulate=config.accumulate,
        seed=prepared.config.seed,
        rank=ranks.rank,
        world_size=ranks.size,
    )
    max_epochs = config.max_epochs
    if max_epochs is None and config.max_updates is None:
        max_epochs = _DEFAULT_EPOCHS
    ends = [] if config.max_updates is None else [config.max_updates]
    if max_epochs is not None:  # every epoch has about as many updates as the first
        ends.append(max_epochs * len(updates.plan(0)))
    return TranslationModule(
        prepared.model, config, updates, ranks, max_epochs=max_epochs, total_updates=min(ends)
    )


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
        scores = corpus_scores(
            translator.translate_all([source for source, _ in pairs], progress=True),
            [target for _, target in pairs],
            prepared.config.data.target_language,
        )
        _write_text(run / f"scores.{name}.json", json.dumps(scores.to_json(), indent=2))
        _log.info("%s:\n%s", name, scores)
    _log.info("the best model is %s", run / "model")


def _write_text(path: Path, text: str) -> None:
    with writing_to(path), atomic_write(path) as stream:
        stream.write(text.encode())


def _quieten_lightning() -> None:
    """Leave the talking to our own log."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="lightning")
