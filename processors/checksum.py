"""CRC-32 (the one of zlib, gzip and PNG) over a span of bytes, inside kernels, eight bytes a step."""

import numpy as np
from numpy.typing import NDArray

from processors.kernels import kernel


def _tables() -> NDArray[np.uint32]:
    tables = np.zeros((8, 256), np.uint32)
    for n in range(256):
        c = n
        for _ in range(8):
            c = (c >> 1) ^ 0xEDB88320 if c & 1 else c >> 1
        tables[0, n] = c
    for n in range(256):
        for k in range(1, 8):
            before = int(tables[k - 1, n])
            tables[k, n] = (before >> 8) ^ int(tables[0, before & 255])
    return tables


_T = _tables()


@kernel
def crc32(text: NDArray[np.uint8], start: int, end: int) -> int:
    """CRC-32 of text[start:end], as zlib.crc32 gives it."""
    c = np.uint32(0xFFFFFFFF)
    low = np.uint32(255)
    i = start
    while i + 8 <= end:
        a = c ^ (
            np.uint32(text[i])
            | np.uint32(text[i + 1]) << np.uint32(8)
            | np.uint32(text[i + 2]) << np.uint32(16)
            | np.uint32(text[i + 3]) << np.uint32(24)
        )
        c = (
            _T[7, a & low]
            ^ _T[6, (a >> np.uint32(8)) & low]
            ^ _T[5, (a >> np.uint32(16)) & low]
            ^ _T[4, a >> np.uint32(24)]
            ^ _T[3, text[i + 4]]
            ^ _T[2, text[i + 5]]
            ^ _T[1, text[i + 6]]
            ^ _T[0, text[i + 7]]
        )
        i += 8
    while i < end:
        c = _T[0, (c ^ np.uint32(text[i])) & low] ^ (c >> np.uint32(8))
        i += 1
    return np.int64(c ^ np.uint32(0xFFFFFFFF))
