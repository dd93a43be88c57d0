"""Factors of a closed set of events: the same decoder and the same partition as a worker's, with nothing forgotten.

All events are fed first, then any date may be asked: figures "as of T" use every event that was fed, also later ones.
The clock is that of the events, so the same input gives the same bytes.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from processors.calendar import date_of, day_of
from processors.catalogue import Catalogue
from processors.decode import decode
from processors.figures import Provenance, records
from processors.partition import CoreConfig, Partition
from schemas.factors import FactorRecord
from schemas.item import Item
from schemas.profile import Profile
from schemas.refusals import Code
from schemas.scopes import Scope

RING_DAYS: Final = 1 << 16
"""Every day of an event that can be accepted, 1970 … 2099, and what follows from it, stands in one ring of pages."""
REACH_DAYS: Final = 365 + 365
"""A fact counts for T up to a window and a lookback after it; later T are all zero."""


class Question(NamedTuple):
    """What is asked of the events."""

    as_of: tuple[dt.date, ...]
    windows: tuple[int, ...] = (1, 7, 30, 365)
    words: frozenset[str] = frozenset({"shop"})
    """All scopes of these kinds (as in `SMART_SCOPES`) in which anything happened."""
    scopes: tuple[Scope, ...] = ()
    """These scopes, and if there are any none but these."""
    timezone: str = "Asia/Shanghai"
    """Of every shop that `zone_of` knows no zone of."""
    zone_of: Callable[[str], str | None] | None = None


def word_of(scope: Scope) -> str:
    """The word for scopes of this kind.

    >>> word_of(Scope("s1", "item", "i1")), word_of(Scope("s1")), word_of(Scope(None, "brand", "b1"))
    ('item', 'shop', 'brand-wide')
    """
    if scope.shop is not None:
        return scope.kind or "shop"
    return {"": "market", "category": "market-category", "brand": "brand-wide"}[scope.kind]


class Backtest:
    """Feed all events, then read the records. Raises ValueError for a question that makes no sense."""

    def __init__(self, question: Question) -> None:
        words = frozenset(map(word_of, question.scopes)) or question.words
        self._question = question
        self._days = sorted({day_of(date) for date in question.as_of})
        self._catalogue = Catalogue(CoreConfig.max_names)
        self._catalogue.complete()
        self._partition = Partition(
            CoreConfig(
                windows=question.windows,
                scopes=words,
                default_zone=question.timezone,
                horizon_days=RING_DAYS,  # no T is forgotten, so the currencies of a scope are those of all its lines …
                ring_days=RING_DAYS,
                activity_days=None,  # … and no event is
                purchase_days=None,
            ),
            today=self._days[-1],
            zone_of=question.zone_of,
            catalogue=self._catalogue,
        )
        self.accepted = 0
        self.refused: Counter[Code] = Counter()
        self._greatest_event_ms = -1

    def feed(self, values: Sequence[bytes]) -> list[tuple[int, Code, str]]:
        """Take in record values of native events; returns (index, code, field) of those refused."""
        decoded = decode(values, None, None, partition=0, partitions=1, wall_clock=False)
        self._partition.fold(decoded)
        if len(decoded):
            self.accepted += len(decoded)
            self._greatest_event_ms = max(self._greatest_event_ms, int(decoded.event_ms.max()))
        self.refused.update(refusal.code for refusal in decoded.refusals)
        return [(refusal.record, refusal.code, refusal.field) for refusal in decoded.refusals]

    def feed_profiles(self, profiles: Sequence[Profile]) -> None:
        """Take in profiles of users; the newest of each counts."""
        self._partition.fold_profiles(profiles)

    def feed_items(self, items: Iterable[Item]) -> None:
        """Take in records of the catalogue; the newest of each item counts."""
        for item in items:
            self._catalogue.note(item)

    def records(self) -> Iterator[FactorRecord]:
        """All records, by scope, T, window and currency. Rows of zeros are left out."""
        if not self.accepted:
            return
        partition = self._partition
        partition.follow_catalogue()
        through = _instant_text(self._greatest_event_ms)
        provenance = Provenance(date_of(partition.first_day).isoformat(), through, through)
        days = [day for day in self._days if partition.first_day <= day <= partition.last_day + REACH_DAYS]
        runs = list(_runs(days))
        for scope, currencies in self._scopes():
            name = scope.name
            for first, last in runs:
                counts = partition.counts(scope, first, last)
                if not counts.any():
                    continue
                money = {currency: partition.money(scope, currency, first, last) for currency in currencies}
                yield from records(name, self._question.windows, first, counts, money, provenance)

    def _scopes(self) -> list[tuple[Scope, list[str]]]:
        if self._question.scopes:
            return [(scope, self._partition.currencies(scope)) for scope in self._question.scopes]
        found = self._partition.scopes()
        return sorted(
            (each for each in found if word_of(each[0]) in self._question.words), key=lambda each: each[0].name
        )


def _runs(days: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending days as (first, last) of consecutive ones.

    >>> list(_runs([3, 4, 5, 9]))
    [(3, 5), (9, 9)]
    """
    breaks = np.flatnonzero(np.diff(days) > 1) + 1
    for run in np.split(np.array(days, np.int64), breaks):
        if len(run):
            yield int(run[0]), int(run[-1])


def _instant_text(instant_ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    instant = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=instant_ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
