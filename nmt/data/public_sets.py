"""Public test sets, through sacreBLEU's own loader and cache."""

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from sacrebleu import utils

from nmt.errors import DataError, UsageError, counted, suggestion
from nmt.evaluation.languages import primary_language
from nmt.text.lines import read_lines

_PATIENCE = 30.0  # seconds without a byte from a server


@dataclass(frozen=True)
class PublicSet:
    """A test set in one direction.

    Attributes:
        name: as sacreBLEU's `-t` has it: one set, or several with commas between, which are scored
            as one text.
        pair: the direction, such as en-de.
        sources: raw text.
        references: for each translator, the translations of all sources.
    """

    name: str
    pair: str
    sources: list[str]
    references: list[list[str]]

    @property
    def labels(self) -> dict[str, str]:
        """Fields of sacreBLEU's signature."""
        return {"test": self.name, "lang": self.pair}

    @property
    def file_name(self) -> str:
        """Name of a file that belongs to the set."""
        return f"{self.name.replace('/', '_')}.{self.pair}"


def public_sets() -> str:
    """Return every set with its language pairs, one per line."""
    sets = {name: utils.get_langpairs_for_testset(name) for name in utils.get_available_testsets()}
    width = max(map(len, sets))
    return "\n".join(f"{name:{width}}  {' '.join(sorted(pairs))}" for name, pairs in sets.items())


def language_pair(source: str, target: str) -> str:
    """Return the direction as sacreBLEU names it: deu and en_GB give de-en."""
    return f"{primary_language(source)}-{primary_language(target)}"


def check_public_set(name: str, pair: str) -> None:
    """Require that sacreBLEU has a set, and in this direction.

    Raises:
        UsageError: the set or the direction is unknown.
    """
    for one in name.split(","):
        known = utils.get_available_testsets()
        if one not in known:
            hint = suggestion(one, known) or "; `--test-set list` shows all"
            raise UsageError(f"--test-set {one}: sacreBLEU has no such set{hint}")
        if pair not in (pairs := utils.get_langpairs_for_testset(one)):
            problem = f"it has no {pair}, the model's direction, but {', '.join(sorted(pairs))}"
            raise UsageError(f"--test-set {one}: {problem}")


def read_public_set(name: str, pair: str) -> PublicSet:
    """Read a set from sacreBLEU's cache; download it if it is missing.

    Raises:
        DataError: the download fails, or the files do not match.
    """
    sources: list[str] = []
    references: list[list[str]] = []
    for one in name.split(","):
        source, *others = (list(read_lines(path)) for path in _files(one, pair))
        if not others or any(len(reference) != len(source) for reference in others):
            counts = " and ".join(counted(len(side), "line") for side in (source, *others))
            raise DataError(
                f"the test set {one}, {pair}, is damaged: source and references have {counts}; "
                f"delete {_folder(one)}, and it is downloaded again"
            )
        if references and len(references) != len(others):
            raise DataError(
                f"--test-set {name}: the sets have {len(references)} and {len(others)} references; "
                "score them one by one"
            )
        sources += source
        references = [list(old) for old in references] or [[] for _ in others]
        for reference, other in zip(references, others, strict=True):
            reference += other
    return PublicSet(name, pair, sources, references)


def _files(name: str, pair: str) -> list[Path]:
    """Return the paths of the source and of all references."""
    if utils.SACREBLEU_DIR.startswith("~"):
        raise DataError("this user has no home folder; set SACREBLEU to a folder for test sets")
    before = socket.getdefaulttimeout()
    utils.sacrelogger.setLevel(logging.CRITICAL)  # its faults are reported below
    socket.setdefaulttimeout(_PATIENCE)
    try:
        files = [utils.get_source_file(name, pair), *utils.get_reference_files(name, pair)]
        return [Path(file) for file in files]
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code != 1:  # a signal
            raise
        if isinstance(error, SystemExit | FileNotFoundError):
            problem = f"is damaged in sacreBLEU's cache; delete {_folder(name)}, and try again"
        else:
            problem = f"cannot be downloaded to {_folder(name)}: {getattr(error, 'reason', error)}"
        raise DataError(f"the test set {name} {problem}") from None
    finally:
        socket.setdefaulttimeout(before)


def _folder(name: str) -> Path:
    return Path(utils.SACREBLEU_DIR, name)
