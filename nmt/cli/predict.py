"""`nmt predict MODEL [TEXT] [--prefix WORDS]`: the likeliest next words, with probabilities."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nmt.cli.arguments import load_translator, refuse_output, write_json
from nmt.cli.flags import JsonFlag, ModelFlags, add_flags, option, positional
from nmt.config.sections import Count
from nmt.log import percent

if TYPE_CHECKING:
    from nmt.inference.next_words import Prediction


@dataclass
class _Flags:
    text: str | None = positional("TEXT", nargs="?")
    """the sentence to translate (default: none; the decoder runs from a zero state as a language
    model; not for models with attention)"""
    prefix: str = option("", metavar="WORDS")
    """whole words that begin the translation (default: none)"""
    top: Count = option(10, metavar="K")
    """number of words to show"""
    pieces: bool = False
    """show single pieces, with ▁ for a space"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and show the likeliest next words."""
    parser.description = (
        "Print the likeliest next words of a translation, with probabilities. A word is a run of "
        "letters and digits, or one piece of anything else, such as a full stop. In scripts "
        "without spaces every piece is a word. A word's probability is the sum over all its "
        "segmentations into pieces."
    )
    add_flags(parser, words, ModelFlags, _Flags, JsonFlag)
    arguments = parser.parse_intermixed_args(words)
    refuse_output(arguments.json, arguments.model, *arguments.ensemble)
    translator = load_translator(arguments)

    from nmt.inference.next_words import predict

    found = predict(
        translator, arguments.text, arguments.prefix, top=arguments.top, pieces=arguments.pieces
    )
    shown = "\n".join(_lines(found, arguments.text, "pieces" if arguments.pieces else "words"))
    print(shown, file=sys.stderr if arguments.json == "-" else sys.stdout)
    if arguments.json:
        unit = "piece" if arguments.pieces else "word"
        write_json(arguments.json, {"source": arguments.text, "unit": unit, **asdict(found)})
    return 0


def _lines(found: "Prediction", sentence: str | None, units: str) -> Iterator[str]:
    """Format the prefix, the likeliest next words, and the remaining probability."""
    if sentence is None:
        yield "no source: the decoder alone, from a zero state"
    if found.prefix:
        yield f"after {found.prefix!r} (log-probability {found.prefix_score:.4f})"
    rows = [(guess.probability, guess.text) for guess in found.guesses]
    rows.append((found.end, "(the end of the sentence)"))
    if found.goes_on > 0:
        rows.append((found.goes_on, f"({found.prefix.split()[-1]!r} goes on)"))
    unseen = f"; {percent(found.unexplored)} not looked into" if found.unexplored > 0 else ""
    rows.append((found.others, f"(other {units}{unseen})"))
    for probability, text in rows:
        yield f"{percent(probability):>9}  {text}"
