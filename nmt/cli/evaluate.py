"""`nmt evaluate MODEL`: BLEU, chrF and TER against untouched references."""

import argparse
import logging
import sys
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.cli.arguments import (
    add_model_arguments,
    add_search_arguments,
    load_translator,
    model_config,
    read_split,
    refuse_output,
    refuse_unequal,
    search_settings,
    write_json,
)
from nmt.cli.tuning import refuse_senseless_tuning, tune_model
from nmt.config import BleuTokenizer, Config
from nmt.errors import UsageError

_log = logging.getLogger("nmt")

if TYPE_CHECKING:
    from nmt.evaluation.languages import TargetLanguage
    from nmt.inference.search_tuning import Tuning


@dataclass(frozen=True)
class Texts:
    """What is compared, line by line.

    Attributes:
        sources: to translate; None where there are hypotheses already.
        hypotheses: translations to score.
        references: human translations.
        baseline: another system's translations.
    """

    sources: list[str] | None
    hypotheses: list[str] | None
    references: list[str]
    baseline: list[str] | None


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, translate where needed, and score."""
    parser.usage = (
        "nmt evaluate MODEL [--split NAME | --source F --reference F] [options]\n"
        "       nmt evaluate --hypotheses F --reference F [--target-language TAG] [options]"
    )
    add_model_arguments(parser, optional=True)
    parser.add_argument("--split", help="a split of the model's own corpus (default: test)")
    parser.add_argument("--source", type=Path, help="file to translate")
    parser.add_argument("--reference", type=Path, help="file of human translations")
    parser.add_argument("--hypotheses", type=Path, help="score these instead of translating")
    parser.add_argument("--baseline", type=Path, help="translations of another system to compare")
    parser.add_argument("--json", metavar="OUT", help="also write the scores there; - for stdout")
    parser.add_argument(
        "--target-language",
        metavar="TAG",
        help="chooses BLEU's tokenizer and TER's kind (default: the model's, else en)",
    )
    parser.add_argument(
        "--bleu-tokenizer",
        choices=typing.get_args(BleuTokenizer),
        help="sacreBLEU's tokenizer (default: the model's data.bleu_tokenizer, or the language's)",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="try beam sizes and length penalties on --split validation, and keep the best as the "
        "model's own defaults (until training goes on and finds a better model)",
    )
    add_search_arguments(parser, words)
    arguments = parser.parse_intermixed_args(words)
    _refuse_senseless(arguments)
    settings = _settings(arguments)
    config = None if arguments.model is None else model_config(arguments.model)
    texts = _read(arguments, config)
    target = _target(arguments, config)
    _warn(arguments, texts, target)
    if texts.hypotheses is not None:
        return _report(arguments, texts, texts.hypotheses, target)
    assert texts.sources is not None
    if arguments.tune:
        tuning = tune_model(arguments, texts.sources, texts.references, target, settings)
        return _report(arguments, texts, tuning.hypotheses, target, tuning)
    translator = load_translator(arguments)
    options = translator.options(**settings)
    hypotheses = translator.translate_all(texts.sources, options, progress=True)
    return _report(arguments, texts, hypotheses, target)


def _refuse_senseless(arguments: argparse.Namespace) -> None:
    if arguments.n_best is not None:
        raise UsageError("--n-best: only the best translation is scored; leave it out")
    if arguments.split and (arguments.source or arguments.reference):
        raise UsageError(
            "--split has its own source and reference; leave --source and --reference out"
        )
    if arguments.model is None:
        if arguments.hypotheses is None or arguments.reference is None:
            raise UsageError("without MODEL, give --hypotheses and --reference")
        if arguments.source or arguments.split:
            raise UsageError("--source and --split need a MODEL to translate with")
    elif arguments.source and not arguments.reference:
        raise UsageError("--source needs --reference to compare with")
    elif arguments.reference and not (arguments.source or arguments.hypotheses):
        raise UsageError("--reference needs --source to translate, or --hypotheses")
    elif arguments.hypotheses and arguments.source:
        raise UsageError("--hypotheses are scored as they are; leave --source out")
    read = (arguments.source, arguments.reference, arguments.hypotheses, arguments.baseline)
    refuse_output(arguments.json, *read, arguments.model, *arguments.ensemble)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the search, and refuse those of none and of one that is tuned."""
    settings = search_settings(arguments)
    if arguments.tune:
        refuse_senseless_tuning(arguments, settings)
    given = [*settings, *(["ensemble"] if arguments.ensemble else [])]
    if arguments.hypotheses and given:
        name = given[0].replace("_", "-")
        raise UsageError(f"--{name}: --hypotheses are scored as they are; leave it out")
    return settings


