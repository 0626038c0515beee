"""The one tree of exceptions that a user can cause.

Every message is one line and names the value, where it came from and the remedy. The command line
prints it as `nmt: error: …` and leaves with `exit_code`.
"""

import contextlib
import difflib
import reprlib
from collections.abc import Iterable, Iterator

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 100


def shown(value: object) -> str:
    """Format a value for a message: its `repr`, shortened if long."""
    return _short.repr(value)


def shorten(text: str, most: int = 500) -> str:
    """Return text as one line of at most `most` characters; cut its middle if necessary."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most * 3 // 5]} … {line[-most * 3 // 10 :]}"


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts, such as `1 line` or `2,000 lines`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the nearest known name, or an empty string."""
    known = list(known)
    near = difflib.get_close_matches(name[:100], known, n=1)
    near += [one for one in known if one.rpartition(".")[2] == name.strip("-")]
    return f"; did you mean {near[0]}?" if near else ""


class NmtError(Exception):
    """The command failed: exit code 1."""

    exit_code = 1

    def __init__(self, message: str):
        super().__init__(shorten(message, 1000))


class UsageError(NmtError):
    """Invalid arguments, config or input: exit code 2; no file was changed."""

    exit_code = 2


class StoppedError(NmtError):
    """The user stopped the command: exit code 130, as in a shell."""

    exit_code = 130


class ConfigError(UsageError):
    """A config key is unknown, of the wrong type, or contradicts another."""


class DataError(UsageError):
    """A corpus, a file or one of its lines is missing or invalid."""


class BundleError(UsageError):
    """A model folder is missing, damaged, or of another format."""


@contextlib.contextmanager
def naming_key(key: str) -> Iterator[None]:
    """Prefix a model's error with the config key that names the model."""
    try:
        yield
    except BundleError as error:
        raise BundleError(f"{key}: {error}") from None
