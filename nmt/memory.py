"""Memory settings of the process: freed blocks, arenas and cached kernels."""

import contextlib
import ctypes
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGEST = 32 * 2**20
"""Bytes of the largest block that glibc can keep."""
_TRAINING_KERNELS, _SEARCH_KERNELS = 32, 256


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; torch has several such errors."""
    texts = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in texts)


def tune_memory(*, search: bool = False) -> None:
    """Keep freed large blocks, and cache few kernels; call before the first product.

    By default glibc maps every large block anew and unmaps it when it is freed. Each step of a
    network frees and allocates the same tens of megabytes, and touching fresh pages costs more
    than most of the arithmetic on them. Has no effect on other C libraries.

    oneDNN, and torch's layer over it, compile a kernel for every shape and cache 1,024 by default,
    with their memory, but batches of training keep changing shape. Searches meet about 200 shapes,
    since the fast engine pads its rows to few counts: translating 500 lines with 32, 128, 256 and
    1,024 kernels took 1.2, 1.1, 1.0 and 1.0 CPU seconds and 450, 497, 466 and 457 MB (2 × 256,
    int8, beam 5, medians). The environment variables of the user take precedence.

    Args:
        search: the process translates and does not train.

    Source: mallopt(3); oneDNN developer guide, "Primitive cache"; ideep, `lru_cache.hpp`.
    """
    _mallopt({_MMAP_THRESHOLD: _LARGEST, _TRIM_THRESHOLD: -1})
    kernels = _SEARCH_KERNELS if search else _TRAINING_KERNELS
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(kernels))


def limit_arenas() -> None:
    """Limit glibc to one arena for each processor; its default is eight.

    Every batch starts threads, which take any arena, and with `tune_memory` no arena shrinks. In a
    minute of `nmt serve` with 64 clients on two cores the process grew from 446 to 560 MB with 16
    arenas; with 2 it grew from 436 to 464 MB in 20 s, and then stayed.

    Source: mallopt(3).
    """
    _mallopt({_ARENA_MAX: os.cpu_count() or 1})


def _mallopt(values: dict[int, int]) -> None:
    """Set parameters of glibc's allocator."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in values.items():
            mallopt(name, value)
