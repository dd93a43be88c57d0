"""One owned partition of the pages of hours: pages of all source partitions in, hours of scopes out. Without I/O.

Every source partition publishes absolute pages, so the newest one of each, added up, is the hour of the scope
(docs/concepts/intraday.md). The topic is read from its start at each takeover; until it has been read to its end, sums
would lack somebody, so nothing is given out. Then every hour is once, the newest first, and what changes from then on.
"""

from collections import defaultdict
from typing import Final, NamedTuple

from processors.intraday.counts import HOUR
from processors.intraday.minutes import AHEAD_MINUTES
from processors.intraday.pages import add_hours, are_readable, encode_hour
from processors.pages import PageError, parse_page_key
from schemas.scopes import parse
from stream.transport.chunk import Chunk

HOURS_AT_A_TIME: Final = 2_000
"""Of a takeover: between two slices events go on."""
_OLDER_HOURS: Final = 48
"""Source partitions forget in steps of a day, and a day more than they publish: so much longer pages may still come."""
_GAP_HOURS: Final = 24
"""A scope may be silent for a day before it has no hours any more; so far apart may be two that it has."""


class Hour(NamedTuple):
    """An hour of a scope, over all partitions."""

    scope: str
    hour: int
    page: bytes | None
    """None where nothing is left in it."""


class HourPartition:
    """Hours of the scopes placed in one partition."""

    def __init__(self, *, kept_hours: int, history_hours: int) -> None:
        """kept_hours: so far back source partitions restate; history_hours: so long shops and the market are shown."""
        self._kept_hours = kept_hours + _OLDER_HOURS
        self._history_hours = history_hours
        self._scopes: dict[str, dict[int, dict[int, bytes]]] = defaultdict(dict)
        """Scope → hour → source partition → its newest page."""
        self._changed: dict[tuple[str, int], None] = {}
        self._unshown: dict[tuple[str, int], None] = {}
        """Hours that the store has lost, or may have."""
        self._first_hour = 0
        self._shown_hour: dict[str, int] = {}
        self._shown_minute = -1
        self.unreadable = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._scopes)

    def apply(self, chunk: Chunk) -> None:
        """Take in pages. One that cannot be read is counted and left out: its partition's owner publishes it again."""
        for key, value, is_readable in zip(chunk.keys, chunk.values, are_readable(chunk.values), strict=True):
            try:
                name, partition, hour = parse_page_key(key or b"")
            except PageError:
                is_readable = False  # noqa: PLW2901
            if not is_readable:
                self.unreadable += 1
                continue
            if hour < self._first_hour:
                continue
            scope = name.decode()
            parts = self._scopes[scope].setdefault(hour, {})
            self.bytes += len(value or b"") - len(parts.pop(partition, b""))
            if value is not None:
                parts[partition] = value
            self._changed[scope, hour] = None

    def collect(self, now_ms: int) -> list[Hour]:
        """Hours that have changed, the newest first, at most `HOURS_AT_A_TIME`; those that have not come wait."""
        self._forget(now_ms // 3_600_000 - self._kept_hours)
        through = (now_ms // 60_000 + AHEAD_MINUTES) // HOUR
        due = sorted((key for key in self._changed if key[1] <= through), key=lambda key: -key[1])[:HOURS_AT_A_TIME]
        for key in due:
            del self._changed[key]
            self._unshown.pop(key, None)
        return [self._hour(*key) for key in due]

    def collect_lost(self) -> list[Hour]:
        """Hours that are as they were, but the store has to be given them, at most `HOURS_AT_A_TIME`."""
        lost = list(self._unshown)[:HOURS_AT_A_TIME]
        for key in lost:
            del self._unshown[key]
        return [self._hour(*key) for key in lost]

    def refresh(self) -> None:
        """Give the store everything once more."""
        self._shown_hour.clear()
        self._shown_minute = -1
        self._unshown.update(
            ((scope, hour), None) for scope, hours in self._scopes.items() for hour in sorted(hours, reverse=True)
        )

    def is_new_hour(self, scope: str, hour: int) -> bool:
        """Whether the store has not been told of an hour as late as this of the scope; it is now."""
        is_new = hour > self._shown_hour.get(scope, -1)
        if is_new:
            self._shown_hour[scope] = hour
        return is_new

    def is_new_minute(self, minute: int) -> bool:
        """Whether the store has not been told that this minute has come; it is now."""
        is_new = minute != self._shown_minute
        self._shown_minute = minute
        return is_new

    def gone_with(self, scope: str, hour: int) -> range:
        """Hours that the store shows no more once it shows this one of the scope."""
        kept = self._history_hours if is_history(scope) else self._kept_hours
        return range(hour - kept - _GAP_HOURS, hour - kept)

    def _hour(self, scope: str, hour: int) -> Hour:
        parts = self._scopes.get(scope, {}).get(hour, {})
        return Hour(scope, hour, encode_hour(add_hours(parts.values())))

    def _forget(self, first_hour: int) -> None:
        if first_hour <= self._first_hour:
            return
        self._first_hour = first_hour
        for scope, hours in list(self._scopes.items()):
            for hour in [hour for hour in hours if hour < first_hour]:
                self.bytes -= sum(map(len, hours.pop(hour).values()))
                self._changed.pop((scope, hour), None)
                self._unshown.pop((scope, hour), None)
            if not hours:
                del self._scopes[scope]
                self._shown_hour.pop(scope, None)


def is_history(scope: str) -> bool:
    """Whether the minutes of a scope are kept to compare later ones with: those of shops and of the market."""
    return not parse(scope).kind


def hour_key(scope: str, hour: int) -> bytes:
    """Key of an hour in `intraday.minutes`.

    >>> hour_key("shop=s1", 498_600)
    b'shop=s1|498600'
    """
    return f"{scope}|{hour}".encode()
