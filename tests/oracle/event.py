"""Reads accepted native events into plain records, with a parser of its own. What is refused is not decided here."""

import datetime as dt
import json
import re
from typing import Any, NamedTuple

ACTIVE = frozenset({"view", "favourite", "share", "follow", "search", "like", "comment", "cart", "order", "purchase"})

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


class Event(NamedTuple):
    """One accepted event. `raw` is the record's own bytes, the last tie-break between versions."""

    event_id: str
    action: str
    user: str
    at_ms: int
    shop: str
    item: str | None
    category: str | None
    brand: str | None
    channel: str | None
    order: str | None
    line: str
    quantity: int | None
    amount_minor: int | None
    currency: str | None
    raw: bytes

    @property
    def version(self) -> tuple[int, bytes, bytes]:
        """The greatest version of a line, or of a refund, is the one that holds."""
        return self.at_ms, self.event_id.encode(), self.raw


def read(raw: bytes) -> Event:
    """The event that one record holds."""
    fields: dict[str, Any] = json.loads(raw)
    return Event(
        event_id=fields["event_id"],
        action=fields["action"],
        user=fields["user_id"],
        at_ms=instant_ms(fields["event_time"]),
        shop=fields["shop_id"],
        item=fields.get("item_id"),
        category=fields.get("category_id"),
        brand=fields.get("brand_id"),
        channel=fields.get("channel"),
        order=fields.get("order_id"),
        line=fields.get("line_id") or fields.get("item_id") or "1",
        quantity=fields.get("quantity"),
        amount_minor=fields.get("amount_minor"),
        currency=fields.get("currency"),
        raw=raw,
    )


def instant_ms(event_time: int | str) -> int:
    """Milliseconds since the epoch; anything finer is cut off.

    >>> instant_ms("1970-01-01T08:00:01.2599+08:00")
    1259
    """
    if isinstance(event_time, int):
        return event_time
    match = _RFC_3339.fullmatch(event_time)
    if match is None:
        message = f"no RFC 3339 time: {event_time!r}"
        raise ValueError(message)
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    local = dt.datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=dt.UTC)
    offset = dt.timedelta(hours=int(offset_hours or 0), minutes=int(offset_minutes or 0))
    utc = local + offset if sign == "-" else local - offset
    return (utc - _EPOCH) // dt.timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])
