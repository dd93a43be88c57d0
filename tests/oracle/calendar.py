"""Business dates: the calendar date of an instant in a shop's time zone."""

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@lru_cache(maxsize=1 << 16)
def business_date(at_ms: int, zone: ZoneInfo) -> dt.date:
    """The date on the calendar of `zone` at `at_ms` milliseconds since the epoch."""
    return (_EPOCH + dt.timedelta(milliseconds=at_ms)).astimezone(zone).date()


def dates_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every date from `first` to `last`, both included."""
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
