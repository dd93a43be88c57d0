"""JSON, byte by byte: kernels that find where a value ends, and whether it is one.

All take the buffer, a position `p` and the end of the record (exclusive) and return the position after what they have
read, or FAILED. FAILED means "not plainly good": the record goes to the reference, which decides. So these may fail on
JSON that is valid but rare, never accept what is not JSON. PADDING must follow the last record in
the buffer.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.kernels import inlined, kernel

FAILED: Final = -1

PADDING: Final = b'"' + bytes(16)
"""Must follow the last record in the buffer: a quote ends every string, and bytes are read sixteen at a time."""

_SMALL_INT_DIGITS: Final = 15
_CONTAINERS_MAX: Final = 60
"""How many containers may lie within each other here: their kinds are bits of one word."""


@inlined
def skip_space(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Position of the first byte that is not JSON white space."""
    while p < end and buffer[p] <= 0x20 and buffer[p] in (0x20, 0x0A, 0x0D, 0x09):
        p += 1
    return p


@kernel
def sequence_length(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Bytes of the well-formed UTF-8 sequence of two or more bytes that begins at `p`; 0 where there is none."""
    first = buffer[p]
    if first < 0xC2 or first > 0xF4:
        return 0
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if p + length > end:
        return 0
    for i in range(1, length):
        if buffer[p + i] & 0xC0 != 0x80:
            return 0
    second = buffer[p + 1]
    # Overlong forms, surrogates, and what lies beyond U+10FFFF.
    if first == 0xE0 and second < 0xA0:
        return 0
    if first == 0xED and second > 0x9F:
        return 0
    if first == 0xF0 and second < 0x90:
        return 0
    if first == 0xF4 and second > 0x8F:
        return 0
    return length


@inlined
def eight(buffer: NDArray[np.uint8], q: np.uint64) -> np.uint64:
    """The eight bytes at `q`, the first one lowest. Compiles to a single load."""
    return (
        np.uint64(buffer[q])
        | np.uint64(buffer[q + np.uint64(1)]) << np.uint64(8)
        | np.uint64(buffer[q + np.uint64(2)]) << np.uint64(16)
        | np.uint64(buffer[q + np.uint64(3)]) << np.uint64(24)
        | np.uint64(buffer[q + np.uint64(4)]) << np.uint64(32)
        | np.uint64(buffer[q + np.uint64(5)]) << np.uint64(40)
        | np.uint64(buffer[q + np.uint64(6)]) << np.uint64(48)
        | np.uint64(buffer[q + np.uint64(7)]) << np.uint64(56)
    )


@inlined
def _skip_plain(buffer: NDArray[np.uint8], p: int) -> int:
    """Position of the first byte that is a quote, a backslash, a control character or no ASCII, eight at a time.

    A byte of `x - n` borrows from the next one only where it is itself below n: the lowest mark is always right, and
    only that one is used.
    """
    ones = np.uint64(0x0101010101010101)
    tops = np.uint64(0x8080808080808080)
    q = np.uint64(p)
    while True:
        x = eight(buffer, q)
        quote = x ^ np.uint64(0x2222222222222222)
        backslash = x ^ np.uint64(0x5C5C5C5C5C5C5C5C)
        delete = x ^ np.uint64(0x7F7F7F7F7F7F7F7F)
        marks = (
            ((quote - ones) & ~quote)
            | ((backslash - ones) & ~backslash)
            | ((delete - ones) & ~delete)
            | ((x - np.uint64(0x2020202020202020)) & ~x)
            | x
        ) & tops
        if marks != np.uint64(0):
            below = (marks - np.uint64(1)) & ~marks & ones  # one bit for each byte up to the marked one
            return np.int64(q) + np.int64((below * ones) >> np.uint64(56)) - 1
        q += np.uint64(8)


@inlined
def plain_string(buffer: NDArray[np.uint8], p: int, end: int) -> tuple[int, int]:
    """Position of the closing quote of a string without escapes and control characters (C1 too), and its characters.

    `p` is behind the opening quote. Characters are Unicode ones.
    """
    start = p
    continuation = 0
    while True:
        p = _skip_plain(buffer, p)  # ends at the buffer's last quote, at worst behind the record
        if p >= end:
            return FAILED, 0
        if buffer[p] == 0x22:
            return p, p - start - continuation
        if buffer[p] < 0x80:
            return FAILED, 0
        length = sequence_length(buffer, p, end)
        if length == 0 or (buffer[p] == 0xC2 and buffer[p + 1] < 0xA0):
            return FAILED, 0
        continuation += length - 1
        p += length


@kernel
def skip_string(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind any JSON string; `p` is behind its opening quote."""
    while True:
        p = _skip_plain(buffer, p)
        if p >= end:
            return FAILED
        c = buffer[p]
        if c == 0x22:
            return p + 1
        if c == 0x5C:
            p = _skip_escape(buffer, p + 1, end)
            if p == FAILED:
                return FAILED
        elif c >= 0x80:
            length = sequence_length(buffer, p, end)
            if length == 0:
                return FAILED
            p += length
        elif c == 0x7F:
            p += 1
        else:
            return FAILED


@kernel
def _skip_escape(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind an escape; `p` is behind its backslash."""
    if p >= end:
        return FAILED
    c = buffer[p]
    if c == 0x75:  # u
        if p + 5 > end:
            return FAILED
        for i in range(p + 1, p + 5):
            digit = buffer[i]
            lower = digit | 0x20
            if not (0x30 <= digit <= 0x39 or 0x61 <= lower <= 0x66):
                return FAILED
        return p + 5
    # " \ / b f n r t
    if c in (0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74):
        return p + 1
    return FAILED


@inlined
def _skip_digits(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    while p < end and 0x30 <= buffer[p] <= 0x39:
        p += 1
    return p


@kernel
def skip_number(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind a JSON number. What may follow it is the caller's to check."""
    if p < end and buffer[p] == 0x2D:
        p += 1
    start = p
    p = _skip_digits(buffer, p, end)
    if p == start or (buffer[start] == 0x30 and p - start > 1):
        return FAILED
    if p < end and buffer[p] == 0x2E:
        start = p + 1
        p = _skip_digits(buffer, start, end)
        if p == start:
            return FAILED
    if p < end and buffer[p] | 0x20 == 0x65:
        p += 1
        if p < end and (buffer[p] == 0x2B or buffer[p] == 0x2D):
            p += 1
        start = p
        p = _skip_digits(buffer, start, end)
        if p == start:
            return FAILED
    return p


@inlined
def small_int(buffer: NDArray[np.uint8], p: int, end: int) -> tuple[int, int]:
    """Behind an integer of at most 15 digits without a sign, and its value. A fraction or exponent fails."""
    start = p
    value = 0
    while p < end and 0x30 <= buffer[p] <= 0x39:
        if p - start == _SMALL_INT_DIGITS:
            return FAILED, 0
        value = value * 10 + (np.int64(buffer[p]) - 0x30)
        p += 1
    if p == start or (buffer[start] == 0x30 and p - start > 1):
        return FAILED, 0
    if p < end and (buffer[p] == 0x2E or buffer[p] | 0x20 == 0x65):
        return FAILED, 0
    return p, value


@kernel
def skip_literal(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind `true`, `false` or `null`."""
    if p + 4 <= end:
        a, b, c, d = buffer[p], buffer[p + 1], buffer[p + 2], buffer[p + 3]
        if a == 0x74 and b == 0x72 and c == 0x75 and d == 0x65:
            return p + 4
        if a == 0x6E and b == 0x75 and c == 0x6C and d == 0x6C:
            return p + 4
        if a == 0x66 and b == 0x61 and c == 0x6C and d == 0x73 and p + 5 <= end and buffer[p + 4] == 0x65:
            return p + 5
    return FAILED


@kernel
def skip_scalar(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind a string, number or literal."""
    if p >= end:
        return FAILED
    c = buffer[p]
    if c == 0x22:
        return skip_string(buffer, p + 1, end)
    if c == 0x2D or 0x30 <= c <= 0x39:
        return skip_number(buffer, p, end)
    return skip_literal(buffer, p, end)


@kernel
def _skip_name(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind a member's name, its colon and white space."""
    if p >= end or buffer[p] != 0x22:
        return FAILED
    p = skip_string(buffer, p + 1, end)
    if p == FAILED:
        return FAILED
    p = skip_space(buffer, p, end)
    if p >= end or buffer[p] != 0x3A:
        return FAILED
    return skip_space(buffer, p + 1, end)


@kernel
def skip_container(buffer: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind the object or array that opens at `p`. Fails for more than _CONTAINERS_MAX within each other."""
    objects = np.uint64(0)  # bit d: is the container at depth d an object?
    one = np.uint64(1)
    depth = 0
    while True:
        # A value begins at p.
        if p >= end:
            return FAILED
        c = buffer[p]
        if c in (0x7B, 0x5B):
            if depth == _CONTAINERS_MAX:
                return FAILED
            objects = (objects << one) | (one if c == 0x7B else np.uint64(0))
            depth += 1
            p = skip_space(buffer, p + 1, end)
            closes = p < end and buffer[p] == c + 2  # '{' + 2 = '}' and '[' + 2 = ']'
            if not closes:
                if c == 0x7B:
                    p = _skip_name(buffer, p, end)
                    if p == FAILED:
                        return FAILED
                continue
        else:
            p = skip_scalar(buffer, p, end)
            if p == FAILED:
                return FAILED
        # A value has ended, or an empty container is about to: close what closes, then go to the next value.
        while True:
            p = skip_space(buffer, p, end)
            if p >= end:
                return FAILED
            c = buffer[p]
            is_object = objects & one == one
            if c == 0x2C:
                p = skip_space(buffer, p + 1, end)
                if is_object:
                    p = _skip_name(buffer, p, end)
                    if p == FAILED:
                        return FAILED
                break
            if c != (0x7D if is_object else 0x5D):
                return FAILED
            objects >>= one
            depth -= 1
            p += 1
            if depth == 0:
                return p
