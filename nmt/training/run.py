"""A training run from config to scores, in a folder of its own."""

import json
import logging
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch

from nmt.bundle import save_bundle
from nmt.config import Config, dump_config
from nmt.data.corpus import corpus_places
from nmt.data.loader import Updates
from nmt.errors import DataError, StoppedError, UsageError
from nmt.evaluation.metrics import corpus_scores
from nmt.inference.device import describe_device, find_device, find_precision
from nmt.inference.translator import Translator
from nmt.log import kept_log, log_to_file
from nmt.storage import atomic_folder, atomic_write
from nmt.text.lines import writing_to
from nmt.training.checkpoints import Checkpoints, checkpoint_files
from nmt.training.module import TranslationModule
from nmt.training.prepare import Prepared, prepare, resumed_config
from nmt.training.records import Recorder
from nmt.training.validation import Validation

_log = logging.getLogger("nmt")
_DEFAULT_EPOCHS = 20


def train(config: Config, run: Path, *, resume: bool = False) -> None:
    """Train a model, keep the best as a bundle, and score it on the test splits.

    Args:
        config: what to do.
        run: the run folder; it must not exist, or be one to resume.
        resume: go on where the run stands; start it where there is none.

    Raises:
        UsageError: the folder exists, or its run was made with another config.
        DataError: the corpus is not what the config says, or not what the run began with.
    """
    device = find_device(config.training.device, "training.device")
    precision = find_precision(config.training.precision, device)
    known = _is_run(run, resume)
    checkpoint = _newest_checkpoint(run)
    if known:
        config = resumed_config(run, config)
        if _is_finished(run, config, checkpoint):
            _log.info("training is finished: the best model is %s", run / "model")
            return
    with kept_log() as earlier:
        _log.info("device: %s, precision %s", describe_device(device), precision)
        _quieten_lightning()
        lightning.seed_everything(config.seed, verbose=False)
        prepared = prepare(config, run if known else None, from_base=checkpoint is None)
    _make_folder(run, prepared)
    with log_to_file(run / "train.log", earlier):
        if checkpoint is None or not checkpoint["finished"]:
            newest = None if checkpoint is None else checkpoint["path"]
            _fit(prepared, run, device, precision, newest)
        _score_tests(prepared, run, device)


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


def _newest_checkpoint(run: Path) -> dict[str, Any] | None:
    """Read the newest checkpoint, so that a damaged one is said before any work."""
    found = checkpoint_files(run / "checkpoints")
    if not found:
        return None
    try:
        checkpoint: dict[str, Any] = torch.load(found[-1], map_location="cpu", weights_only=True)
        return {"finished": checkpoint["finished"], "path": found[-1]}
    except Exception as error:
        raise DataError(
            f"the checkpoint {found[-1]} is damaged ({type(error).__name__}); "
            "delete it to go on from the one before"
        ) from None


def _is_finished(run: Path, config: Config, checkpoint: dict[str, Any] | None) -> bool:
    tests = [name for name in corpus_places(config.data) if name not in ("train", "validation")]
    scored = all((run / f"scores.{name}.json").exists() for name in tests)
    return checkpoint is not None and checkpoint["finished"] and scored


def _make_folder(run: Path, prepared: Prepared) -> None:
    """Make the run folder, or what is missing of it."""
    with writing_to(run):
        run.mkdir(parents=True, exist_ok=True)
        if not (run / "config.yaml").exists():  # first: now it is a run
            _write_text(run / "config.yaml", dump_config(prepared.config))
        for left in run.glob(".*.tmp"):  # by a run that was killed while it wrote
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if not (run / "tokenizer").exists():
            with atomic_folder(run / "tokenizer") as folder:
                prepared.tokenizer.save(folder)
        if not (run / "environment.json").exists():
            _write_text(run / "environment.json", json.dumps(prepared.environment, indent=2))


def _fit(
    prepared: Prepared, run: Path, device: torch.device, precision: str, newest: Path | None
) -> None:
    """Train to the end, from the newest checkpoint where there is one."""
    config = prepared.config.training
    module = training_module(prepared)
    recorder = Recorder(run, config.log_every, module.total_updates)
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
        devices=1,
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_steps=config.max_updates or -1,
        max_epochs=1,
        callbacks=[
            recorder,
            Validation(prepared.config, translator, prepared.validation, recorder, export),
            Checkpoints(run / "checkpoints", config.checkpoint_every or config.validate_every),
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


def training_module(prepared: Prepared) -> TranslationModule:
    """Join the network with its updates, and work out where training ends by itself."""
    config = prepared.config.training
    updates = Updates(
        prepared.pairs,
        prepared.tokenizer,
        batch_tokens=config.batch_tokens,
        accumulate=config.accumulate,
        seed=prepared.config.seed,
    )
    max_epochs = config.max_epochs
    if max_epochs is None and config.max_updates is None:
        max_epochs = _DEFAULT_EPOCHS
    ends = [] if config.max_updates is None else [config.max_updates]
    if max_epochs is not None:  # every epoch has about as many updates as the first
        ends.append(max_epochs * len(updates.plan(0)))
    return TranslationModule(
        prepared.model, config, updates, max_epochs=max_epochs, total_updates=min(ends)
    )


def _score_tests(prepared: Prepared, run: Path, device: torch.device) -> None:
    """Score the best model on every test split that has no scores yet."""
    names = [name for name in prepared.corpus.splits if name not in ("train", "validation")]
    missing = [name for name in names if not (run / f"scores.{name}.json").exists()]
    translator = Translator.load(run, device=device.type) if missing else None
    for name in missing:
        assert translator is not None
        pairs = list(prepared.corpus.pairs(name))
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
