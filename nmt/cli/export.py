"""`nmt export MODEL OUT`: a model in a new folder, optionally averaged or in 8 bits."""

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nmt.cli.flags import add_flags, option, positional
from nmt.config.sections import Count
from nmt.errors import DataError, UsageError
from nmt.log import log, memory_size


@dataclass
class _Flags:
    model: str = positional("MODEL")
    """run folder, bundle folder, or hf://owner/name"""
    out: str = positional("OUT")
    """the new folder; an existing bundle is replaced"""
    precision: Literal["fp32", "int8"] | None = None
    """storage of the weights; int8 rounds them, for a quarter of the size (default: the model's
    own)"""
    average: Count | None = option(metavar="N")
    """export the mean of the weights in the N newest checkpoints of the run MODEL instead of its
    best model; the mean has no validation scores"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and write the bundle."""
    add_flags(parser, words, _Flags)
    arguments = parser.parse_args(words)
    # Replace a link's target, not the link.
    out = Path(os.path.realpath(arguments.out))

    from nmt.bundle import find_bundle, is_bundle, load_bundle, save_bundle, weights_size
    from nmt.text.lines import writing_to

    with writing_to(arguments.out):
        if not out.parent.is_dir():
            raise DataError(f"cannot write {arguments.out}: there is no folder {out.parent}")
        if out.exists() and not is_bundle(out):
            raise UsageError(
                f"{arguments.out} is there, and is not just a bundle; choose another OUT"
            )
    run_model = Path(arguments.model, "model")
    source = find_bundle(arguments.model) if arguments.average is None else run_model
    if out.is_relative_to(source.resolve()):
        raise UsageError(f"{arguments.out} lies in the model itself, {source}; choose another OUT")

    if arguments.average is None:
        bundle = load_bundle(source)
    else:
        from nmt.training.averaging import average_checkpoints  # imports lightning

        bundle = average_checkpoints(Path(arguments.model), arguments.average)
    precision = arguments.precision or bundle.precision
    metrics = bundle.metrics | ({"rounded": True} if precision == "int8" else {})
    metrics.pop("published", None)  # the address and the scores of another bundle
    with writing_to(arguments.out):
        save_bundle(out, replace(bundle, metrics=metrics, precision=precision))
    if bundle.precision == "int8" and precision == "fp32":
        log.warning("the weights were rounded to int8 before, and stay so; only the file grows")
    log.info("%s: weights in %s, %s", arguments.out, precision, memory_size(weights_size(out)))
    return 0
