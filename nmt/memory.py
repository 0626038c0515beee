"""How the process deals with memory that it frees."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let the process keep large blocks that it frees, and use them again.

    By default glibc maps every large block anew and gives it back when it is freed. Each step of
    a network frees and asks for the same tens of megabytes, and touching fresh pages costs more
    than most of the arithmetic done on them. Other C libraries are left as they are.

    Source: mallopt(3).
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
        mallopt(_TOP_PAD, 64 * 2**20)
