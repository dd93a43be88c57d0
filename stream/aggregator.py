"""One owned partition of the pages topic: pages in, factor records out. A plain state machine without I/O.

The pages topic is compacted and read from its start at each takeover. What had been published before only rebuilds
the state; what comes after it, and every date that has come meanwhile, is published. How far that is stands in the
partition's totals (the committed offset of the topic says less: figures of pages that have been read may still wait
for their slice). Records are absolute, so publishing one twice does no harm.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from processors.aggregate import Aggregate
from processors.figures import Provenance
from processors.pages import PageError
from schemas.factors import FactorRecord
from stream.transport.chunk import Chunk

RECORDS_AT_A_TIME: Final = 4_000
"""A new date brings every scope new figures: they are published in slices between which events go on."""

Published = tuple[str, FactorRecord | None]


class PagePartition:
    """Figures of the scopes placed in one partition."""

    def __init__(
        self,
        windows: tuple[int, ...],
        horizon_days: int,
        *,
        published_before: int,
        published_day: int,
        today: int,
        day_in_zone: Callable[[str, int], int],
    ) -> None:
        """published_before: offset below which pages had been published before this takeover. published_day: day number
        up to which new dates had been (0: none). today: the latest that some may have been (their slice came, others'
        did not). day_in_zone: (scope, instant in ms) → the scope's day number.
        """
        self.aggregate = Aggregate(windows, horizon_days, published_day=max(published_day, today))
        self.published_before = published_before
        """What all pages at offsets below this one say has been published."""
        self._is_settled = published_before <= 0
        self._read_before = 0
        self._day_in_zone = day_in_zone
        self.published_day = published_day
        """Every scope's new dates have been published up to here."""
        self._dated: dict[str, int] = {}
        self._undated: list[str] = []
        self._new: set[str] = set()
        """Scopes first seen after what had been handled before: none of their dates has been published."""
        self._unsaved: set[str] = set()
        self._now_ms = -1
        self.unreadable = 0

    def apply(self, chunk: Chunk) -> None:
        """Take in pages. One that cannot be read is counted and left out: its partition's owner publishes it again."""
        offsets = np.asarray(chunk.offsets)
        for offset, key, value in zip(offsets.tolist(), chunk.keys, chunk.values, strict=True):
            if not self._is_settled and offset >= self.published_before:
                self._settle()
            try:
                scope = self.aggregate.apply(key or b"", value)
            except PageError:
                self.unreadable += 1
                continue
            self._unsaved.add(scope)
            if scope not in self._dated:
                self._dated[scope] = 0
                self._undated.append(scope)
                if self._is_settled:
                    self._new.add(scope)
        self._read_before = chunk.last + 1
        if not self._is_settled and self._read_before >= self.published_before:
            self._settle()

    def collect(self, now_ms: int, provenance: Provenance, *, is_early: bool = False) -> Iterator[Published]:
        """(key, record or None) of what has changed, at most about `RECORDS_AT_A_TIME` a call.

        is_early: it goes out without the totals. A scope whose currencies change waits until everything else is out and
        the totals say so in the same transaction: after a crash in between nobody would know in which currencies its
        figures stand.
        """
        if not self._is_settled or now_ms <= 0:
            return
        self._move_dates(now_ms)
        n, recast = 0, []
        for scope in self.aggregate.changed():
            if n >= RECORDS_AT_A_TIME:
                return
            if self.aggregate.is_recast(scope):
                recast.append(scope)
            elif self._dated.get(scope):
                for published in self.aggregate.take(scope, self._dated[scope], provenance):
                    n += 1
                    yield published
        if not self._undated and not (recast and is_early):  # nothing waits for its slice any more
            for scope in recast:
                yield from self.aggregate.take(scope, self._dated[scope], provenance)
            self.published_before = max(self.published_before, self._read_before)
            self.published_day = max(self.published_day, min(self._dated.values(), default=0))

    def take_pages(self) -> Iterator[tuple[str, int, bytes]]:
        """(scope, page number, total page) that changed since the last take."""
        if self._is_settled:
            scopes, self._unsaved = self._unsaved, set()
            for scope in scopes:
                for number, page in self.aggregate.take_pages(scope):
                    yield scope, number, page

    def refresh(self) -> None:
        """Publish today's figures and all total pages once more."""
        for scope, today in self._dated.items():
            self.aggregate.unsave(scope)
            self._unsaved.add(scope)
            if today:
                self.aggregate.advance(scope, today, 0)

    def today(self, scope: str) -> int:
        """The scope's day number as of the last `collect`; 0 before it."""
        return self._dated.get(scope, 0)

    def _settle(self) -> None:
        self.aggregate.settle()
        self._is_settled = True

    def _move_dates(self, now_ms: int) -> None:
        """Let scopes whose date has changed have it; in slices, oldest first."""
        if now_ms // 60_000 != self._now_ms // 60_000:
            self._undated = [scope for scope, day in self._dated.items() if self._day_in_zone(scope, now_ms) > day]
        self._now_ms = now_ms
        slice_of, self._undated = self._undated[:RECORDS_AT_A_TIME], self._undated[RECORDS_AT_A_TIME:]
        for scope in slice_of:
            today, before = self._day_in_zone(scope, now_ms), self._dated[scope]
            if today <= before:
                continue
            self._dated[scope] = today
            if scope in self._new:
                after = self.aggregate.first_day(scope) - 1
            else:  # after a takeover today's figures are published again: the store may have lost them meanwhile
                after = before or min(self.published_day, today - 1)
            self._new.discard(scope)
            self.aggregate.advance(scope, today, after)
