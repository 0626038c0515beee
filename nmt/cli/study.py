"""`nmt study`: the case for gates, measured on models trained for it."""

import argparse
import dataclasses
import logging
from pathlib import Path

from nmt.cli.arguments import refuse_output, write_json
from nmt.diagnosis.study_records import MODELS, UPDATES
from nmt.errors import UsageError

_log = logging.getLogger("nmt")


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, train, measure, and report."""
    parser.description = (
        "Train a small decoder with seven encoders (a bag of words, windows of 2 and 7 tokens, "
        "four recurrent cells) on builtin:phrases, and measure the value of word order, memory and "
        "gates in BLEU. Takes 16 minutes of CPU time (AMD EPYC, 2026-11-27), one training run per "
        "core. Repeat the command to continue an interrupted study."
    )
    add, names = parser.add_argument, ", ".join(MODELS)
    add(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("runs/study"),
        help="folder of the study (default: %(default)s)",
    )
    add(
        "--updates",
        metavar="N",
        type=int,
        default=UPDATES,
        help="updates per run (default: %(default)s)",
    )
    add("--models", metavar="M", nargs="+", choices=MODELS, default=[*MODELS], help=names)
    add("--json", metavar="OUT", nargs="?", const="-", help="print JSON, or write it to OUT")
    arguments = parser.parse_args(words)
    refuse_output(arguments.json)
    if arguments.updates < 2:
        raise UsageError(f"--updates: {arguments.updates} is below 2, the fewest updates of a run")

    from nmt.cli.terminal import print_report
    from nmt.diagnosis.study_run import run_study  # imports torch
    from nmt.report.run_report import write_page
    from nmt.report.study_report import study_report

    study = run_study(arguments.out, updates=arguments.updates, models=arguments.models)
    report = study_report(study)
    if arguments.json != "-":
        print_report(report)
    write_page(report, arguments.out / "study.html")
    _log.info("the page: %s", arguments.out / "study.html")
    if arguments.json is not None:
        write_json(arguments.json, dataclasses.asdict(study))
    return 0
