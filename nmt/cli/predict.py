"""`nmt predict MODEL [TEXT] [--prefix WORDS]`: the likeliest next words, with probabilities."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from nmt.cli.arguments import add_model_arguments, load_translator, refuse_output, write_json
from nmt.config.sections import Count
from nmt.config.values import word_reader
from nmt.log import percent

if TYPE_CHECKING:
    from nmt.inference.next_words import Prediction


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb and show the likeliest next words."""
    parser.description = (
        "Print the likeliest next words of a translation, with probabilities. A word is a run of "
        "letters and digits, or one piece of anything else, such as a full stop. In scripts "
        "without spaces every piece is a word. A word's probability is the sum over all its "
        "segmentations into pieces."
    )
    add_model_arguments(parser)
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="the sentence to translate (default: none; the decoder runs from a zero state as a "
        "language model; not for models with attention)",
    )
    parser.add_argument(
        "--prefix",
        metavar="WORDS",
        default="",
        help="whole words that begin the translation (default: none)",
    )
    parser.add_argument(
        "--top",
        metavar="K",
        type=word_reader(Count, "--top"),
        default=10,
        help="number of words to show (default 10)",
    )
    parser.add_argument(
        "--pieces", action="store_true", help="show single pieces, with ▁ for a space"
    )
    parser.add_argument(
        "--json", metavar="OUT", help="also write the predictions to OUT; - for stdout"
    )
    arguments = parser.parse_intermixed_args(words)
    refuse_output(arguments.json, arguments.model, *arguments.ensemble)
    translator = load_translator(arguments)

    from nmt.inference.next_words import predict

    found = predict(
        translator,
        arguments.text,
        arguments.prefix,
        top=arguments.top,
        pieces=arguments.pieces,
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
