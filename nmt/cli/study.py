"""`nmt study`: the argument for gates, on models that are trained for it."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.arguments import refuse_output, write_json
from nmt.cli.page import plain_table
from nmt.errors import StoppedError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nmt.diagnosis.study import Study

_WIDTH = 100
_SIGNS = {"holds": "green", "undecided": "yellow", "fails": "red"}


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
        help="a run folder for each model, and study.json (default: runs/study)",
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

    from nmt.diagnosis.study_run import MODELS, UPDATES, run_study  # imports torch

    updates = UPDATES if arguments.updates is None else arguments.updates
    try:
        study = run_study(arguments.out, updates=updates, models=arguments.models or [*MODELS])
    except KeyboardInterrupt:
        raise StoppedError(f"stopped; the same call goes on in {arguments.out}") from None
    if arguments.json != "-":
        _print(study)
    if arguments.json is not None:
        write_json(arguments.json, dataclasses.asdict(study))
    return 0


def _print(study: "Study") -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    console.width = min(console.width, _WIDTH)
    title = f"One decoder behind {len(study.rows)} encoders, {study.updates:,} updates each"
    for part in (Text(title, style="bold"), _lengths(study), _models(study)):
        console.print(part)
        console.print()
    for number, step in enumerate(study.steps, 1):
        head = Text(f"{number}. {step.claim} ")
        head.append(step.outcome, style=f"bold {_SIGNS[step.outcome]}")
        console.print(head)
        console.print(Padding(Text(step.text), (0, 0, 0, 3)))


def _lengths(study: "Study") -> "RenderableType":
    """BLEU by source length."""
    from rich.console import Group
    from rich.text import Text

    groups = study.rows[0].lengths
    spans = [f"{group.first}-{group.last}" for group in groups]
    table = plain_table("BLEU by words", *spans, "test", "long")
    for row in study.rows:
        scores = [*(group.bleu for group in row.lengths), row.test, row.long]
        table.add_row(row.name, *(f"{score.score:.1f}" for score in scores))
    table.add_row("sentences", *(f"{group.sentences:,}" for group in groups), style="dim")
    return Group(table, Text(study.rows[0].test.signature, "dim"))


def _models(study: "Study") -> "RenderableType":
    """What the models are and cost, what order is to them, and the gradient that arrives."""
    from rich.console import Group
    from rich.text import Text

    columns = ("handed over", "parameters", "minutes", "shuffled", "reach")
    table = plain_table("model", "cell", *columns, words=2)
    for row in study.rows:
        reach = row.flow.reach if row.flow else None
        table.add_row(
            row.name,
            row.cell,
            f"{row.state_size:,}",
            f"{row.parameters:,}",
            "-" if row.minutes is None else f"{row.minutes:.1f}",
            f"{row.shuffled.score:.1f}",
            "-" if reach is None else f"{100 * reach:.2g} %",
        )
    legend = (
        "cell: of the decoder, too; handed over: numbers in the final state; shuffled: BLEU on "
        "test with mixed source words; reach: of the last word's gradient, what is left at the "
        "first source word"
    )
    return Group(table, Text(legend, "dim"))
