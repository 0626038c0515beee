"""`nmt train CONFIG`: trains a model, and scores the best one."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from nmt.cli.flags import add_config_argument, add_flags, split_words
from nmt.cli.report import report_training
from nmt.config import dump_config
from nmt.errors import UsageError
from nmt.training.fine_tuning import load_training_config


@dataclass
class _Flags:
    run: Path | None = None
    """run folder (default: runs/ + CONFIG's stem)"""
    resume: bool = False
    """continue the run, or start it if there is none"""
    verify_resume: bool = False
    """verify that a short run, killed and resumed, ends with the same weights; then exit"""
    print_config: bool = False
    """print every key with its value, and exit"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and train."""
    parser.usage = (
        "nmt train CONFIG [--run DIR] [--resume] [--verify-resume] [--print-config] [--KEY VALUE …]"
    )
    own, keys = split_words(words)
    add_config_argument(parser, own)
    add_flags(parser, own, _Flags)
    arguments = parser.parse_args(own)
    folder = arguments.run or Path("runs") / Path(arguments.config).stem
    config = load_training_config(arguments.config, keys, folder if arguments.resume else None)
    if arguments.print_config:
        print(dump_config(config), end="")
        return 0

    if arguments.verify_resume:
        if arguments.run or arguments.resume:
            raise UsageError("--verify-resume has a temporary run; leave --run and --resume out")
        from nmt.training.verify import verify_resume

        verify_resume(config)
        return 0

    from nmt.training.run import train  # imports torch and lightning

    train(config, folder, resume=arguments.resume, then=report_training)
    return 0
