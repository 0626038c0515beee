"""`nmt export MODEL OUT`: a model as a folder of its own, also with weights of 8 bits."""

import argparse
import logging
import os
from pathlib import Path

from nmt.cli.page import memory_size
from nmt.errors import DataError, UsageError

_log = logging.getLogger("nmt")


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and write the bundle."""
    parser.add_argument(
        "model", metavar="MODEL", help="run folder, bundle folder, or hf://owner/name"
    )
    parser.add_argument(
        "out", metavar="OUT", help="the new folder; one that holds a bundle is replaced"
    )
    parser.add_argument(
        "--precision",
        choices=["fp32", "int8"],
        help="how weights are stored; int8 rounds them, to a quarter of the size "
        "(default: as the model's are)",
    )
    arguments = parser.parse_args(words)
    # What stands behind a link is replaced, not the link.
    out = Path(os.path.realpath(arguments.out))

    from nmt.bundle import find_bundle, is_bundle, load_bundle, save_bundle, weights_size
    from nmt.text.lines import writing_to

    with writing_to(arguments.out):
        if not out.parent.is_dir():
            raise DataError(f"cannot write {arguments.out}: there is no folder {out.parent}")
        if out.exists() and not (out.is_dir() and is_bundle(out)):
            raise UsageError(
                f"{arguments.out} is there, and is not just a bundle; choose another OUT"
            )
    source = find_bundle(arguments.model)
    if out.is_relative_to(source.resolve()):
        raise UsageError(f"{arguments.out} lies in the model itself, {source}; choose another OUT")

    bundle = load_bundle(source)
    precision = arguments.precision or bundle.precision
    with writing_to(arguments.out):
        save_bundle(
            out,
            model=bundle.model,
            tokenizer=bundle.tokenizer,
            config=bundle.config,
            metrics=bundle.metrics | ({"rounded": True} if precision == "int8" else {}),
            precision=precision,
        )
    if bundle.precision == "int8" and precision == "fp32":
        _log.warning("the weights were rounded to int8 before, and stay so; only the file grows")
    _log.info(
        "%s: weights in %s, %s (in %s: %s, %s)",
        *(arguments.out, precision, memory_size(weights_size(out))),
        *(arguments.model, bundle.precision, memory_size(weights_size(source))),
    )
    return 0
