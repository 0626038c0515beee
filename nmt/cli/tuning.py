"""`nmt evaluate MODEL --tune`: the best setting of the search becomes the model's own default."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from nmt.cli.arguments import load_translator
from nmt.cli.compared_texts import Texts
from nmt.cli.flags import flag_name
from nmt.errors import DataError, UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.log import log
from nmt.model_hub import PREFIX

if TYPE_CHECKING:
    from nmt.inference.search_tuning import Tuning

_SPLIT = "validation"


def refuse_senseless_tuning(arguments: argparse.Namespace, settings: dict[str, Any]) -> None:
    """Refuse models and options that cannot be tuned, before any work."""
    given = [name for name in ("hypotheses", "ensemble") if getattr(arguments, name)]
    given += [name for name in settings if name != "batch_size"]
    if given:
        flag = flag_name(given[0])
        raise UsageError(
            f"{flag}: --tune finds out how MODEL by itself searches best; leave it out"
        )
    split = arguments.split or "test"
    if arguments.source is None and split != _SPLIT:
        raise UsageError(
            f"--tune: the split {split} must not choose a setting; give --split {_SPLIT}, or "
            "--source and --reference"
        )
    if arguments.model.startswith(PREFIX):
        raise UsageError(
            f"--tune: {arguments.model} cannot be changed from here; nmt export it to a folder, "
            "and tune that"
        )


def tune_model(
    arguments: argparse.Namespace, texts: Texts, target: TargetLanguage, settings: dict[str, Any]
) -> "Tuning":
    """Try the settings, and write the best one into the model's bundle.

    Raises:
        UsageError: another process uses the folder, or it holds more than a bundle.
        DataError: it cannot be written.
    """
    from nmt.bundle import find_bundle, is_bundle, save_tuned
    from nmt.inference.search_tuning import tune
    from nmt.storage import locked
    from nmt.text.lines import writing_to

    folder = find_bundle(arguments.model).resolve()
    if not is_bundle(folder):
        raise UsageError(
            f"--tune: {folder} holds more than a model, and is replaced as a whole; nmt export it "
            "to a folder of its own, and tune that"
        )
    if not os.access(folder.parent, os.W_OK):
        raise DataError(f"cannot write {folder}: Permission denied")
    run = folder.parent
    is_best = folder.name == "model" and (run / "config.yaml").exists()
    with locked(run if is_best else folder, patience=0):  # training may replace its best model
        translator = load_translator(arguments)
        tuning = tune(
            translator, texts.sources, texts.references[0], target, translator.options(**settings)
        )
        with writing_to(folder):
            save_tuned(folder, {"split": arguments.split, **tuning.to_json()})
    best = tuning.best
    now = f"beam size {best.beam_size} and length penalty {best.length_penalty:g}"
    log.info("%s is changed: its defaults are now %s", folder, now)
    return tuning
