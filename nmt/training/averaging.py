"""The mean of the weights in several checkpoints."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import torch

from nmt.bundle import Bundle, build_model, load_bundle
from nmt.card import Environment
from nmt.config import load_stored_config
from nmt.errors import BundleError, DataError, UsageError
from nmt.reading import read_record
from nmt.text.tokenizer import load_tokenizer
from nmt.training.checkpoints import checkpoint_files, read_checkpoint


def average_checkpoints(run: Path, number: int) -> Bundle:
    """Return a model whose weights are the mean of those in a run's newest checkpoints.

    The run may continue meanwhile; its folder is only read. The model has no scores.

    Args:
        run: the run folder.
        number: checkpoints to average, at least 2.

    Raises:
        UsageError: no run, too few checkpoints, or `number` is below 2.
        DataError: a checkpoint is damaged.

    Source: Junczys-Dowmunt et al. 2016; Vaswani et al. 2017, section 6.1.
    """
    if number < 2:
        raise UsageError(
            f"--average: {number} is too few; give at least 2, or leave it out for the best model"
        )
    checkpoints = _newest(run, number)
    states = [checkpoint["state_dict"] for checkpoint in checkpoints]
    config, tokenizer = load_stored_config(run / "config.yaml"), load_tokenizer(run / "tokenizer")
    model = build_model(config, tokenizer).eval()
    try:
        with torch.no_grad():
            for name, parameter in model.named_parameters():  # a tied one under its first name
                weights = torch.stack([state[f"model.{name}"] for state in states])
                parameter.copy_(weights.double().mean(dim=0))
            model.decoder.token_counts.copy_(states[-1]["model.decoder.token_counts"])
    except (KeyError, RuntimeError) as error:
        raise DataError(f"--average: {run}: checkpoints and config.yaml differ: {error}") from None
    with contextlib.suppress(BundleError):  # the search may have been tuned meanwhile
        config = dataclasses.replace(config, decoding=load_bundle(run).config.decoding)
    environment = dict(read_record(run / "environment.json", Environment))
    updates = [checkpoint["global_step"] for checkpoint in checkpoints]
    return Bundle(model, tokenizer, config, environment | {"averaged_updates": updates}, "fp32")


def _newest(run: Path, number: int) -> list[dict[str, Any]]:
    """Read a run's newest checkpoints, the oldest first."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        raise UsageError(
            f"--average: {run} holds no checkpoints; give the folder of a run, as `nmt train` "
            "makes it"
        )
    while True:
        paths = checkpoint_files(folder)[-number:]
        if len(paths) < number:
            raise UsageError(
                f"--average: {number} exceeds the {len(paths)} checkpoints in {folder}; "
                "ask for fewer, or raise training.keep_checkpoints while the run trains"
            )
        try:
            return [read_checkpoint(path) for path in paths]
        except DataError as error:
            raise DataError(f"--average: {error}; move it elsewhere to average others") from None
        except FileNotFoundError:  # the run has replaced one by a newer one
            if checkpoint_files(folder)[-number:] == paths:
                raise
