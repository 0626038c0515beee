"""`nmt evaluate MODEL`: BLEU, chrF and TER against untouched references."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from nmt.cli.translate import (
    add_model_arguments,
    add_search_arguments,
    load_translator,
    search_settings,
)
from nmt.errors import UsageError


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, translate where needed, and score."""
    parser.usage = (
        "nmt evaluate MODEL [--split NAME | --source F --reference F] [options]\n"
        "       nmt evaluate --hypotheses F --reference F [--target-language TAG] [options]"
    )
    add_model_arguments(parser)
    parser._positionals._group_actions[0].nargs = "?"
    parser.add_argument("--split", help="a split of the model's own corpus (default: test)")
    parser.add_argument("--source", type=Path, help="file to translate")
    parser.add_argument("--reference", type=Path, help="file of human translations")
    parser.add_argument("--hypotheses", type=Path, help="score these instead of translating")
    parser.add_argument("--baseline", type=Path, help="translations of another system to compare")
    parser.add_argument("--json", metavar="OUT", help="also write the scores there; - for stdout")
    parser.add_argument(
        "--target-language", help="chooses BLEU's tokenizer (default: the model's, else en)"
    )
    add_search_arguments(parser)
    arguments = parser.parse_args(words)
    _refuse_senseless(arguments)
    settings = search_settings(arguments)

    hypotheses, references, language = _gather(arguments, settings)
    return _report(arguments, hypotheses, references, language)


def _refuse_senseless(arguments: argparse.Namespace) -> None:
    if arguments.n_best is not None:
        raise UsageError("--n-best: only the best translation is scored; leave it out")
    if arguments.split and (arguments.source or arguments.reference):
        raise UsageError(
            "--split has its own source and reference; leave --source, --reference out"
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


def _gather(
    arguments: argparse.Namespace, settings: dict[str, Any]
) -> tuple[list[str], list[str], str]:
    """Return hypotheses, references and the target language."""
    from nmt.text.lines import read_lines

    if arguments.model is None:
        hypotheses, references = (
            list(read_lines(file)) for file in (arguments.hypotheses, arguments.reference)
        )
        return hypotheses, references, arguments.target_language or "en"
    translator = load_translator(arguments)
    if arguments.reference:
        references = list(read_lines(arguments.reference))
        sources = list(read_lines(arguments.source)) if arguments.source else []
    else:
        pairs = _split_pairs(arguments, translator.config)
        sources, references = map(list, zip(*pairs, strict=True))
    if arguments.hypotheses:
        hypotheses = list(read_lines(arguments.hypotheses))
    else:
        if len(sources) != len(references):
            raise UsageError(
                f"{arguments.source} has {len(sources)} lines, and {arguments.reference} "
                f"{len(references)}; they must match line by line"
            )
        hypotheses = [translation.text for translation in translator.translate(sources, **settings)]
    language = arguments.target_language or translator.config.data.target_language
    return hypotheses, references, language


def _split_pairs(arguments: argparse.Namespace, config: Any) -> list[tuple[str, str]]:
    """Read a split of the corpus that the model was trained on."""
    from nmt.config import load_config
    from nmt.data.corpus import open_corpus

    run_config = Path(arguments.model) / "config.yaml"
    if (Path(arguments.model) / "model").is_dir() and run_config.exists():
        config = load_config(run_config)  # a bundle's own config does not say where data lies
    elif config.data.corpus == "files":
        raise UsageError(
            f"{arguments.model} is a bundle, which does not say where its data lies; "
            "give --source and --reference"
        )
    return list(open_corpus(config.data).pairs(arguments.split or "test"))


def _report(
    arguments: argparse.Namespace, hypotheses: list[str], references: list[str], language: str
) -> int:
    from nmt.evaluation.metrics import corpus_scores
    from nmt.evaluation.significance import paired_bootstrap
    from nmt.text.lines import open_output, read_lines

    scores = corpus_scores(hypotheses, references, language)
    result = scores.to_json()
    report = str(scores)
    if arguments.baseline:
        baseline = list(read_lines(arguments.baseline))
        comparison = paired_bootstrap(baseline, hypotheses, references, language)
        result["baseline"] = vars(comparison)
        report = f"{report}\n{comparison}"
    print(report, file=sys.stderr if arguments.json == "-" else sys.stdout)
    if arguments.json:
        with open_output(None if arguments.json == "-" else arguments.json) as stream:
            stream.write(json.dumps(result, indent=2).encode() + b"\n")
    return 0
