"""What figures of past dates said before they changed (docs/concepts/pages.md#restatements).

A date that has been published and says something else now is restated. `Before` keeps, of one scope, the values as
they were published last: only of the dates that may have changed since, from the first of them on, and only until the
next time that figures are taken. What comes for today costs a copy of the few dates of today's page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.counters import PAID_LINES

Array = NDArray[np.int64]


class Restated(NamedTuple):
    """How the figures of one scope, window and currency have changed at dates before today."""

    window_days: int
    currency: str
    days: Array
    """[n] ascending day numbers."""
    before: Array
    """[n, 8] S, S_existing, B, B_existing, items, purchase days, GMV, GMV_existing."""
    after: Array


class Before:
    """The published values of one scope, from the first date that may have changed since on."""

    __slots__ = ("_lanes", "first", "since", "through")

    def __init__(self) -> None:
        self.since = 0
        """The first day number that has ever been published; 0 while none has."""
        self.through = 0
        """The last one."""
        self.first = 1
        """Day number from which on values are kept: T before it have not changed; `through` + 1 while none is."""
        self._lanes: dict[str, Array] = {}

    def published(self, since: int, through: int) -> None:
        """Everything up to a date has just been published; `since` is the first date of it (0: nothing was)."""
        if since:
            self.since = min(since, self.since or since)
        self.through = through
        self.first = through + 1
        self._lanes.clear()

    def keep(self, lanes: Mapping[str, Array], first: int, day: int) -> None:
        """Values of T ≥ `day` are about to change. lanes: currency → [days, counters * windows] from day `first` on."""
        start = max(day, first)
        if start >= self.first:
            return
        rows = slice(start - first, self.first - first)
        kept = self.through + 1 - self.first
        for currency, lane in lanes.items():
            if not kept:
                self._lanes[currency] = lane[rows].copy()
                continue
            later = self._lanes.get(currency)
            if later is None:  # the currency is new: until now it was nothing
                later = np.zeros((kept, lane.shape[1]), np.int64)
            self._lanes[currency] = np.concatenate([lane[rows], later])
        self.first = start

    def remember(self, lanes: Mapping[str, Array], first: int, differs: NDArray[np.bool_]) -> None:
        """Take over what a former owner has published.

        lanes: currency → [days, counters * windows] from day `first` on; differs: [days], where it is not so any more.
        """
        end = self.through + 1 - first
        moved = np.flatnonzero(differs[: max(end, 0)])
        if len(moved):
            self.first = first + int(moved[0])
            self._lanes = {currency: lane[moved[0] : end].copy() for currency, lane in lanes.items()}

    def restated(
        self,
        lanes: Mapping[str, Array],
        first: int,
        currencies: Sequence[str],
        gone: Sequence[str],
        dates: tuple[int, int],
        windows: Sequence[int],
    ) -> Iterator[Restated]:
        """By window and currency, what has changed at the published T in dates[0] … dates[1] - 1.

        currencies: those that the scope's records have; gone: those that they had. Of these only money is told.
        """
        start, end = max(dates[0], self.since, self.first), min(dates[1], self.through + 1)
        if not self.since or start >= end:
            return
        nw = len(windows)
        both = self._both(lanes, first, start, end)
        nothing = np.zeros((end - start, PAID_LINES), np.int64)
        for w, window_days in enumerate(windows):
            counts = [values[:, w::nw] for values in both[""]]
            for currency in [*currencies, *gone]:
                money = [values[:, w::nw][:, :PAID_LINES] for values in both.get(currency, ())] or [nothing, nothing]
                before, after = (np.concatenate(pair, axis=1) for pair in zip(counts, money, strict=True))
                differs = (money[0] != money[1]) if currency in gone else (before != after)
                rows = np.flatnonzero(differs.any(axis=1))
                if len(rows):
                    yield Restated(window_days, currency, rows + start, before[rows], after[rows])

    def _both(self, lanes: Mapping[str, Array], first: int, start: int, end: int) -> dict[str, tuple[Array, Array]]:
        """Currency ("" = counts) → [days, counters * windows] of T in start … end - 1 as published, and as it is."""
        found = {}
        for currency, lane in lanes.items():
            now = lane[start - first : end - first]
            kept = self._lanes.get(currency)
            found[currency] = np.zeros_like(now) if kept is None else kept[start - self.first : end - self.first], now
        return found
