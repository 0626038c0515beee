"""`nmt score MODEL --source F --target F`: the log-probability of given translations."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from nmt.cli.arguments import load_translator, read_parallel
from nmt.cli.flags import ModelFlags, add_flags, option
from nmt.config.options import BatchSize


@dataclass
class _Flags:
    source: Path = option(required=True)
    """file of source sentences"""
    target: Path = option(required=True)
    """file of their translations"""
    batch_size: BatchSize = 64
    """sentences scored together"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and print one log-probability per line."""
    add_flags(parser, words, ModelFlags, _Flags)
    arguments = parser.parse_args(words)
    pairs = read_parallel(arguments.source, arguments.target)
    translator = load_translator(arguments)
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    for score in translator.score(sources, targets, batch_size=arguments.batch_size):
        print(f"{score:.6f}")
    return 0
