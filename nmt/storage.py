"""Atomic writing of files and folders: a path has its complete old or new content."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from nmt.errors import DataError, UsageError
from nmt.log import log

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SUFFIX = ".nmt.tmp"
_MACHINE = os.uname().nodename


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends without error.

    Args:
        path: the file to write or replace. Its folder must exist. Streams, which cannot be
            replaced, are appended to.

    Raises:
        OSError: the file cannot be written; `path` is unchanged.
    """
    if is_stream(path):
        with open(path, "ab") as stream:
            yield stream
        return
    path = Path(os.path.realpath(path))
    with _temporary(path) as temporary:
        with open(temporary, "wb") as stream:
            yield stream
            sync_stream(stream)
        os.chmod(temporary, file_mode(path))
        os.replace(temporary, path)
    sync_folder(path.parent)


def is_stream(path: Path) -> bool:
    """Return whether a path is a device, a pipe, or an open file of a process."""
    of_process = any(map(str(path).startswith, ("/dev/fd/", "/dev/std", "/proc/self/fd/")))
    return path.exists() and (of_process or not (path.is_file() or path.is_dir()))


def user_cache() -> Path:
    """Return the user's cache folder.

    Raises:
        DataError: the user has no home folder.
    """
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if folder.startswith("~"):
        raise DataError("this user has no home folder; set XDG_CACHE_HOME to a folder for caches")
    return Path(folder)


def side_files(output: Path) -> tuple[Path, Path, Path]:
    """Return the files beside a translation: problems, unfinished text, and its journal."""
    real = Path(os.path.realpath(output))  # replaces the target of a link, not the link
    problems = output.with_name(f"{output.name}.problems.tsv")
    return problems, real.with_name(f"{real.name}.part"), real.with_name(f"{real.name}.part.json")


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside `path` that takes its place when the block ends.

    On Linux the two are exchanged in one system call, so a reader always finds a complete folder.
    Other file systems need two renames.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path, is_folder=True) as temporary:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        os.chmod(temporary, 0o777 & ~_umask())
        try:
            os.rename(temporary, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            _exchange(temporary, path)
        sync_folder(path.parent)


@contextlib.contextmanager
def _temporary(path: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """Make an empty file or folder beside `path`, and remove it at the end of the block.

    It is locked: the next command removes the unlocked ones, whose process was killed.
    """
    make: Callable[..., Any] = tempfile.mkdtemp if is_folder else tempfile.mkstemp
    _clear(path.parent)
    while True:
        prefix = f".{path.name[:40]}.{_MACHINE}."
        made = make(dir=path.parent, prefix=prefix, suffix=_SUFFIX)
        handle, name = (os.open(made, os.O_RDONLY), made) if is_folder else made
        with contextlib.suppress(OSError):  # a file system without locks: nothing is cleared there
            try_lock(handle)
        if os.path.exists(name):  # else another process has cleared it away before it was locked
            break
        os.close(handle)
    try:
        yield Path(name)
    finally:
        _remove(Path(name))
        os.close(handle)


def _clear(folder: Path) -> None:
    """Remove temporary files and folders whose process was killed.

    NFS and Lustre lock folders only for processes of one machine, so those of other machines stay.
    NFS locks only files that are open for writing.
    """
    for left in folder.glob(f".*{_SUFFIX}"):
        is_folder = left.is_dir()
        if is_folder and f".{_MACHINE}." not in left.name:
            continue
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_NONBLOCK | (os.O_RDONLY if is_folder else os.O_RDWR))
            try:
                if try_lock(handle):
                    _remove(left)
            finally:
                os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path, patience: float | None = 10.0) -> Iterator[None]:
    """Hold an exclusive lock on a folder; it ends with the process.

    Args:
        folder: the folder; nothing is written to it.
        patience: seconds to wait, since the workers of a killed process outlive it briefly; None
            waits without limit, and logs that.

    Raises:
        UsageError: another process holds the lock.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        start, free = time.monotonic(), lock_if_possible(handle, folder)
        if not free and patience is None:
            log.info("%s is in use by another process; waiting for it to end", folder)
        while not free:
            if patience is not None and time.monotonic() > start + patience:
                raise UsageError(f"{folder} is in use by another process; wait for it to end")
            time.sleep(0.1)
            free = try_lock(handle)
        yield
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` survive a loss of power, if the system can."""
    with contextlib.suppress(OSError):
        _sync(folder)


def sync_stream(stream: IO[bytes]) -> None:
    """Flush a stream, and sync its file to disk."""
    stream.flush()
    os.fsync(stream.fileno())


def try_lock(handle: int) -> bool:
    """Lock an open file or folder; return whether no other process has locked it.

    Raises:
        OSError: the file system has no such locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_if_possible(handle: int, path: Path) -> bool:
    """Do as `try_lock`; where the file system has no locks, warn and go on without."""
    try:
        return try_lock(handle)
    except OSError as error:
        message = "%s cannot be locked (%s); let no second process write to it at the same time"
        log.warning(message, path, error.strerror)
        return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exchange(new: Path, old: Path) -> None:
    """Swap the names of two folders."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        arguments = (_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE)
        swapped = rename(*arguments) == 0
    except (AttributeError, OSError):  # not Linux, or a C library without the call
        swapped = False
    if not swapped:
        aside = old.with_name(f"{new.name}.old")
        os.rename(old, aside)
        os.rename(new, old)
        os.rename(aside, new)


def file_mode(path: Path) -> int:
    """Return the permissions that `path` has, or would get as a new file."""
    return path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
