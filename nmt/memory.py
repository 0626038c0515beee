"""How the process deals with memory that it frees."""

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST = 32 * 2**20
"""Bytes of the largest block that glibc agrees to keep."""


def keep_freed_memory() -> None:
    """Let the process keep large blocks that it frees, and use them again.

    By default glibc maps every large block anew and gives it back when it is freed. Each step of
    a network frees and asks for the same tens of megabytes, and touching fresh pages costs more
    than most of the arithmetic done on them. Other C libraries are left as they are.

    Source: mallopt(3).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGEST)
        mallopt(_TRIM_THRESHOLD, -1)
