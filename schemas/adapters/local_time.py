"""Local times as text to instants."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from schemas.adapters.rows import RowError
from schemas.event import EVENT_MS_MAX, EVENT_MS_MIN
from schemas.refusals import Code

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TEXT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?", re.ASCII)


def local_times(zone_name: str) -> Callable[[str], int]:
    """A reader of `YYYY-MM-DD HH:MM[:SS[.fff]]` in a zone → milliseconds since the epoch.

    A time that the clock shows twice (autumn) is the first one; one that it skips (spring) is as if it had not been
    put forward. The reader raises RowError (bad_time). It remembers the last texts: the rows of an order share one.
    """
    zone = ZoneInfo(zone_name)

    @lru_cache(maxsize=4096)
    def instant_ms(text: str) -> int:
        match = _TEXT.fullmatch(text)
        if match is None:
            raise RowError(Code.BAD_TIME, "event_time")
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
        try:
            local = dt.datetime(year, month, day, hour, minute, second, tzinfo=zone)
        except ValueError:
            raise RowError(Code.BAD_TIME, "event_time") from None
        milliseconds = int((match[7] or "")[:3].ljust(3, "0"))
        instant = (local - _EPOCH) // dt.timedelta(milliseconds=1) + milliseconds
        if not EVENT_MS_MIN <= instant <= EVENT_MS_MAX:
            raise RowError(Code.BAD_TIME, "event_time")
        return instant

    return instant_ms
