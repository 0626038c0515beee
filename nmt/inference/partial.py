"""An output file that a stopped translation can go on with."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from nmt.inference.files import Format, LineWriter, name_problems
from nmt.storage import atomic_write, sync_folder
from nmt.text.lines import writing_to


@contextlib.contextmanager
def partial_writer(output: Path, layout: Format, key: str) -> Iterator[LineWriter]:
    """Keep unfinished work in `OUT.part` until it is whole and becomes `OUT`.

    Args:
        output: the file to write in the end.
        layout: see `LineWriter`.
        key: stands for input, model and settings; unfinished work of another key is dropped.

    Raises:
        DataError, NmtError: it cannot be written; what was done so far is kept.
    """
    part = output.with_name(f"{output.name}.part")
    state = output.with_name(f"{output.name}.part.json")
    with writing_to(output):
        done = _read_state(state, key) if part.exists() else None
        with open(part, "r+b" if done else "wb") as stream:
            writer = LineWriter(stream, layout)
            if done:
                stream.truncate(done["bytes"])
                stream.seek(done["bytes"])
                writer.lines, writer.failed = done["lines"], done["failed"]
                writer.problems = [(line, reason) for line, reason in done["problems"]]

            def keep() -> None:
                stream.flush()
                os.fsync(stream.fileno())
                row = {
                    "key": key,
                    "bytes": stream.tell(),
                    "lines": writer.lines,
                    "failed": writer.failed,
                    "problems": writer.problems,
                }
                with atomic_write(state) as file:
                    file.write(json.dumps(row).encode())

            writer.keep = keep
            yield writer
            keep()
        name_problems(writer, output)
        os.replace(part, output)
        state.unlink()
        sync_folder(output.parent)


def _read_state(path: Path, key: str) -> dict | None:  # type: ignore[type-arg]
    """Return how far the work came, if it was this work and its record is whole."""
    try:
        state: dict[str, object] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return state if state.get("key") == key else None
