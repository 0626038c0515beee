"""`nmt report RUN…`: the results of runs as one HTML page, images, or text in the terminal."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from nmt.cli.arguments import refuse_output
from nmt.cli.flags import add_flags, option, positional
from nmt.errors import DataError, UsageError
from nmt.log import log


@dataclass
class _Flags:
    runs: list[Path] = positional("RUN", nargs="+", action="store")
    """run folder; with several, the first is the baseline of the comparison"""
    out: Path | None = option(names=["-o"], metavar="OUT.html")
    """file to write (default: report.html in the folder of a single RUN)"""
    text: bool = False
    """print the numbers; write a page only with -o"""
    images: Path | None = option(metavar="FOLDER")
    """also write each figure as PNG and as SVG"""


def run(parser: argparse.ArgumentParser, words: list[str]) -> int:
    """Parse the words after the verb, make the report, and write it."""
    parser.usage = "nmt report RUN… [-o OUT.html] [--text] [--images FOLDER]"
    add_flags(parser, words, _Flags)
    arguments = parser.parse_intermixed_args(words)
    out = _place(arguments)
    refuse_output(out, *arguments.runs)
    if out is not None and out.suffix[:4] != ".htm" and (out.is_file() or str(out) == "-"):
        raise UsageError(f"{out} is no page; give a name that ends in .html")

    from nmt.cli.terminal import print_report
    from nmt.report.run_report import make_report, write_page

    report = make_report(arguments.runs)
    if arguments.text:
        print_report(report)
    if arguments.images is not None:  # first: the folder may be refused
        from nmt.report.drawing import save_images

        save_images(report.figures(), arguments.images)
        log.info("images: %s", arguments.images)
    if out is not None:
        write_page(report, out)
    return 0


def report_training(run: Path) -> None:
    """Write the report of a finished run; a failure does not affect the trained model."""
    from nmt.report.run_report import make_report, write_page

    try:
        write_page(make_report([run]), run / "report.html")
    except Exception as error:
        reason = " ".join(f"{error}".split()) or type(error).__name__
        log.warning("there is no report (%s); `nmt report %s` tries again", reason, run)


def _place(arguments: argparse.Namespace) -> Path | None:
    """Return the path of the page; None if only text is requested."""
    out: Path | None = arguments.out
    if out is not None or arguments.text:
        return out
    if len(arguments.runs) > 1:
        raise UsageError("the page of several runs has no place of its own; give -o OUT.html")
    folder: Path = arguments.runs[0]
    if not folder.is_dir():
        raise DataError(f"{folder} is not a run folder: it does not exist")
    return folder / "report.html"
