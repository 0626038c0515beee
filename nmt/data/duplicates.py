"""Finds repeated pairs in a corpus that need not fit into memory."""

import numpy as np
from numpy.typing import NDArray

_PARTITION = 2**22  # hashes sorted at a time; about 100 MB of memory


def repeated_rows(hashes: NDArray[np.uint64], partition: int = _PARTITION) -> NDArray[np.int64]:
    """Return the rows whose hash also occurs in an earlier row, in no order.

    Rows are sorted by hash in partitions with equal top bits, each in one pass over the file.

    Args:
        hashes: evenly distributed, `(pairs,)`; may be memory-mapped.
        partition: approximate number of rows to sort at a time.
    """
    bits = (len(hashes) // partition).bit_length()
    repeated = [_repeated(hashes, _rows_of(hashes, top, bits)) for top in range(2**bits)]
    return np.concatenate(repeated)


def _rows_of(hashes: NDArray[np.uint64], top: int, bits: int) -> NDArray[np.int64]:
    """Return the rows whose hash begins with the bits of `top`, in ascending order."""
    low = np.uint64(top << (64 - bits))
    high = np.uint64(((top + 1) << (64 - bits)) - 1)
    return np.flatnonzero((hashes >= low) & (hashes <= high))


def _repeated(hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    keys = hashes[rows]
    order = np.argsort(keys, kind="stable")  # of equal rows, the earliest first
    keys = keys[order]
    repeated: NDArray[np.int64] = rows[order[1:][keys[1:] == keys[:-1]]]
    return repeated
