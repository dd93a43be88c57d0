"""Arrays that grow without ever being copied.

The core's pools reserve address space once and are filled as data comes; the operating system gives memory only to
the pages that are touched. So no batch ever waits for a pool to be doubled, and a kernel can allocate without asking
Python.
"""

import math
import mmap
import sys
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

# Not among the constants of Python 3.11's mmap module. Without it Linux counts the whole reservation as memory in use.
_NO_RESERVE = 0x4000 if sys.platform == "linux" else 0


class PoolError(MemoryError):
    """Address space could not be reserved, or a reserved pool is full."""


def reserve(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of zeros backed by reserved address space; memory is used only where it is written.

    Raises PoolError when the system refuses the reservation.
    """
    kind = np.dtype(dtype)
    count = math.prod(shape)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE
    try:
        region = mmap.mmap(-1, max(count * kind.itemsize, 1), flags=flags)
    except (OSError, ValueError) as error:
        message = (
            f"cannot reserve {count * kind.itemsize:,} bytes of address space: {error}; "
            "allow overcommit (vm.overcommit_memory 0 or 1) or raise 'ulimit -v'"
        )
        raise PoolError(message) from error
    return np.frombuffer(region, kind, count).reshape(shape)


def grown(array: NDArray[Any], length: int) -> NDArray[Any]:
    """A zero-filled power-of-two array for a hash table of at least `length` slots (the caller rehashes into it)."""
    return np.zeros(1 << max(int(length - 1).bit_length(), 4), array.dtype)
