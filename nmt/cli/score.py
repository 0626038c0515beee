"""`nmt score MODEL --source F --target F`: the log-probability of given translations."""

import argparse
from pathlib import Path

from nmt.cli.arguments import add_model_arguments, load_translator, refuse_unequal
from nmt.config.options import BatchSize
from nmt.config.values import word_reader


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and print one log-probability per line."""
    add_model_arguments(parser)
    parser.add_argument("--source", type=Path, required=True, help="file of source sentences")
    parser.add_argument("--target", type=Path, required=True, help="file of their translations")
    parser.add_argument(
        "--batch-size",
        type=word_reader(BatchSize, "--batch-size"),
        default=64,
        help="sentences scored together",
    )
    arguments = parser.parse_args(words)

    from nmt.text.lines import read_lines

    sources, targets = (list(read_lines(file)) for file in (arguments.source, arguments.target))
    refuse_unequal(arguments.source, len(sources), arguments.target, len(targets))
    translator = load_translator(arguments)
    for score in translator.score(sources, targets, batch_size=arguments.batch_size):
        print(f"{score:.6f}")
    return 0
