"""Child processes that end with this process, even if it is killed."""

import os
import signal
import subprocess
import sys
import threading
from typing import Any

_LIFELINE = "NMT_LIFELINE"
_WATCH = "from nmt.processes import end_with_parent; end_with_parent()\n"


class ChildProcess(subprocess.Popen[bytes]):
    """Python code in a process group of its own, which is killed when this process ends.

    The child reads from a pipe whose only writing end is this process's: also after `kill -9` the
    kernel closes it. The child watches it before it imports anything slow. Ctrl-C at a terminal
    reaches this process alone.

    Args:
        code: Python source to run.
        *words: its `sys.argv[1:]`.
        **options: of `subprocess.Popen`.
    """

    def __init__(self, code: str, *words: str, **options: Any):
        reading, writing = os.pipe()
        self._lifeline = os.fdopen(writing, "wb", buffering=0)
        environment = options.pop("env", os.environ) | {_LIFELINE: str(reading)}
        try:
            super().__init__(
                [sys.executable, "-c", _WATCH + code, *words],
                env=environment,
                pass_fds=[reading],
                start_new_session=True,
                **options,
            )
        finally:
            os.close(reading)

    def end(self) -> None:
        """Kill the process and its descendants, and wait until it has ended."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.communicate()
        self._lifeline.close()


def end_with_parent() -> None:
    """Kill this process's group once the process that started it as a `ChildProcess` has ended."""
    reading = int(os.environ.pop(_LIFELINE))

    def watch() -> None:
        os.read(reading, 1)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
