"""Reading files that may be damaged or hostile: only regular files of bounded size and depth."""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import stat
import types
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints, is_typeddict

from nmt.errors import DataError, shown

MOST_BYTES = 64 * 2**20
"""Maximum bytes of a file other than weights and corpora."""
_MOST_JSON = 16 * 2**20
_SUMS = "sums.json"
_Record = TypeVar("_Record")


def regular_file(path: str, flags: int) -> int:
    """Open a regular file; an `opener` for `open`. A pipe or a device might never end.

    Raises:
        DataError: it is not a regular file.
    """
    handle = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DataError(f"cannot read {path}: it is not a regular file")
    return handle


def read_bytes(path: str | Path, most: int = MOST_BYTES, *, regular: bool = True) -> bytes:
    """Read a file.

    Args:
        path: the file.
        most: maximum size in bytes.
        regular: refuse pipes and devices.

    Raises:
        DataError: it cannot be read, or holds more.
    """
    try:
        with open(path, "rb", opener=regular_file if regular else None) as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None
    if len(data) > most:
        raise DataError(f"{path} is damaged: it holds more than {most:,} bytes")
    return data


def sha256(path: Path, most: float = math.inf) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        DataError: it cannot be read, or holds more than `most` bytes.
    """
    try:
        with open(path, "rb", opener=regular_file) as stream:
            if os.fstat(stream.fileno()).st_size > most:
                raise DataError(f"{path} is damaged: it holds more than {most:,} bytes")
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None


def parse_json(data: bytes | str, name: object) -> dict[str, Any]:
    """Parse a JSON object; `name` is its name in errors.

    Raises:
        DataError: it is not a JSON object.
    """
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is not valid JSON: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{name} is not a JSON object: {shown(values)}")
    return values


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds a JSON object. See `parse_json`."""
    return parse_json(read_bytes(path, _MOST_JSON), path)


def read_record(path: Path, kind: type[_Record]) -> _Record:
    """Read a file that holds a record. See `parse_record`."""
    return parse_record(read_bytes(path, _MOST_JSON), path, kind)


def parse_record(data: bytes, name: object, kind: type[_Record]) -> _Record:
    """Parse JSON as a dataclass or a typed dict.

    Unknown keys are dropped from a dataclass and kept in a typed dict. Fields with a default may be
    missing.

    Args:
        data: the JSON.
        name: its name in errors.
        kind: the class.

    Raises:
        DataError: it is not JSON, or a field is missing or has another type.
    """
    values = parse_json(data, name)
    try:
        return cast(_Record, _built(kind, values))
    except (KeyError, TypeError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise DataError(f"{name} is damaged, or from another version of nmt ({fault})") from None


def _built(kind: Any, plain: Any) -> Any:
    """Convert a JSON value to a type."""
    inner = get_args(kind)
    if dataclasses.is_dataclass(kind):
        kinds = get_type_hints(kind)
        given = [f.name for f in dataclasses.fields(kind) if f.name in plain or _is_required(f)]
        return kind(**{name: _built(kinds[name], plain[name]) for name in given})  # type: ignore[operator]
    container = dict if is_typeddict(kind) else get_origin(kind)
    if container in (list, dict) and not isinstance(plain, container):
        raise TypeError(f"{shown(plain)} is not a {container.__name__}")
    if is_typeddict(kind):  # keys may be missing, unless it is total
        if missing := kind.__required_keys__ - plain.keys():
            raise KeyError(min(missing))
        hints = {key: hint for key, hint in get_type_hints(kind).items() if key in plain}
        return plain | {key: _built(hint, plain[key]) for key, hint in hints.items()}
    if container is list:
        return [_built(inner[0], item) for item in plain]
    if container is dict:
        return {_built(inner[0], key): _built(inner[1], item) for key, item in plain.items()}
    if container is Literal and plain not in inner:
        raise TypeError(f"{shown(plain)} is not one of {', '.join(inner)}")
    if isinstance(kind, types.UnionType):
        part = next(part for part in inner if part is not type(None))
        return None if plain is None else _built(part, plain)
    if kind in (int, float, str) and not isinstance(plain, (int, float) if kind is float else kind):
        raise TypeError(f"{shown(plain)} is not of the type {kind.__name__}")
    return plain


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def read_rows(path: Path) -> tuple[list[dict[str, str]], int]:
    """Read a CSV file of numbers, each row with an `update`.

    Returns:
        The undamaged rows, and the number of damaged ones. A last row without a line break, as a
        kill leaves it, is dropped and not counted.

    Raises:
        DataError: the file cannot be read.
    """
    header, *lines = read_bytes(path, 2**28).decode(errors="replace").split("\n")
    rows = []
    for line in lines[:-1]:
        with contextlib.suppress(KeyError, ValueError):  # damaged
            fields = zip(header.strip().split(","), line.strip().split(","), strict=True)
            row = {name: value for name, value in fields if value and math.isfinite(float(value))}
            row["update"] = str(int(row["update"]))
            rows.append(row)
    return rows, max(len(lines) - 1, 0) - len(rows)


def seal(folder: Path) -> None:
    """Write the checksums of all files in a folder, for `is_sealed`."""
    sums = {file.name: [file.stat().st_size, sha256(file)] for file in sorted(folder.iterdir())}
    (folder / _SUMS).write_text(json.dumps(sums), encoding="utf-8")


def is_sealed(folder: Path) -> bool:
    """Return whether a folder's files are unchanged since it was sealed, byte for byte."""
    try:
        sums = read_json(folder / _SUMS)
        names = {file.name for file in folder.iterdir()} - {_SUMS}
        files = [(folder / name, *entry) for name, entry in sums.items()]
        return names == set(sums) and all(sha256(file, size) == sum_ for file, size, sum_ in files)
    except (DataError, OSError, TypeError, ValueError):
        return False
