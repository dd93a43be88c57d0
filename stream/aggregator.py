"""One owned partition of the pages topic: pages in, factor records out. A plain state machine without I/O.

The pages topic is compacted and read from its start at each takeover. What a former owner has published stands in the
partition's changelog, put there by the very transactions that published it: once the pages have been read as far as
it had read them, the two are compared, and what differs is published, as is all that comes later and every date that
has come meanwhile. Records are absolute, so publishing one twice does no harm.

The serving store is no part of any transaction: its owner puts every scope into it as a whole once, and from then on
what changes.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from processors.aggregate import Aggregate
from processors.figures import Provenance
from processors.pages import PageError
from schemas.durable import PublishedFigures
from schemas.factors import FactorRecord
from schemas.scopes import is_crossed
from stream.restatements import Restatements, Told
from stream.transport.chunk import Chunk

RECORDS_AT_A_TIME: Final = 4_000
"""A new date brings every scope new figures: they are published in slices between which events go on."""

REFRESHED_AT_A_TIME: Final = 200
"""The same for the scopes that the store is given as a whole."""


class Published(NamedTuple):
    """What has changed of a scope."""

    scope: str
    figures: list[tuple[str, FactorRecord | None]]
    """(key, record, or None to delete it)."""
    pages: list[tuple[int, bytes | None]]
    """(number, total page, or None to delete it)."""
    day: int
    """The day number up to which the scope has figures now."""
    since: int
    """The first one that it has ever had figures of."""
    has_new_dates: bool
    restated: Told
    """What of the figures of past dates said something else before."""


class Whole(NamedTuple):
    """All of a scope that the store shows."""

    scope: str
    newest: list[FactorRecord]
    pages: list[tuple[int, bytes]]
    restatements: list[tuple[int, bytes]]
    """(number, record) of the newest ones."""


class PagePartition:
    """Figures of the scopes placed in one partition."""

    def __init__(
        self,
        windows: tuple[int, ...],
        horizon_days: int,
        *,
        published: PublishedFigures,
        day_in_zone: Callable[[str, int], int],
    ) -> None:
        """published: what a former owner has published. day_in_zone: (scope, instant in ms) → its day number."""
        self.aggregate = Aggregate(windows, horizon_days)
        self.restatements = Restatements(published.scopes)
        self.published_before = published.before
        """All pages at offsets below this one have been read, and what they say published."""
        self._former: PublishedFigures | None = published
        self._read_before = 0
        self._day_in_zone = day_in_zone
        self._dated: dict[str, int] = {}
        """Scope → its date; 0 until the clock has been asked."""
        self._told_dates = {name: (scope.since, scope.day) for name, scope in published.scopes.items()}
        """Scope → the first and the last date of its published figures."""
        self._undated: list[str] = []
        self._unrefreshed: dict[str, None] = {}
        """Scopes that the store has to be given as a whole."""
        self._now_ms = -1
        self.unreadable = 0
        if self.published_before <= 0:
            self._settle()

    def apply(self, chunk: Chunk) -> None:
        """Take in pages. One that cannot be read is counted and left out: its partition's owner publishes it again."""
        offsets = np.asarray(chunk.offsets)
        for offset, key, value in zip(offsets.tolist(), chunk.keys, chunk.values, strict=True):
            if self._former is not None and offset >= self.published_before:
                self._settle()
            try:
                scope = self.aggregate.apply(key or b"", value)
            except PageError:
                self.unreadable += 1
                continue
            if scope not in self._dated:
                self._note_scope(scope)
        self._read_before = chunk.last + 1
        if self._former is not None and self._read_before >= self.published_before:
            self._settle()

    def collect(
        self, now_ms: int, provenances: tuple[Provenance, Provenance], *, crossed_at_most: int
    ) -> Iterator[Published]:
        """What has changed, at most about `RECORDS_AT_A_TIME` records a call: of shops and the market first, then at
        most about so many of what is crossed. provenances: of the former, and of the latter.
        """
        if self._former is not None or now_ms <= 0:
            return
        self._move_dates(now_ms)
        waits = bool(self._undated)
        for crossed, at_most in ((False, RECORDS_AT_A_TIME), (True, crossed_at_most)):
            n = 0
            for scope in self.aggregate.changed(crossed=crossed):
                if n >= at_most:
                    return
                if not self.aggregate.is_consistent(scope, self._dated[scope]):
                    waits = True  # for the rest of its pages
                elif self._dated[scope]:
                    published = self._publish(scope, now_ms, provenances[crossed])
                    n += len(published.figures)
                    yield published
        if not waits:
            self.published_before = max(self.published_before, self._read_before)

    def _publish(self, scope: str, now_ms: int, provenance: Provenance) -> Published:
        day = self._dated[scope]
        changed = self.aggregate.restated(scope, day)
        restated = self.restatements.tell(scope, changed, now_ms, provenance.computed_at or "")
        figures = list(self.aggregate.take(scope, day, provenance))
        dates = self.aggregate.since(scope), day
        has_new_dates = dates != self._told_dates.get(scope)
        self._told_dates[scope] = dates
        return Published(scope, figures, list(self.aggregate.take_pages(scope)), day, dates[0], has_new_dates, restated)

    def collect_whole(self, provenances: tuple[Provenance, Provenance]) -> Iterator[Whole]:
        """Scopes that the store has not been given yet, at most `REFRESHED_AT_A_TIME` a call."""
        dated = (scope for scope in self._unrefreshed if self._dated[scope])
        for scope in list(itertools.islice(dated, REFRESHED_AT_A_TIME)):
            del self._unrefreshed[scope]
            newest = list(self.aggregate.newest(scope, self._dated[scope], provenances[is_crossed(scope)]))
            yield Whole(scope, newest, list(self.aggregate.pages(scope)), self.restatements.kept(scope))

    def refresh(self) -> None:
        """Give the store everything once more."""
        self._unrefreshed.update(dict.fromkeys(self._dated))

    def _settle(self) -> None:
        assert self._former is not None  # noqa: S101 - for the type checker
        self.aggregate.settle(self._former.scopes)
        for scope in self._former.scopes:
            if scope not in self._dated:
                self._note_scope(scope)
        self._former = None

    def _note_scope(self, scope: str) -> None:
        self._dated[scope] = 0
        self._undated.append(scope)
        self._unrefreshed[scope] = None

    def _move_dates(self, now_ms: int) -> None:
        """Let scopes whose date has changed have it; in slices, oldest first."""
        if now_ms // 60_000 != self._now_ms // 60_000:
            self._undated = [scope for scope, day in self._dated.items() if self._day_in_zone(scope, now_ms) > day]
        self._now_ms = now_ms
        slice_of, self._undated = self._undated[:RECORDS_AT_A_TIME], self._undated[RECORDS_AT_A_TIME:]
        for scope in slice_of:
            today, before = (
                self._day_in_zone(scope, now_ms),
                max(self._dated[scope], self._told_dates.get(scope, (0, 0))[1]),
            )
            self._dated[scope] = max(today, before)
            if today > before:
                self.aggregate.advance(scope, today, before)
