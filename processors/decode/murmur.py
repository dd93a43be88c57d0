"""In which partition does a key belong? Kafka's two default partitioners, as plain functions and as kernels.

`murmur2` is what Kafka's own producers do: the 32-bit hash with its sign bit masked off, modulo N. `crc32` is what
librdkafka's producers do. Both are one user → one partition; records elsewhere are refused (`wrong_partition`).
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.kernels import kernel

MURMUR2: Final = "murmur2"
CRC32: Final = "crc32"
PARTITIONERS: Final = (MURMUR2, CRC32)

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_CRC_POLYNOMIAL: Final = 0xEDB88320


def murmur2(data: bytes) -> int:
    """Kafka's murmur2 of a key: 0 ≤ hash < 2**32.

    >>> murmur2(b"21") == -973932308 & 0xFFFFFFFF
    True
    """
    h = _SEED ^ len(data)
    whole = len(data) & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if tail := data[whole:]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int, partitioner: str = MURMUR2) -> int:
    """Partition that a key belongs to, 0 ≤ result < partitions. Raises ValueError for an unknown partitioner."""
    if partitioner == MURMUR2:
        return (murmur2(key) & _POSITIVE) % partitions
    if partitioner == CRC32:
        return zlib.crc32(key) % partitions
    raise ValueError(f"partitioner {partitioner!r} is not one of {', '.join(PARTITIONERS)}")


def crc32_table() -> NDArray[np.uint32]:
    """[256] the remainders that the bytewise CRC-32 needs."""
    table = np.empty(256, np.uint32)
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (_CRC_POLYNOMIAL if remainder & 1 else 0)
        table[byte] = remainder
    return table


@kernel
def murmur2_partition(buffer: NDArray[np.uint8], start: int, length: int, partitions: int) -> int:
    """`partition_of(key, partitions, "murmur2")` of the key `buffer[start : start + length]`."""
    m = np.uint32(_M)
    h = np.uint32(np.uint32(_SEED) ^ np.uint32(length))
    p = start
    for _ in range(length >> 2):
        k = np.uint32(
            np.uint32(buffer[p])
            | np.uint32(buffer[p + 1]) << np.uint32(8)
            | np.uint32(buffer[p + 2]) << np.uint32(16)
            | np.uint32(buffer[p + 3]) << np.uint32(24)
        )
        k = np.uint32(k * m)
        k = np.uint32(np.uint32(k ^ (k >> np.uint32(24))) * m)
        h = np.uint32(np.uint32(h * m) ^ k)
        p += 4
    rest = length & 3
    if rest:
        k = np.uint32(buffer[p])
        if rest > 1:
            k = np.uint32(k | np.uint32(buffer[p + 1]) << np.uint32(8))
        if rest > 2:
            k = np.uint32(k | np.uint32(buffer[p + 2]) << np.uint32(16))
        h = np.uint32(np.uint32(h ^ k) * m)
    h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * m)
    h = np.uint32(h ^ (h >> np.uint32(15)))
    return int(h & np.uint32(_POSITIVE)) % partitions


@kernel
def crc32_partition(
    buffer: NDArray[np.uint8], start: int, length: int, partitions: int, table: NDArray[np.uint32]
) -> int:
    """`partition_of(key, partitions, "crc32")` of the key `buffer[start : start + length]`; `table` = crc32_table()."""
    remainder = np.uint32(_MASK)
    for p in range(start, start + length):
        remainder = np.uint32(
            (remainder >> np.uint32(8)) ^ table[np.uint8((remainder ^ np.uint32(buffer[p])) & np.uint32(0xFF))]
        )
    return int(np.uint32(remainder ^ np.uint32(_MASK))) % partitions
