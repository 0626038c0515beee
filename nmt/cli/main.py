"""`nmt COMMAND …`: runs the verb's module, and turns errors into one line and an exit code."""

import argparse
import errno
import importlib
import io
import os
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from nmt import __version__
from nmt.errors import NmtError, StoppedError, UsageError, shorten, shown, suggestion
from nmt.log import log_to_stderr
from nmt.memory import tune_memory
from nmt.text.lines import writing_to

VERBS = {
    "check": "check data, settings and cost before training",
    "train": "train a model from a config and report BLEU on its test splits",
    "translate": "translate files or standard input",
    "evaluate": "report BLEU, chrF and TER with intervals and signatures",
    "score": "print the log-probability of given translations",
    "predict": "print the likeliest next words of a translation, with probabilities",
    "diagnose": "measure the gradient flow of a model and the use of its final state",
    "study": "measure the value of word order, memory and gates with one decoder, several encoders",
    "report": "show the results of runs on one HTML page or in the terminal",
    "serve": "serve models over HTTP: LibreTranslate's API, a native API and a web page",
    "export": "write a model to a new folder, optionally averaged or with 8-bit weights",
    "push": "upload a model to the Hugging Face hub, by default to a private repository",
}
_SEARCHES = ("translate", "evaluate", "serve")
"""Verbs that translate much and train nothing."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises our own errors."""

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError; for an unknown option, suggest the nearest one."""
        if unknown := re.search(r"unrecognized arguments: .*?(--[^\s=]+)", message):
            message += suggestion(unknown[1], self._option_string_actions)
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit: 0, 1 (the command failed) or 2 (invalid usage)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug, quiet = "--debug" in words, "--quiet" in words
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")  # the libraries' advice is for programmers
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # Exit through exceptions, so that partial files are removed.
    for ending in (signal.SIGTERM, signal.SIGUSR1):  # SLURM warns with the second
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    _open_streams()
    code = 0
    try:
        code = _run([word for word in words if word not in ("--debug", "--quiet")], quiet)
        with writing_to("standard output"):
            sys.stdout.flush()
    except NmtError as error:
        kind = "" if isinstance(error, StoppedError) else "error: "
        code = _complain(str(error), error.exit_code, debug, kind)
    except BrokenPipeError:  # the reader of our output has exited, as `head` does
        code = 1
    except KeyboardInterrupt:
        code = _complain("interrupted", 130, debug, kind="")
    except OSError as error:
        printing = error.errno in (errno.EBADF, errno.ENOSPC, errno.EIO)  # files have names
        place = f"{error.filename or (printing and 'standard output') or ''}: ".lstrip(": ")
        wrong = error.errno == errno.ENAMETOOLONG
        code = _complain(f"{shorten(place)} {error.strerror or error}", 2 if wrong else 1, debug)
    except Exception as error:
        problem = shorten(f"{type(error).__name__}: {error}")
        code = _complain(f"unexpected {problem}; --debug shows where", 1, debug)
    finally:
        try:
            sys.stdout.flush()
        except OSError:  # Python tries again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _open_streams() -> None:
    """Reopen closed standard streams; print `?` for characters that cannot be encoded.

    Otherwise newly opened files would take their descriptors. Writing to a closed stdout fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _run(words: list[str], quiet: bool) -> int:
    """Run the verb named by the first word."""
    for word in words:
        if not word.isprintable() and re.search("[\udc80-\udcff]", word):
            raise UsageError(f"{word!r} is not UTF-8; rename the file, or check the locale")
    if words[:1] == ["--version"]:
        print(f"nmt {__version__}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    verb, rest = words[0], words[1:]
    if verb not in VERBS:
        hint = suggestion(verb, VERBS) or f"; there are {', '.join(VERBS)}"
        raise UsageError(f"unknown command {shown(verb)}{hint}")
    parser = Parser(prog=f"nmt {verb}", description=f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--quiet", action="store_true", help="show only warnings and errors")
    log_to_stderr(quiet=quiet)
    tune_memory(search=verb in _SEARCHES)
    module = importlib.import_module(f"nmt.cli.{verb}")
    return int(module.run(parser, rest))


def _complain(message: str, code: int, debug: bool, kind: str = "error: ") -> int:
    if debug:
        raise
    print(f"nmt: {kind}{shorten(message, 1000)}", file=sys.stderr)
    return code


def _overview() -> str:
    verbs = "\n".join(f"  {verb:10} {what}" for verb, what in VERBS.items())
    return (
        "usage: nmt COMMAND …\n\nMachine translation with two recurrent networks.\n\n"
        f"{verbs}\n\n`nmt COMMAND --help` shows the options; --debug shows tracebacks. "
        "`nmt --version` prints the version."
    )
