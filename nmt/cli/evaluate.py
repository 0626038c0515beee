"""`nmt evaluate MODEL`: BLEU, chrF and TER against untouched references."""

import argparse
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nmt.cli.arguments import load_translator, model_config, search_settings, write_json
from nmt.cli.compared_texts import TextFlags, Texts, read_compared, refuse_senseless
from nmt.cli.flags import (
    JsonFlag,
    ModelFlags,
    add_flags,
    add_search_flags,
    flag_name,
    option,
    positional,
)
from nmt.cli.tuning import refuse_senseless_tuning, tune_model
from nmt.config import BleuTokenizer, Config
from nmt.errors import UsageError
from nmt.evaluation.languages import TargetLanguage
from nmt.evaluation.metrics import bleu_metric, corpus_scores
from nmt.evaluation.references import scoring_warnings
from nmt.evaluation.significance import paired_bootstrap
from nmt.log import log
from nmt.text.lines import open_output

if TYPE_CHECKING:
    from nmt.inference.search_tuning import Tuning


@dataclass
class _Flags(ModelFlags):
    model: str = positional("MODEL", nargs="?")
    target_language: str | None = option(metavar="TAG")
    """language that determines BLEU's tokenizer and the kind of TER (default: the model's, else
    en)"""
    bleu_tokenizer: BleuTokenizer | None = None
    """sacreBLEU's tokenizer (default: the model's data.bleu_tokenizer, or the language's)"""
    tune: bool = False
    """try beam sizes and length penalties on --split validation, and store the best as the model's
    own defaults (until further training replaces the model)"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, translate if necessary, and score."""
    parser.usage = (
        "nmt evaluate MODEL [--split NAME | --test-set NAME … | --source F --reference F …] "
        "[options]\n"
        "       nmt evaluate --hypotheses F --reference F … [--target-language TAG] [options]\n"
        "       nmt evaluate --test-set list"
    )
    add_flags(parser, words, _Flags, TextFlags, JsonFlag)
    add_search_flags(parser, words, without=("n_best",))
    arguments = parser.parse_intermixed_args(words)
    if arguments.test_set == ["list"]:
        from nmt.data.public_sets import public_sets

        print(public_sets())
        return 0
    refuse_senseless(arguments)
    settings = _settings(arguments)
    config = model_config(arguments.model) if arguments.model else None
    every = read_compared(arguments, config)
    target = _target(arguments, config)
    _warn(arguments, every, target)
    found = _evaluate(arguments, every, target, settings)
    if arguments.json:
        write_json(arguments.json, found if len(found) > 1 else found[every[0].name])
    return 0


def _evaluate(
    arguments: argparse.Namespace,
    every: list[Texts],
    target: TargetLanguage,
    settings: dict[str, Any],
) -> dict[str, Any]:
    """Translate if necessary, and return the scores of each text by its name."""
    translator, found = None, {}
    for texts in every:
        tuning = None
        if arguments.tune:
            tuning = tune_model(arguments, texts, target, settings)
            texts = replace(texts, hypotheses=tuning.hypotheses)
        elif texts.hypotheses is None:
            translator = translator or load_translator(arguments)
            options = translator.options(**settings)
            hypotheses = translator.translate_all(texts.sources, options, progress=True)
            texts = replace(texts, hypotheses=hypotheses)
        found[texts.name] = _report(arguments, texts, target, tuning)
    return found


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the search settings; refuse them if there is no search or if it is tuned."""
    settings = search_settings(arguments)
    if arguments.tune:
        refuse_senseless_tuning(arguments, settings)
    given = [*settings, *(["ensemble"] if arguments.ensemble else [])]
    if arguments.hypotheses and given:
        flag = flag_name(given[0])
        raise UsageError(f"{flag}: --hypotheses are scored as they are; leave it out")
    return settings


def _target(arguments: argparse.Namespace, config: Config | None) -> TargetLanguage:
    """Return the language of the references; flags take precedence over the model's config."""
    tag, tokenizer = arguments.target_language, arguments.bleu_tokenizer
    if config is None and tag is None and tokenizer is None:
        log.warning(
            "the target language is taken to be English (BLEU's tokenizer 13a); "
            "give --target-language"
        )
    own = TargetLanguage("en") if config is None else TargetLanguage.of(config.data)
    if tag in (None, own.tag):
        return TargetLanguage(own.tag, tokenizer or own.bleu_tokenizer)
    return TargetLanguage(tag, tokenizer)


def _warn(arguments: argparse.Namespace, every: list[Texts], target: TargetLanguage) -> None:
    """Before any work, warn of faults that would make the scores misleading.

    Raises:
        DataError: BLEU is needed to choose or compare, and its tokenizer is not installed.
    """
    if arguments.tune or arguments.baseline is not None:
        bleu_metric(target)
    references = [line for texts in every for side in texts.references for line in side]
    for warning in scoring_warnings(references, target):
        log.warning(warning)


def _report(
    arguments: argparse.Namespace, texts: Texts, target: TargetLanguage, tuning: "Tuning | None"
) -> dict[str, Any]:
    """Save the translations if requested; print the scores and return them."""
    hypotheses = texts.hypotheses
    assert hypotheses is not None
    if texts.output is not None:
        with open_output(texts.output) as stream:
            stream.writelines(f"{hypothesis}\n".encode() for hypothesis in hypotheses)
    scores = corpus_scores(hypotheses, texts.references, target, texts.labels)
    result = scores.to_json()
    report = f"{texts.name}\n{scores}" if texts.name else str(scores)
    if texts.baseline is not None:
        systems = texts.baseline, hypotheses
        comparison = paired_bootstrap(*systems, texts.references, target, texts.labels)
        result["baseline"] = vars(comparison)
        report = f"{report}\n{comparison}"
    if tuning is not None:
        grid = [vars(trial) for trial in tuning.grid]
        result["tuned"] = {"split": arguments.split, **tuning.to_json(), "grid": grid}
        report = f"{tuning}\n{report}"
    print(report, file=sys.stderr if arguments.json == "-" else sys.stdout, flush=True)
    return result
