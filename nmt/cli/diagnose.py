"""`nmt diagnose RUN|CONFIG`: the gradient flow of a model, with verdicts."""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.cli.arguments import (
    corpus_files,
    model_config,
    print_result,
    read_parallel,
    read_run_split,
    refuse_output,
    refuse_placeless,
    run_of,
)
from nmt.cli.flags import Device, JsonFlag, add_flags, option, positional, split_words
from nmt.cli.report import report_training
from nmt.config import Config, ModelConfig
from nmt.config.sections import Count
from nmt.config.values import field_types, read_value
from nmt.diagnosis.records import Diagnosis, write_record
from nmt.errors import BundleError, DataError, UsageError
from nmt.log import log
from nmt.model_hub import PREFIX
from nmt.report.run_report import diagnosis_report
from nmt.training.fine_tuning import load_training_config


@dataclass
class _Flags:
    model: str = positional("RUN|MODEL|CONFIG")
    """run or bundle folder, hf://owner/name, or YAML"""
    split: str | None = None
    """split of the model's own corpus (default: validation)"""
    source: Path | None = None
    """file of source sentences to use instead"""
    reference: Path | None = None
    """file of their human translations"""
    sentences: Count = 32
    """number of sentences to average gradients over"""
    updates: Count | None = None
    """updates of each short training run (default: 100)"""
    cells: str | None = option(metavar="CELL,…")
    """compare these cells before and after a short training run: lstm,gru,tanh,relu"""
    device: Device | None = None
    """device of the short training runs"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, diagnose, and report."""
    parser.usage = "nmt diagnose RUN|MODEL|CONFIG [options] [--KEY VALUE …]"
    parser.epilog = (
        "The diagnosis of a run is stored in RUN/diagnosis.json. With a CONFIG, each config key is "
        "also an option (see nmt check --help)."
    )
    own, keys = split_words(words)
    add_flags(parser, own, _Flags, JsonFlag)
    arguments = parser.parse_args(own)
    cells = _refuse_senseless(arguments, keys)
    config = _config(arguments, keys)
    inputs = (arguments.model, arguments.source, arguments.reference)
    refuse_output(arguments.json, *inputs, *corpus_files(config))
    found = _diagnose(arguments, config, cells)
    print_result(arguments.json, diagnosis_report(arguments.model, config, found), found)
    return 0


def _refuse_senseless(arguments: argparse.Namespace, keys: list[str]) -> list[str]:
    """Refuse invalid combinations before any work, and return the cells to compare."""
    place = Path(arguments.model)
    if not place.exists() and not arguments.model.startswith(PREFIX):
        raise UsageError(f"there is no run, model or config at {place}")
    if keys and not place.is_file():
        raise UsageError(f"{keys[0]}: {arguments.model} is trained; config keys go with a CONFIG")
    if arguments.split and (arguments.source or arguments.reference):
        raise UsageError(
            "--split has its own source and reference; leave --source and --reference out"
        )
    if (arguments.source is None) != (arguments.reference is None):
        raise UsageError("--source and --reference belong together; give both")
    if arguments.cells is None:
        for option in ("updates", "device"):
            if getattr(arguments, option) is not None:
                raise UsageError(f"--{option} belongs to --cells; give that, too")
        return []
    kind = field_types(ModelConfig)["cell"]
    return [read_value(kind, cell, "--cells") for cell in dict.fromkeys(arguments.cells.split(","))]


def _config(arguments: argparse.Namespace, keys: list[str]) -> Config:
    """Read the config to train, or the config of the model."""
    if Path(arguments.model).is_file():
        config = load_training_config(arguments.model, keys)
    else:
        config = model_config(arguments.model)
    if arguments.cells:
        refuse_placeless(f"--cells: {arguments.model}", config, "give its run, or its config")
    if arguments.device is not None:
        config = replace(config, training=replace(config.training, device=arguments.device))
    return config


def _pairs(arguments: argparse.Namespace, config: Config) -> tuple[list[tuple[str, str]], str]:
    """Return the sentence pairs to use, and their name."""
    if arguments.source is None:
        split = arguments.split or "validation"
        return read_run_split(arguments.model, config, split), split
    pairs = read_parallel(arguments.source, arguments.reference)
    if not pairs:
        raise DataError(f"{arguments.source} is empty: there are no sentences to look at")
    return pairs, arguments.source.name


def _diagnose(arguments: argparse.Namespace, config: Config, cells: list[str]) -> Diagnosis:
    """Diagnose the model, and store the result in its run if there is one."""
    from nmt.bundle import find_bundle, load_bundle, weights_hash
    from nmt.diagnosis.collect import about_to_train, at_start, diagnose
    from nmt.diagnosis.compare import UPDATES, compare_cells
    from nmt.text.lines import writing_to

    pairs, split = _pairs(arguments, config)
    run_folder, weights, start = None, "", None
    if Path(arguments.model).is_file():
        bundle = about_to_train(config)
    else:
        folder = find_bundle(arguments.model)
        run_folder, weights = run_of(arguments.model, folder), weights_hash(folder)
        bundle = load_bundle(folder)
        try:
            start = None if run_folder is None else at_start(config, bundle.tokenizer)
        except BundleError as error:  # the model of training.init_from may be gone
            log.warning("the gradient flow before training is left out: %s", error)
    sentences, updates = arguments.sentences, arguments.updates or UPDATES
    found = diagnose(bundle, pairs, split=split, weights=weights, start=start, sentences=sentences)
    if cells:
        length = {"updates": updates, "sentences": sentences}
        found.flows.extend(compare_cells(config, bundle.tokenizer, cells, pairs, **length))
    if run_folder is not None:
        with writing_to(run_folder / "diagnosis.json"):
            write_record(run_folder / "diagnosis.json", found)
        if (run_folder / "report.html").exists():
            report_training(run_folder)
    return found
