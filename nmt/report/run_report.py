"""The report of one run or several, from their folders."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from nmt.config import Config
from nmt.diagnosis.records import Diagnosis, Verdict
from nmt.log import log
from nmt.report.blocks import Block, Paragraph, Report, Section
from nmt.report.curves import curves
from nmt.report.gradients import gradients
from nmt.report.lengths import lengths
from nmt.report.losses import losses
from nmt.report.page import page
from nmt.report.runs import Run, read_runs
from nmt.report.samples import candidates, samples
from nmt.report.scores import scores
from nmt.report.setup import data, environment, settings
from nmt.report.states import probes, state_map
from nmt.text.lines import open_output

_STALE = (
    "The diagnosis of {} is of other weights than those of its best model; `nmt diagnose RUN` "
    "updates it."
)
_OTHER_TEXT = "The diagnosis of {} is of sentences of {}, not of its validation split."
_SECTIONS = (
    *(scores, curves, lengths, losses, gradients, probes, state_map, samples, candidates),
    *(settings, data, environment),
)


def make_report(folders: Sequence[Path]) -> Report:
    """Make the report of run folders; the others are compared with the first.

    Raises:
        DataError: a folder is not a run, or a file in it is damaged; the message names it.
    """
    runs = read_runs(folders)
    sections = [section for make in _SECTIONS if (section := make(runs)).blocks]
    others = [run for run in runs if run.diagnosis.split not in ("", "validation")]
    faults = [_STALE.format(run.name) for run in runs if run.stale]
    faults += [_OTHER_TEXT.format(run.name, run.diagnosis.split) for run in others]
    warnings = [Verdict("warning", fault) for fault in faults]
    sections[0] = Section(sections[0].title, [*warnings, *sections[0].blocks])
    if missing := list(_missing(runs)):
        sections.append(Section("Not computed", missing))
    directions = sorted({run.config.data.languages for run in runs})
    pairs = ", ".join(map(" → ".join, directions))
    return Report(f"{', '.join(run.name for run in runs)}: {pairs}", sections)


def diagnosis_report(name: str, config: Config, diagnosis: Diagnosis) -> Report:
    """Make the report of a diagnosis alone, of a run or of another model.

    Args:
        name: of the model.
        config: of the model.
        diagnosis: of the model.
    """
    runs = [Run(name, config, {}, [], {}, {}, {}, diagnosis, stale=False)]
    made = (gradients, probes, losses, state_map, candidates)
    sections = [section for make in made if (section := make(runs)).blocks]
    return Report(f"{name}, on sentences of {diagnosis.split}", sections)


def write_page(report: Report, out: Path) -> None:
    """Write the report as one HTML file, atomically, and log its path.

    Raises:
        DataError, NmtError: the file cannot be written.
    """
    content = page(report)
    with open_output(out) as stream:
        stream.write(content)
    log.info("report: %s", out)


def _missing(runs: Sequence[Run]) -> Iterator[Block]:
    """Yield a line for each missing part, with the command that computes it."""
    for run in runs:
        if not run.diagnosis.flows:
            yield Paragraph(
                f"{run.name}: gradient flow, loss of the tokens, state probes, the map of final "
                "states, candidates and alignments are missing; `nmt diagnose RUN` computes them."
            )
        if not run.scores:
            yield Paragraph(
                f"{run.name}: no test split is scored; `nmt train CONFIG --resume` scores them at "
                "the end of training."
            )
        elif splits := ", ".join(sorted(run.scores.keys() - run.translations.keys())):
            yield Paragraph(
                f"{run.name}: the translations of {splits} are missing; delete scores.NAME.json, "
                "and `nmt train CONFIG --resume` makes both again."
            )
