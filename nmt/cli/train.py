"""`nmt train CONFIG`: train a model, keep the best, score it."""

import argparse
from pathlib import Path

from nmt.config import config_parser, dump_config, load_config
from nmt.errors import UsageError

_FLAGS = ("--resume", "--verify-resume", "--print-config", "--help")


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and train."""
    parser.usage = (
        "nmt train CONFIG [--run DIR] [--resume] [--verify-resume] [--print-config] [--KEY VALUE …]"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("config", metavar="CONFIG", help="YAML file; see the keys below")
    parser.add_argument("--run", type=Path, help="run folder (default: runs/ + CONFIG's stem)")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run, or start it where there is none"
    )
    parser.add_argument(
        "--verify-resume",
        action="store_true",
        help="prove with a short run that a killed training goes on to the same weights, and leave",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="show every key with its value, and leave"
    )
    own, keys = _split_words(words)
    if "-h" in own or "--help" in own:
        _, _, options = config_parser().format_help().partition("Show this help message and exit.")
        parser.epilog = f"Every config key is an option, too:{options}"
    arguments = parser.parse_args(own)
    config = load_config(arguments.config, keys)
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

    folder = arguments.run or Path("runs") / Path(arguments.config).stem
    train(config, folder, resume=arguments.resume)
    return 0


def _split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Tell this command's own words from config keys and their values."""
    own: list[str] = []
    keys: list[str] = []
    rest = iter(words)
    for word in rest:
        name = word.partition("=")[0]
        if name == "--run":
            own += [word] if "=" in word else [word, *[next(rest, "")]]
        elif not word.startswith("--") or name in _FLAGS:
            own.append(word)
        else:
            keys += (
                [word] if "=" in word else [word, *[value for value in [next(rest, None)] if value]]
            )
    return own, keys
