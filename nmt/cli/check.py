"""`nmt check CONFIG`: one page on the data and the cost, before any training."""

import argparse
import dataclasses
import logging

from nmt.cli.arguments import add_config_argument, refuse_output, split_words, write_json
from nmt.training.fine_tuning import load_training_config


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, run the check, and report."""
    parser.usage = "nmt check CONFIG [--json [OUT]] [--KEY VALUE …]"
    own, keys = split_words(words)
    parser.add_argument(
        "--json", metavar="OUT", nargs="?", const="-", help="print JSON instead, or write it to OUT"
    )
    add_config_argument(parser, own)
    arguments = parser.parse_args(own)
    refuse_output(arguments.json, arguments.config)
    config = load_training_config(arguments.config, keys)

    from nmt.cli.terminal import print_report
    from nmt.preflight.run_check import check  # imports torch and lightning
    from nmt.report.check_report import check_report

    for handler in logging.getLogger("nmt").handlers:  # the page has what tables the log shows
        handler.addFilter(lambda record: "\n" not in record.getMessage())
    found = check(config)
    if arguments.json != "-":
        print_report(check_report(arguments.config, found))
    if arguments.json is not None:
        write_json(arguments.json, dataclasses.asdict(found))
    return 0
