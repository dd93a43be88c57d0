"""Which changed pages of crossed scopes wait for their turn to be published (docs/concepts/durability.md).

An event changes one row of its shop and one of the market, but a dozen of crossed scopes: published with every
transaction, those would be most of all that is published, for figures that nobody looks at every quarter of a second.
So the rows of crossed scopes are dealt out to slices, and each turn publishes one slice, whole. A page that changes ten
times before its turn goes out once.

The ledgers do not wait, so the changelog has to say which pages do: a record a transaction, of those that began to wait
with it. When every slice has had its turn, its pages have gone out, and the record is deleted.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.counters import MARKET, N_KINDS, SHOP, Turn
from schemas.durable import decode_waiting, encode_waiting
from schemas.profile import ATTRIBUTES

SLICES: Final = 16
"""Turns until every crossed scope has had its own."""
CROSSED_KINDS: Final = ((1 << (N_KINDS + len(ATTRIBUTES))) - 1) & ~(1 << SHOP | 1 << MARKET)


class WaitingPages:
    """What is known of them in one partition, besides the counters themselves."""

    def __init__(self) -> None:
        self._turns = 0
        """Turns that slices have had, one after the other."""
        self._told: deque[tuple[int, int]] = deque()
        """(number, turn before which it was written) of each record, the oldest first."""
        self._next = 0
        self._unwritten: list[tuple[bytes, bytes | None]] = []
        self._loaded: dict[int, bytes] = {}

    @property
    def records(self) -> int:
        """How many records tell of pages that may wait."""
        return len(self._told)

    def turn(self, *, is_due: bool) -> Turn:
        """Whose turn it is among the crossed scopes."""
        if not is_due:
            return Turn(CROSSED_KINDS, SLICES, -1)
        self._turns += 1
        return Turn(CROSSED_KINDS, SLICES, self._turns % SLICES)

    def note(self, keys: NDArray[np.int64], pages: NDArray[np.int64]) -> None:
        """Pages [n] of rows with these keys [n] wait from now on. Call it after each take, also with none."""
        while self._told and self._turns - self._told[0][1] >= SLICES:
            self._unwritten.append(encode_waiting(self._told.popleft()[0], None))
        if len(keys):
            self._unwritten.append(encode_waiting(self._next, np.stack((keys, pages), 1).astype("<i8").tobytes()))
            self._told.append((self._next, self._turns))
            self._next += 1

    def take(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Changelog records of what has changed since the last take."""
        yield from self._unwritten
        self._unwritten.clear()

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in a record, in the order of the log. Raises DurableError."""
        number, pages = decode_waiting(key, value)
        if value is None:
            self._loaded.pop(number, None)
        else:
            self._loaded[number] = pages

    def take_loaded(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Keys of rows [n] and pages [n] that wait, as loaded; given away."""
        loaded, self._loaded = self._loaded, {}
        self._told.extend((number, self._turns) for number in sorted(loaded))
        self._next = max(loaded, default=-1) + 1
        pairs = np.frombuffer(b"".join(loaded.values()), "<i8").astype(np.int64).reshape(-1, 2)
        return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
