"""Figures of minutes, read from the pages of their hours. Pure: pages in, records out. Minutes are since 1970, UTC."""

import datetime as dt
from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

from processors.intraday.counts import HOUR, LONGEST, WINDOWS
from processors.intraday.pages import (
    B_COLUMN,
    B_EXISTING_COLUMN,
    CARTS_COLUMN,
    S_COLUMN,
    S_EXISTING_COLUMN,
    Minutes,
    read_minutes,
)
from schemas.intraday import MinuteRecord, TrailingRecord

TRAILING: Final = WINDOWS[1:]
"""Minutes that the trailing figures are of: 5, an hour, a day."""


def hours_of(first: int, last: int) -> range:
    """Numbers of the hours whose pages say all of the minutes first … last."""
    return range(first // HOUR, last // HOUR + 1)


def hours_before(minute: int) -> range:
    """Numbers of the hours that the longest trailing figures of a minute need."""
    return hours_of(minute - LONGEST + 1, minute)


def series(scope: str, pages: Mapping[int, bytes], first: int, last: int) -> list[MinuteRecord]:
    """A record of each of the minutes first … last. Raises PageError."""
    minutes = read_minutes(pages, first, last)
    return [
        MinuteRecord(
            scope=scope,
            at=instant_of(first + i),
            s=int(row[S_COLUMN]),
            b=int(row[B_COLUMN]),
            carts=int(row[CARTS_COLUMN]),
            gmv_minor={currency: int(gmv[i]) for currency, gmv in sorted(minutes.gmv.items())},
        )
        for i, row in enumerate(minutes.counts)
    ]


def trailing(scope: str, pages: Mapping[int, bytes], minute: int) -> list[TrailingRecord]:
    """The trailing figures of a minute: of 5 minutes, an hour and a day. Raises PageError."""
    minutes = read_minutes(pages, minute - LONGEST + 1, minute)
    return [_trailing(scope, minutes, minute, window) for window in TRAILING]


def _trailing(scope: str, minutes: Minutes, minute: int, window: int) -> TrailingRecord:
    last, w = minutes.counts[-1], WINDOWS.index(window)
    s, b = int(last[S_COLUMN + w]), int(last[B_COLUMN + w])
    s_existing, b_existing = int(last[S_EXISTING_COLUMN + w - 1]), int(last[B_EXISTING_COLUMN + w - 1])
    return TrailingRecord(
        scope=scope,
        at=instant_of(minute),
        minutes=window,
        s=s,
        b=b,
        carts=int(minutes.counts[-window:, CARTS_COLUMN].sum()),
        gmv_minor={currency: int(gmv[-window:].sum()) for currency, gmv in sorted(minutes.gmv.items())},
        m=b / s if s else None,
        s_existing=s_existing,
        b_existing=b_existing,
        gmv_existing_minor={currency: int(gmv[-1, w - 1]) for currency, gmv in sorted(minutes.gmv_existing.items())},
        m_existing=b_existing / s_existing if s_existing else None,
    )


def same_minute(minute: int, date: dt.date, zone: str) -> int:
    """The minute that a zone's clock showed on another date when it shows this minute now.

    Where the clock skipped it, the minute that it would have been without the change.
    """
    local = dt.datetime.fromtimestamp(minute * 60, ZoneInfo(zone))
    return minute_of(dt.datetime.combine(date, local.time().replace(tzinfo=None), ZoneInfo(zone)))


def date_at(minute: int, zone: str) -> dt.date:
    """The date that a zone's calendar shows in a minute."""
    return dt.datetime.fromtimestamp(minute * 60, ZoneInfo(zone)).date()


def minute_of(instant: dt.datetime) -> int:
    """The minute of an instant, which has a zone."""
    return int(instant.timestamp()) // 60


def instant_of(minute: int) -> str:
    """First instant of a minute, RFC 3339 in UTC, to the millisecond.

    >>> instant_of(29_902_680)
    '2026-11-08T18:00:00.000Z'
    """
    return dt.datetime.fromtimestamp(minute * 60, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
