"""`nmt study`: the argument for gates, on models that are trained for it."""

import argparse
import dataclasses
import logging
from pathlib import Path

from nmt.cli.arguments import refuse_output, write_json
from nmt.errors import StoppedError

_log = logging.getLogger("nmt")


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, train and measure, and tell."""
    parser.description = (
        "Trains one small decoder on builtin:phrases behind seven encoders (a bag of words, "
        "windows of 2 and 7 tokens, recurrent networks of four cells), which hand over their final "
        "state, and tells by BLEU what order, memory and gates are worth. Takes less than a "
        "quarter of an hour on two cores; the same call goes on where it was stopped."
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("runs/study"),
        help="a run folder for each model, study.json and study.html (default: runs/study)",
    )
    parser.add_argument("--updates", metavar="N", type=int, help="of each training (default: 2500)")
    parser.add_argument(
        "--models",
        metavar="NAME",
        nargs="+",
        help='only some of: bag "window 2" "window 7" tanh relu gru lstm',
    )
    parser.add_argument(
        "--json", metavar="OUT", nargs="?", const="-", help="print JSON instead, or write it to OUT"
    )
    arguments = parser.parse_args(words)
    refuse_output(arguments.json)

    from nmt.cli.blocks import print_report
    from nmt.diagnosis.study_run import MODELS, UPDATES, run_study  # imports torch
    from nmt.report.report import write_page
    from nmt.report.study import study_report

    updates = UPDATES if arguments.updates is None else arguments.updates
    try:
        study = run_study(arguments.out, updates=updates, models=arguments.models or [*MODELS])
    except KeyboardInterrupt:
        raise StoppedError(f"stopped; the same call goes on in {arguments.out}") from None
    report = study_report(study)
    if arguments.json != "-":
        print_report(report)
    write_page(report, arguments.out / "study.html")
    _log.info("the page: %s", arguments.out / "study.html")
    if arguments.json is not None:
        write_json(arguments.json, dataclasses.asdict(study))
    return 0
