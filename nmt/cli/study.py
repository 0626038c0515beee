"""`nmt study`: the case for gates, measured on models trained for it."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nmt.cli.arguments import print_result, refuse_output
from nmt.cli.flags import JsonFlag, add_flags, option
from nmt.config.values import Range
from nmt.diagnosis.study_records import MODELS, UPDATES


@dataclass
class _Flags:
    out: Path = option(Path("runs/study"), metavar="DIR")
    """folder of the study"""
    updates: Annotated[int, Range(2, 10**9)] = UPDATES
    """updates per run"""
    models: list[str] = option(metavar="M", nargs="+", choices=MODELS, action="store")
    """bag, window 2, window 7, tanh, relu, gru, lstm (default: all)"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, train, measure, and report."""
    parser.description = (
        "Train a small decoder with seven encoders (a bag of words, windows of 2 and 7 tokens, "
        "four recurrent cells) on builtin:phrases, and measure the value of word order, memory and "
        "gates in BLEU. Takes 16 minutes of CPU time (AMD EPYC, 2026-11-27), one training run per "
        "core. Repeat the command to continue an interrupted study."
    )
    add_flags(parser, words, _Flags, JsonFlag)
    arguments = parser.parse_args(words)
    refuse_output(arguments.json)

    from nmt.diagnosis.study_run import run_study  # imports torch
    from nmt.report.run_report import write_page
    from nmt.report.study_report import study_report

    study = run_study(arguments.out, arguments.updates, arguments.models or tuple(MODELS))
    report = study_report(study)
    print_result(arguments.json, report, study)
    write_page(report, arguments.out / "study.html")
    return 0
