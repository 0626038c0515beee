"""Logging and progress bars: on standard error, and in a run's log file."""

import contextlib
import datetime
import importlib.util
import logging
import logging.handlers
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nmt.errors import counted

log = logging.getLogger("nmt")
"""The log of all modules."""
PROGRESS = 15
"""Log level of regular progress lines; a terminal shows a bar instead."""
STARTED = "started"
"""The first line of every session in a log file."""


def shows_bars() -> bool:
    """Return whether progress is shown as a bar: at a terminal, and in a notebook with widgets."""
    if any(isinstance(one, StderrHandler) and one.level >= logging.WARNING for one in log.handlers):
        return False
    notebook = "ipykernel" in sys.modules and importlib.util.find_spec("ipywidgets") is not None
    return notebook or (sys.stderr is not None and sys.stderr.isatty())


class StderrHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to the current `sys.stderr`, which a progress bar may replace."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        """Mark warnings."""
        mark = "nmt: warning: " if record.levelno >= logging.WARNING else ""
        return mark + super().format(record)


def log_to_stderr(*, quiet: bool = False, unless_configured: bool = False) -> None:
    """Write the log to standard error, and only there.

    Args:
        quiet: warnings only, and no progress bars.
        unless_configured: keep handlers that the user has set, and a level that is not `NOTSET`.
    """
    if not unless_configured or log.level == logging.NOTSET:
        log.setLevel(PROGRESS)
    if unless_configured and log.hasHandlers():
        return
    handler = StderrHandler()
    handler.setLevel(logging.WARNING if quiet else logging.INFO if shows_bars() else PROGRESS)
    log.propagate = False
    log.handlers = [handler]


class _LogFile(logging.FileHandler):
    """A log whose disk may fill: what else is written there says so."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Print nothing; the default is a traceback for each line."""


@contextlib.contextmanager
def kept_log() -> Iterator[Callable[[Path], None]]:
    """Buffer the records of a block until its log file is known.

    Yields:
        A function that writes the buffered records to a file, and each later one at once, with
        timestamps.
    """
    handler = logging.handlers.MemoryHandler(capacity=10_000, flushLevel=logging.CRITICAL + 1)
    handler.emit(logging.makeLogRecord({"msg": STARTED, "levelno": logging.INFO}))
    log.addHandler(handler)

    def log_to_file(path: Path) -> None:
        file = _LogFile(path, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        handler.setTarget(file)
        handler.flushLevel = logging.NOTSET
        handler.flush()

    try:
        yield log_to_file
    finally:
        log.removeHandler(handler)
        if handler.target is not None:
            with contextlib.suppress(OSError):  # of a full disk
                handler.target.close()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Log warnings only."""
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


class ProgressBar:
    """Counts work until its block ends; draws a bar if standard error is a terminal, else logs.

    Args:
        unit: noun of what is counted.
        total: number of units; None if unknown.
        done: units completed earlier.
        shown: whether to draw and to log.
    """

    def __init__(self, unit: str, total: int | None, done: int = 0, *, shown: bool = True):
        self._unit, self._total, self._shown = unit, total, shown
        self._first = self._done = done
        self._started = time.perf_counter()
        self._bar: Any = None  # rich is slow to import
        if shown and shows_bars():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn(unit),
                progress.MofNCompleteColumn(),
                progress.BarColumn(),
                progress.TextColumn("{task.fields[numbers]}"),
                progress.TimeRemainingColumn(elapsed_when_finished=True),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=total, completed=done, numbers="")
            self._bar.start()

    def advance(self, amount: int = 1) -> None:
        """Count completed units."""
        self._done += amount
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def log(self, line: str, numbers: str | None = None) -> None:
        """Log a line with the time left; show it, or numbers in its place, beside the bar."""
        if self._bar is not None:
            self._bar.update(self._task, numbers=line if numbers is None else numbers)
        if self._shown:
            log.log(PROGRESS, "%s, %s left", line, self._time_left())

    def log_pace(self, work: str = "") -> None:
        """Log the rate and the time left; show the rate beside the bar.

        Args:
            work: begins the line of the log.
        """
        seconds = time.perf_counter() - self._started
        rate = f"{(self._done - self._first) / max(seconds, 1e-9):,.0f} {self._unit}s/s"
        self.log(f"{work}{counted(self._done, self._unit)}, {rate}", rate)

    def _time_left(self) -> str:
        """Return an estimate as h:mm:ss."""
        done = self._done - self._first
        if self._total is None or done == 0:
            return "unknown time"
        pace = (time.perf_counter() - self._started) / done
        return str(datetime.timedelta(seconds=round(pace * (self._total - self._done))))

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Restore the terminal."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def percent(share: float) -> str:
    """Format a share with three digits; 0 % and 100 % only where they are exact."""
    if 0 < share < 1e-5:
        return "<0.001 %"
    if 0.9995 <= share < 1:
        return ">99.9 %"
    return f"{100 * share:.0f} %" if share >= 1 else f"{100 * share:.3g} %"


def memory_size(size: float) -> str:
    """Format a number of bytes."""
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"
