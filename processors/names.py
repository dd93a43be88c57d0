"""Byte strings to small numbers: a partition's dictionaries of users, shops, items, categories, brands, channels,
currencies.

Open addressing over int64 slots; a slot holds 32 bits of the hash and the number, and the bytes themselves decide, so
two strings are never taken for one. Number 0 means "absent"; 1 is the overflow name `_other`, under which names
beyond a dictionary's bound are counted (flagged as not exact).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.kernels import kernel
from processors.pool import PoolError, grown, reserve

ABSENT = 0
OTHER = 1
OTHER_NAME = b"_other"

_K1 = np.int64(1099511628211)
_K2 = np.int64(-7046029254386353131)
_K3 = np.int64(-4658895280553007687)
_SEED = np.int64(-3750763034362895579)
_SEED_2 = np.int64(7809847782465536322)
_LOW_32 = np.int64(0xFFFFFFFF)


class Table(NamedTuple):
    """A dictionary as kernels take it."""

    slots: NDArray[np.int64]
    """[power of two] high half of the hash << 32 | number; 0 = empty."""
    start: NDArray[np.int64]
    """[bound + 2] where a name's bytes start; the next name's start ends them."""
    text: NDArray[np.uint8]
    """The bytes of all names, one after another."""
    count: NDArray[np.int64]
    """[2] numbers given so far, the bound on numbers."""


@kernel
def mixed(h: int) -> int:
    """Finalizer: spreads the high bits of a 64-bit product over all bits."""
    h = (h ^ ((h >> 32) & _LOW_32)) * _K2
    h = (h ^ ((h >> 29) & np.int64(0x7FFFFFFFF))) * _K3
    return h ^ ((h >> 32) & _LOW_32)


@kernel
def hash_bytes(text: NDArray[np.uint8], start: int, length: int, seed: int) -> int:
    """64-bit hash of a span of bytes (FNV-1a with a finalizer)."""
    h = seed
    for i in range(start, start + length):
        h = (h ^ np.int64(text[i])) * _K1
    return mixed(h + length)


@kernel
def hash_128(
    text: NDArray[np.uint8], first: NDArray[np.int32], second: NDArray[np.int32], third: NDArray[np.int32]
) -> tuple[int, int]:
    """128-bit identity of up to three spans (offset, length), as two 64-bit halves with different seeds and steps."""
    a = _SEED
    b = _SEED_2
    for span in (first, second, third):
        for i in range(span[0], span[0] + span[1]):
            x = np.int64(text[i])
            a = (a ^ x) * _K1
            b = (b + x + 1) * _K2
            b ^= (b >> 31) & np.int64(0x1FFFFFFFF)
        # The lengths are mixed in, so that moving a byte from one span to the next changes the identity.
        a = mixed(a + span[1])
        b = mixed(b ^ (np.int64(span[1]) + 1))
    return a, b


@kernel
def find(table: Table, h: int, text: NDArray[np.uint8], start: int, length: int) -> tuple[int, int]:
    """(slot, number) of a name; number 0 when it is not there (the slot is where it would go)."""
    slots = table.slots
    mask = len(slots) - 1
    tag = (h >> 32) & _LOW_32
    i = h & mask
    while slots[i] != 0:
        if (slots[i] >> 32) & _LOW_32 == tag:
            number = slots[i] & _LOW_32
            at = table.start[number]
            if table.start[number + 1] - at == length:
                k = 0
                while k < length and table.text[at + k] == text[start + k]:
                    k += 1
                if k == length:
                    return i, number
        i = (i + 1) & mask
    return i, np.int64(0)


@kernel
def intern(table: Table, text: NDArray[np.uint8], start: int, length: int) -> int:
    """The number of a name, given on first use; `OTHER` once the bound is met. Slots must be at most half full."""
    return intern_hashed(table, hash_bytes(text, start, length, _SEED), text, start, length)


@kernel
def intern_column(
    table: Table,
    text: NDArray[np.uint8],
    spans: NDArray[np.int32],
    field: int,
    hashes: NDArray[np.int64],
    out: NDArray[np.int32],
) -> int:
    """Number one name of every event, spans[i, field] = (offset, length); 0 where it is absent (length 0). hashes: room
    for one an event.

    The loops before the last bring slots and names into the cache: their loads depend on nothing and so overlap,
    where a look-up alone would wait for each miss in turn. The sum that is returned keeps the compiler from dropping
    them.
    """
    n = len(spans)
    mask = len(table.slots) - 1
    total = np.int64(0)
    for i in range(n):
        hashes[i] = hash_bytes(text, spans[i, field, 0], spans[i, field, 1], _SEED)
        total += table.slots[hashes[i] & mask]
    for i in range(n):
        total += table.start[table.slots[hashes[i] & mask] & _LOW_32]
    for i in range(n):
        total += table.text[table.start[table.slots[hashes[i] & mask] & _LOW_32]]
    for i in range(n):
        length = spans[i, field, 1]
        out[i] = intern_hashed(table, hashes[i], text, spans[i, field, 0], length) if length > 0 else 0
    return total


@kernel
def intern_hashed(table: Table, h: int, text: NDArray[np.uint8], start: int, length: int) -> int:
    """`intern`, for a name whose hash is known."""
    i, number = find(table, h, text, start, length)
    if number != 0:
        return number
    number = table.count[0] + 1
    if number > table.count[1]:
        return np.int64(OTHER)
    table.count[0] = number
    at = table.start[number]
    for k in range(length):
        table.text[at + k] = text[start + k]
    table.start[number + 1] = at + length
    table.slots[i] = (h & ~_LOW_32) | number
    return number


@kernel
def intern_all(table: Table, text: NDArray[np.uint8], ends: NDArray[np.int64]) -> int:
    """Number the names text[ends[i] : ends[i + 1]]; the number of the last one."""
    number = np.int64(0)
    for i in range(len(ends) - 1):
        number = intern(table, text, ends[i], ends[i + 1] - ends[i])
    return number


@kernel
def find_all(table: Table, names: Table, out: NDArray[np.int64], first: int) -> None:
    """out[i] = the number in `table` of what is number first + i among other names; 0 when it is not there."""
    for i in range(len(out)):
        at = names.start[first + i]
        length = names.start[first + i + 1] - at
        out[i] = find(table, hash_bytes(names.text, at, length, _SEED), names.text, at, length)[1]


@kernel
def rehash(table: Table, slots: NDArray[np.int64]) -> None:
    """Fill empty `slots` with all names of the table."""
    mask = len(slots) - 1
    for number in range(1, table.count[0] + 1):
        at = table.start[number]
        h = hash_bytes(table.text, at, table.start[number + 1] - at, _SEED)
        i = h & mask
        while slots[i] != 0:
            i = (i + 1) & mask
        slots[i] = (h & ~_LOW_32) | number


class Names:
    """One dictionary; `table` is what kernels use, the methods serve the edges."""

    def __init__(self, bound: int, mean_bytes: int = 136) -> None:
        self._text_bytes = (bound + 2) * mean_bytes + (1 << 28)  # room for a whole batch of repeated names
        start = reserve((bound + 4,), np.int64)
        self.table = Table(
            np.zeros(64, np.int64), start, reserve((self._text_bytes,), np.uint8), np.array([0, bound + 1], np.int64)
        )
        self.number(OTHER_NAME)

    def __len__(self) -> int:
        return int(self.table.count[0])

    def close(self) -> None:
        """No more numbers are given: what is new counts under `_other`."""
        self.table.count[1] = self.table.count[0]

    def make_room(self, new: int, new_bytes: int) -> None:
        """Before a batch that may bring up to `new` names of `new_bytes` bytes. Raises PoolError when text is full."""
        count = len(self)
        if int(self.table.start[count + 1]) + new_bytes > self._text_bytes:
            message = f"a dictionary's {self._text_bytes:,} bytes of names are full ({count:,} names)"
            raise PoolError(message)
        if 2 * (count + new) > len(self.table.slots):
            slots = grown(self.table.slots, 4 * (count + new))
            rehash(self.table, slots)
            self.table = self.table._replace(slots=slots)

    def number(self, name: bytes) -> int:
        """The number of a name, given on first use."""
        self.make_room(1, len(name))
        return int(intern(self.table, np.frombuffer(name, np.uint8), 0, len(name)))

    def add(self, names: Sequence[bytes]) -> int:
        """Number many names; the number of the last one."""
        joined = b"".join(names)
        self.make_room(len(names), len(joined))
        ends = np.cumsum([0, *map(len, names)], dtype=np.int64)
        return int(intern_all(self.table, np.frombuffer(joined, np.uint8), ends))

    def get(self, name: bytes) -> int:
        """The number of a name, 0 when it is not known."""
        text = np.frombuffer(name, np.uint8)
        return int(find(self.table, hash_bytes(text, 0, len(name), _SEED), text, 0, len(name))[1])

    def names(self, first: int, end: int) -> list[bytes]:
        """The bytes of the numbers first … end - 1."""
        starts = self.table.start[first : end + 1]
        text, at = self.table.text[starts[0] : starts[-1]].tobytes(), (starts - starts[0]).tolist()
        return [text[at[i] : at[i + 1]] for i in range(end - first)]

    def name(self, number: int) -> bytes:
        """The bytes of a number."""
        first, last = self.table.start[number : number + 2]
        return self.table.text[first:last].tobytes()
