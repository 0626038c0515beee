"""The one tree of exceptions that a user can cause.

Every message is one line and names the value, where it came from and the remedy. The command line
prints it as `nmt: error: …` and leaves with `exit_code`.
"""

import reprlib

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 100


def shown(value: object) -> str:
    """Return a value as a message shows it: as `repr` does, a long one in part."""
    return _short.repr(value)


def one_line(message: str) -> str:
    """Return a message as one line of at most 1,000 characters, without its middle if need be."""
    line = " ".join(message.split())
    return line if len(line) <= 1000 else f"{line[:600]} … {line[-300:]}"


class NmtError(Exception):
    """The work failed: exit code 1."""

    exit_code = 1

    def __init__(self, message: str):
        super().__init__(one_line(message))


class UsageError(NmtError):
    """A wrong call, config or input: exit code 2, and nothing was touched."""

    exit_code = 2


class StoppedError(NmtError):
    """The user stopped it: exit code 130, as a shell says it."""

    exit_code = 130


class ConfigError(UsageError):
    """A config key is unknown, of the wrong type, or makes no sense beside another."""


class DataError(UsageError):
    """A corpus, a file or one of its lines is not what it should be."""


class BundleError(UsageError):
    """A model folder is missing, damaged, or of another format."""
