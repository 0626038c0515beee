"""What an attack is: a kind that yields one outcome a case, counted until its goal or its time."""

import contextlib
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt.cli.main import main

Outcome = str | None
"""What was wrong in a case; None where nothing was."""
Attack = Callable[["World"], Iterator[Outcome]]
PATIENCE = 120
"""Seconds that one command may take."""


@dataclass(frozen=True)
class World:
    """Where attacks take place.

    Attributes:
        folder: an empty folder for the kind.
        config: of a tiny training on files.
        run: its finished run; not to be changed.
        seed: of all random choices.
    """

    folder: Path
    config: Path
    run: Path
    seed: int


@dataclass
class Kind:
    """One kind of attack.

    Attributes:
        name: what the table says.
        goal: cases in a whole soak.
        share: of the soak's time, at most.
        attack: yields an outcome a case.
        cases: done so far.
        faults: what was wrong.
        seconds: spent.
    """

    name: str
    goal: int
    share: float
    attack: Attack
    cases: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def run(self, world: World, goal: int, seconds: float) -> None:
        """Attack until the goal is reached or the time is over."""
        start = time.monotonic()
        outcomes = self.attack(world)
        while self.cases < goal and time.monotonic() < start + seconds:
            outcome = next(outcomes)
            self.cases += 1
            if outcome is not None:
                self.faults.append(outcome)
        outcomes.close()  # type: ignore[attr-defined]
        self.seconds = time.monotonic() - start


KINDS: list[Kind] = []


def kind(name: str, *, goal: int, share: float) -> Callable[[Attack], Attack]:
    """Register an attack, a generator that never ends. See `Kind`."""

    def register(attack: Attack) -> Attack:
        KINDS.append(Kind(name, goal, share, attack))
        return attack

    return register


class Hangs(BaseException):
    """A command took longer than `PATIENCE`."""


@contextlib.contextmanager
def patience(seconds: int = PATIENCE) -> Iterator[None]:
    """Raise `Hangs` where a block takes longer."""

    def give_up(number: int, frame: Any) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def nmt(*words: object) -> tuple[int, bytes, str]:
    """Run a command in this process; return its exit code, standard output and standard error."""
    streams = sys.stdout, sys.stderr
    out, err = io.BytesIO(), io.BytesIO()
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, "utf-8", errors="backslashreplace", write_through=True)
    handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)}
    code: Any = None
    try:
        with patience():
            main([str(word) for word in words])
    except SystemExit as stop:
        code = stop.code
    except Hangs:
        err.write(b"nmt: error: hangs")
    finally:
        told = out.getvalue(), err.getvalue().decode(errors="replace")
        sys.stdout, sys.stderr = streams
        for one, handler in handlers.items():
            signal.signal(one, handler)
    return (-1 if code is None else int(code)), *told


def refusal_fault(code: int, err: str, *names: str) -> Outcome:
    """Say what is wrong with a refusal: it is one short line that names the file."""
    lines = [line for line in err.splitlines() if line.startswith("nmt: error: ")]
    if code not in (1, 2) or len(lines) != 1 or not err.endswith("\n"):
        return f"exit {code}: {err[-300:]}"
    if "unexpected" in lines[0] or "Traceback" in err or len(lines[0]) > 1100:
        return f"not a plain line: {lines[0][:300]}"
    if names and not any(name in lines[0] for name in names):
        return f"{' or '.join(names)} is not named: {lines[0][:300]}"
    return None