def _read(arguments: argparse.Namespace, config: Config | None) -> Texts:
    """Read all that is compared, and refuse what does not match, before any work."""
    from nmt.text.lines import read_lines

    def lines(path: Path | None) -> list[str] | None:
        return None if path is None else list(read_lines(path))

    sources, references = lines(arguments.source), lines(arguments.reference)
    where = arguments.reference
    if references is None:
        where = f"the split {arguments.split or 'test'}"
        assert config is not None
        pairs = read_split(arguments.model, config, arguments.split or "test")
        sources, references = (list(side) for side in zip(*pairs, strict=True))
    texts = Texts(sources, lines(arguments.hypotheses), references, lines(arguments.baseline))
    for path, side in [
        (arguments.source, texts.sources),
        (arguments.hypotheses, texts.hypotheses),
        (arguments.baseline, texts.baseline),
    ]:
        if side is not None:
            refuse_unequal(path, len(side), where, len(references))
    return texts


def _target(arguments: argparse.Namespace, config: Config | None) -> "TargetLanguage":
    """Return the language of the references; flags come before the model's own."""
    from nmt.evaluation.languages import TargetLanguage

    tag, tokenizer = arguments.target_language, arguments.bleu_tokenizer
    if config is not None:
        own = TargetLanguage.of(config.data)
        if tag is None or tag == own.tag:
            return TargetLanguage(own.tag, tokenizer or own.bleu_tokenizer)
    elif tag is None and tokenizer is None:
        _log.warning(
            "the target language is taken to be English (BLEU's tokenizer 13a); "
            "give --target-language"
        )
    return TargetLanguage(tag or "en", tokenizer)


def _warn(arguments: argparse.Namespace, texts: Texts, target: "TargetLanguage") -> None:
    """Say before any work what will be wrong with the scores.

    Raises:
        DataError: BLEU is needed to choose or compare, and its tokenizer is not installed.
    """
    from nmt.evaluation.metrics import bleu_metric
    from nmt.evaluation.references import scoring_warnings

    if arguments.tune or texts.baseline is not None:
        bleu_metric(target)
    for warning in scoring_warnings(texts.references, target):
        _log.warning(warning)


def _report(
    arguments: argparse.Namespace,
    texts: Texts,
    hypotheses: list[str],
    target: "TargetLanguage",
    tuning: "Tuning | None" = None,
) -> int:
    from nmt.evaluation.metrics import corpus_scores
    from nmt.evaluation.significance import paired_bootstrap

    scores = corpus_scores(hypotheses, texts.references, target)
    result = scores.to_json()
    report = str(scores)
    if texts.baseline is not None:
        comparison = paired_bootstrap(texts.baseline, hypotheses, texts.references, target)
        result["baseline"] = vars(comparison)
        report = f"{report}\n{comparison}"
    if tuning is not None:
        grid = [vars(trial) for trial in tuning.grid]
        result["tuned"] = {"split": arguments.split, **tuning.to_json(), "grid": grid}
        report = f"{tuning}\n{report}"
    print(report, file=sys.stderr if arguments.json == "-" else sys.stdout)
    if arguments.json:
        write_json(arguments.json, result)
    return 0
