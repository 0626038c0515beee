"""Lightning's Trainer, composed for a run folder or for a few updates without one."""

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import LambdaCallback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from nmt.bundle import Bundle
from nmt.config import Config
from nmt.data.loader import Update
from nmt.errors import NmtError, StoppedError
from nmt.inference.device import find_device, find_precision
from nmt.log import log, quiet
from nmt.memory import is_out_of_memory
from nmt.text.lines import writing_to
from nmt.training.checkpoints import Checkpoints, CheckpointWriter
from nmt.training.data_module import TranslationData
from nmt.training.distributed import local_world_size, rank, world_size
from nmt.training.loggers import make_loggers
from nmt.training.module import TranslationModule, refuse_settings
from nmt.training.patience import Patience
from nmt.training.run_log import RunLog, logged


def fit(
    data: TranslationData,
    run: Path,
    device: torch.device,
    environment: ClusterEnvironment | None,
    checkpoint: Path | None,
    callbacks: Sequence[lightning.Callback],
    loggers: Sequence[Logger],
) -> None:
    """Train to the end, in a run folder.

    Args:
        data: already set up.
        run: the run folder.
        device: to train on.
        environment: the processes that train together; None for one.
        checkpoint: to resume from; None for a new run.
        callbacks: beside our own.
        loggers: beside those of the config.

    Raises:
        StoppedError: a signal stopped training.
        NmtError: training diverged, or the disk is full.
    """
    training = data.config.training
    module = TranslationModule(data.config)
    total_updates = data.total_updates(world_size())
    if training.warmup_updates >= total_updates:
        text = "training.warmup_updates: %d: the %d updates end before the learning rate is reached"
        log.warning(text, training.warmup_updates, total_updates)

    def save_best(trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        if module.is_best and rank() == 0:
            scores = logged(trainer, "validation/")
            validation = {name.rpartition("/")[2]: value for name, value in scores.items()}
            state = {"update": trainer.global_step, "validation": validation}
            with writing_to(run / "model"):
                module.save_bundle(run / "model", state)

    history = run / "metrics.csv" if "csv" in training.loggers else None
    run_log = RunLog(history, training.log_every, total_updates)
    checkpoints = Checkpoints(run / "checkpoints", training)
    patience = Patience(training.monitor, training.patience)
    ours = [LambdaCallback(on_validation_end=save_best), run_log, patience]
    trainer = lightning.Trainer(
        **_hardware(data.config, device, environment),
        max_steps=total_updates,
        val_check_interval=training.validate_every,
        check_val_every_n_epoch=None,
        log_every_n_steps=training.log_every,
        callbacks=[*ours, *callbacks, checkpoints],
        logger=[*make_loggers(training, run), *loggers],
        num_sanity_val_steps=0,
        default_root_dir=run,
    )
    if checkpoint is not None:
        log.info("resuming from %s", checkpoint)
    try:
        with _interrupts(data.config, "; continue with --resume"):
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
            if module.validated_update != trainer.global_step:  # it ended between two validations
                trainer.validate(module, datamodule=data, verbose=False)
            checkpoints.finish(trainer)
    finally:
        run_log.close()


def try_callbacks(callbacks: Sequence[lightning.Callback], loggers: Sequence[Logger]) -> None:
    """Make a Trainer with a user's callbacks and loggers, so that faults show before the run."""
    _silence_lightning()
    given: dict[str, Any] = {"callbacks": list(callbacks), "logger": list(loggers)}
    given |= {"accelerator": "cpu", "plugins": LightningEnvironment()}
    refuse_settings(lightning.Trainer(max_steps=1, **given))


def fit_briefly(
    data: TranslationData,
    max_updates: int,
    after_update: Callable[[Update], bool] = lambda update: False,
) -> Bundle:
    """Train a new model for a few updates in this process, without a run folder.

    Args:
        data: of the run, with its config.
        max_updates: bound on the updates.
        after_update: called after each update; returning True stops training.

    Raises:
        StoppedError: a signal stopped training.
        NmtError: training does not fit into memory.
    """

    def end(trainer: lightning.Trainer, *rest: Any) -> None:
        trainer.should_stop = after_update(rest[2])

    config, module = data.config, TranslationModule(data.config)
    device = find_device(config.training.device)
    lightning.seed_everything(config.seed, verbose=False)
    trainer = lightning.Trainer(
        **_hardware(config, device, None),
        max_steps=max_updates,
        callbacks=[LambdaCallback(on_train_batch_end=end)],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
    )
    with quiet(), _interrupts(config):
        trainer.fit(module, datamodule=data)
    return Bundle(module.model.eval(), data.tokenizer, data.config, {}, "fp32")


def _hardware(
    config: Config, device: torch.device, environment: ClusterEnvironment | None
) -> dict[str, Any]:
    """Return the Trainer's arguments for device, precision and processes."""
    _silence_lightning()
    if device.type == "cuda":  # deterministic mode would also fill every new tensor, which is slow
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    precision = find_precision(config.training.precision, device, "training.precision")
    return {
        "accelerator": "gpu" if device.type == "cuda" else "cpu",
        "devices": local_world_size(),
        "num_nodes": world_size() // local_world_size(),
        "strategy": "auto" if environment is None else _ddp(),
        # Lightning's own choice for one process fails in a SLURM job of several tasks.
        "plugins": [CheckpointWriter(), environment or LightningEnvironment()],
        "precision": "bf16-mixed" if precision == "bf16" else "32-true",
        # On a CPU all kernels used here are deterministic by default.
        "deterministic": "warn" if device.type == "cuda" else None,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }


def _ddp() -> DDPStrategy:
    """Return the strategy of several processes, for contract 3 (resume).

    By default the buckets of the first update differ from later ones, and so do sums of three or
    more gradients: `test_three_ranks_too_resume_bit_for_bit` then fails.
    """
    return DDPStrategy(
        broadcast_buffers=False,  # they never change
        process_group_backend=None if torch.cuda.is_available() else "gloo",
        find_unused_parameters=True,
    )


@contextlib.contextmanager
def _interrupts(config: Config, remedy: str = "") -> Iterator[None]:
    """Translate Lightning's exit on Ctrl-C, and torch's errors of memory, into our errors."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        raise StoppedError(f"interrupted{remedy}") from None
    except (RuntimeError, MemoryError, EOFError, ConnectionError) as error:
        training = config.training
        if is_out_of_memory(error):
            raise NmtError(
                "training does not fit into memory: lower training.batch_tokens "
                f"({training.batch_tokens}) and raise training.accumulate ({training.accumulate}), "
                "or take a smaller model"
            ) from None
        cut_off = isinstance(error, EOFError | ConnectionError) and training.workers
        if cut_off or "DataLoader worker" in str(error):
            raise NmtError(
                f"training.workers: {training.workers}: a worker was killed, perhaps because "
                f"memory or /dev/shm ran out; give 0, or free memory{remedy}"
            ) from None
        raise


def _silence_lightning() -> None:
    """Silence Lightning's own logging and its warnings, unless the user asked for them."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module="lightning")
