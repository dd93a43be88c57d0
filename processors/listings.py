"""Since when are a partition's items listed, as its counters have it; and whom it concerns when that changes.

What counters hold follows from the ledgers and from these days, so both are durable: a partition that is counted anew
has the very figures that were published, whatever the catalogue says by then. What it says otherwise is taken in as a
change, with all that follows from it: everybody who has done something with the item in its first 30 days, by the
former day or by the new one, is counted out by the former and in again by the new (docs/concepts/catalogue.md).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.calendar import NO_DAY
from processors.catalogue import KEEP, Catalogue
from processors.kernels import kernel
from processors.ledger import CELLS, DAY_SHIFT, L_PLACE, L_PRODUCT, LINES, N_LISTS, PRODUCT_MASK, Arena
from processors.membership import Facets, is_new
from processors.names import OTHER, Names
from schemas.durable import DurableError, decode_listed, encode_listed

_BLOCK: Final = 512
"""Items a record holds: the first has number 0, 512, …"""
_FIRST: Final = OTHER + 1
"""The first number of an item; `_other` is none."""


@kernel
def users_concerned(arena: Arena, facets: Facets, after: NDArray[np.int32], users: int, out: NDArray[np.int64]) -> int:
    """List the users 1 … users with a fact that is of a new item by `facets.listed` and not by `after`, or the other
    way round; returns how many there are. A purchase line is active behaviour too, but of another version maybe.
    """
    words = arena.words
    n = 0
    for user in range(1, users + 1):
        found = False
        start = arena.users[user, CELLS]
        for i in range(arena.users[user, N_LISTS + CELLS]):
            item = facets.item[words[start + 2 * i + 1]]
            if facets.listed[item] != after[item]:
                day = words[start + 2 * i] >> DAY_SHIFT
                if is_new(facets.listed, item, day) != is_new(after, item, day):
                    found = True
                    break
        start = arena.users[user, LINES]
        for i in range(0 if found else arena.users[user, N_LISTS + LINES]):
            item = facets.item[words[start + i * 11 + L_PRODUCT] & PRODUCT_MASK]
            if facets.listed[item] != after[item]:
                day = words[start + i * 11 + L_PLACE] >> DAY_SHIFT
                if is_new(facets.listed, item, day) != is_new(after, item, day):
                    found = True
                    break
        if found:
            out[n] = user
            n += 1
    return n


class Listings:
    """The days on which a partition's items were listed.

    days: [bound] by number of the item in the partition's dictionary, 0 where it is not known; kernels read it.
    """

    def __init__(self, days: NDArray[np.int32], catalogue: Catalogue) -> None:
        self._days = days
        self._catalogue = catalogue
        self._looked_up = OTHER
        """Items up to this number have been looked up: later ones are in no ledger yet."""
        self._followed: int | None = None
        """So many of the catalogue's changes have been looked at; None: everything has to be compared."""
        self._unwritten: set[int] = set()

    def look_up(self, items: Names) -> None:
        """New items of the partition, before any of their events is counted, get their days."""
        first, end = self._looked_up + 1, len(items) + 1
        if first < end:
            days = self._catalogue.listed(items.table, first, end)
            self._set(np.arange(first, end), np.where(days == KEEP, np.int32(NO_DAY), days))
            self._looked_up = end - 1

    def changed(self, items: Names) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Items of which the catalogue says another day by now, and these days; none before it has been read."""
        catalogue, end = self._catalogue, self._looked_up + 1
        if not catalogue.is_whole:
            return np.zeros(0, np.int64), np.zeros(0, np.int32)
        if self._followed is None:
            numbers = np.arange(_FIRST, max(end, _FIRST))
            days = catalogue.listed(items.table, _FIRST, max(end, _FIRST))
        else:
            names = catalogue.names_of(catalogue.changes[self._followed :])
            found = sorted({number for name in names if _FIRST <= (number := items.get(name)) < end})
            numbers = np.array(found, np.int64)
            days = np.array([catalogue.listed(items.table, n, n + 1)[0] for n in found], np.int32)
        self._followed = len(catalogue.changes)
        is_other = (days != KEEP) & (days != self._days[numbers])
        return numbers[is_other], days[is_other]

    def after(self, numbers: NDArray[np.int64], days: NDArray[np.int32]) -> NDArray[np.int32]:
        """[items] the days of all items when some have got others."""
        after = self._days[: self._looked_up + 1].copy()
        after[numbers] = days
        return after

    def set(self, numbers: NDArray[np.int64], days: NDArray[np.int32]) -> None:
        """Some items have other days from now on."""
        self._set(numbers, days)

    def _set(self, numbers: NDArray[np.int64], days: NDArray[np.int32]) -> None:
        other = numbers[self._days[numbers] != days]
        self._days[numbers] = days
        self._unwritten.update(np.unique(other // _BLOCK).tolist())

    # --- durable records

    def take(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Changelog records of what has changed since the last take."""
        for block in sorted(self._unwritten):
            first = block * _BLOCK
            yield encode_listed(first, self._days[first : first + _BLOCK].astype("<i4").tobytes())
        self._unwritten.clear()

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in a record, in the order of the log. Raises DurableError."""
        first, text = decode_listed(key, value)
        room = self._days[first : first + _BLOCK]
        days = np.frombuffer(text, "<i4")
        if len(days) > len(room):
            raise DurableError("there are listing dates of more items than SMART_MAX_NAMES: it cannot be lowered")
        room[:] = 0
        room[: len(days)] = days

    def loaded(self, items: Names) -> None:
        """All records and all names have been loaded: what differs from the catalogue is a change."""
        self._looked_up = max(len(items), OTHER)
        self._followed = None
