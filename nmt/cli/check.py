"""`nmt check CONFIG`: one page on the data and the cost, before any training."""

import argparse

from nmt.cli.arguments import corpus_files, print_result, refuse_output
from nmt.cli.flags import JsonFlag, add_config_argument, add_flags, split_words
from nmt.log import log
from nmt.training.fine_tuning import load_training_config


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, run the check, and report."""
    parser.usage = "nmt check CONFIG [--json [OUT]] [--KEY VALUE …]"
    own, keys = split_words(words)
    add_flags(parser, own, JsonFlag)
    add_config_argument(parser, own)
    arguments = parser.parse_args(own)
    config = load_training_config(arguments.config, keys)
    refuse_output(arguments.json, arguments.config, *corpus_files(config))

    from nmt.preflight.run_check import check  # imports torch and lightning
    from nmt.report.check_report import check_report

    # The page holds the tables that the log would show.
    for handler in log.handlers:
        handler.addFilter(lambda record: "\n" not in record.getMessage())
    found = check(config)
    print_result(arguments.json, check_report(arguments.config, found), found)
    return 0
