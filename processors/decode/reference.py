"""One record's bytes → one event, or why not: plain Python, the single authority on refusals and on every column.

The checks run in this order and the first that fails decides: the record's size, its JSON, then field by field in the
order of `schemas.event.FIELDS` (present? type? value?), then key, partition and age. What the order and the edges are:

- **JSON.** UTF-8 without a byte order mark, one object, nothing but white space around it, `NaN` and `Infinity` are no
  numbers, nesting up to NESTING_MAX. Of a name that stands twice the last one counts. A tombstone is `not_json`.
- **null** is the same as absent: `missing_field` where the field is required, else nothing.
- **Known fields are held to their rule on every action** (a view with `"quantity":"2"` is `bad_type`), so that a field
  never means something else elsewhere. Unknown fields are ignored, whatever they hold.
- **Numbers** are JSON integers: `1.0`, `1e3`, `true` and `"1"` are `bad_type`. Purchase, cart and cart_remove have at
  least 1 piece; any other quantity may be 0 (a refund of money alone says so explicitly).
- **Ids** count Unicode characters; control characters are category Cc; a lone surrogate is no character: `bad_id`.
- **Time** is RFC 3339: `T` may be lower case or a space, `Z` lower case; `-00:00` is UTC; any number of fraction
  digits, cut off at the millisecond. A leap second (`:60` at the end of a UTC month) counts as the last millisecond of
  its minute, so that it keeps its date. The bounds hold for the instant in UTC. An integer out of bounds is `bad_time`.
- **Age** (wall clock only) is judged against the append time; a record without one (negative) is not judged.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any, Final, NamedTuple, NoReturn

from processors.decode.columns import ABSENT
from processors.decode.murmur import MURMUR2, partition_of
from schemas import event as form
from schemas.currency import CURRENCY_CODES
from schemas.event import ACTIONS, COUNTED_ACTIONS, NO_TOUCH, REQUIRED_BY_ACTION, TOUCHES, Action
from schemas.refusals import Code


class RefusedError(Exception):
    """The record is no event. `field` names what is at fault, "" for the record as a whole."""

    def __init__(self, code: Code, field: str = "") -> None:
        super().__init__(code, field)
        self.code = code
        self.field = field


class Place(NamedTuple):
    """Where a record lay, for the check that it lay where its key belongs."""

    partition: int
    partitions: int
    partitioner: str = MURMUR2


class EventRow(NamedTuple):
    """One accepted event: the values of the columns of `Decoded`, its strings as UTF-8 in the order of SPAN_FIELDS."""

    action: Action
    event_ms: int
    quantity: int
    amount_minor: int
    dwell_ms: int
    touch: int
    strings: tuple[bytes, ...]


_DAY_MS: Final = 86_400_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_NOT_IN_IDS: Final = re.compile("[\u0000-\u001f\u007f-\u009f\ud800-\udfff]")
_CHANNEL: Final = re.compile(form.CHANNEL_PATTERN)
_INT_DIGITS_MAX: Final = 20
"""Longer integers are beyond every limit; how long an int may be is then not the interpreter's business."""


def decode_record(
    value: bytes | None,
    *,
    key: bytes | None = None,
    place: Place | None = None,
    append_ms: int | None = None,
    wall_clock: bool = False,
) -> EventRow:
    """The event of one record, or RefusedError.

    `place` None: the record comes from a file, its key and partition are not checked. `append_ms` (milliseconds since
    the epoch) is read in wall-clock mode only.
    """
    if value is None:
        raise RefusedError(Code.NOT_JSON)
    if len(value) > form.RECORD_BYTES_MAX:
        raise RefusedError(Code.TOO_LARGE)
    row = _event(_object(value))
    user_id = row.strings[1]
    if place is not None:
        if key != user_id:
            raise RefusedError(Code.KEY_MISMATCH, "user_id")
        if partition_of(user_id, place.partitions, place.partitioner) != place.partition:
            raise RefusedError(Code.WRONG_PARTITION, "user_id")
    if wall_clock and append_ms is not None and append_ms >= 0:
        if row.event_ms > append_ms + form.TIME_AHEAD_MS_MAX:
            raise RefusedError(Code.TIME_AHEAD, "event_time")
        if row.event_ms < append_ms - form.TIME_BEHIND_MS_MAX:
            raise RefusedError(Code.TIME_TOO_OLD, "event_time")
    return row


def _event(fields: dict[str, Any]) -> EventRow:
    """All fields in the order of FIELDS: an argument list is evaluated from left to right, and so are these."""
    event_id = _id(fields, "event_id", required=True)
    action = _action(fields)
    user_id = _id(fields, "user_id", required=True)
    event_ms = _event_ms(fields)
    shop_id = _id(fields, "shop_id", required=True)
    item_id = _id(fields, "item_id")
    category_id = _id(fields, "category_id")
    brand_id = _id(fields, "brand_id")
    channel = _channel(fields)
    required = REQUIRED_BY_ACTION.get(action, ())
    dwell_ms = _number(fields, "dwell_ms", 0, form.DWELL_MS_MAX)
    touch = _touch(fields, required="touch" in required)
    _id(fields, "source")
    quantity_min = 1 if action in COUNTED_ACTIONS else 0
    quantity = _number(fields, "quantity", quantity_min, form.QUANTITY_MAX, required="quantity" in required)
    amount_minor = _number(fields, "amount_minor", 0, form.AMOUNT_MINOR_MAX, required="amount_minor" in required)
    currency = _currency(fields, required="currency" in required)
    order_id = _id(fields, "order_id", required="order_id" in required)
    line_id = _id(fields, "line_id")
    if action in {Action.PURCHASE, Action.REFUND}:
        line_id = line_id or item_id or form.LINE_ID_DEFAULT
    if quantity == ABSENT and action in {Action.CART, Action.CART_REMOVE}:
        quantity = form.CART_QUANTITY_DEFAULT
    strings = (event_id, user_id, shop_id, item_id, category_id, brand_id, channel, currency, order_id, line_id)
    return EventRow(action, event_ms, quantity, amount_minor, dwell_ms, touch, tuple(text.encode() for text in strings))


# -- JSON --------------------------------------------------------------------------------------------------------------


def _int(digits: str) -> int:
    if len(digits) > _INT_DIGITS_MAX:
        return -(10**_INT_DIGITS_MAX) if digits[0] == "-" else 10**_INT_DIGITS_MAX
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(parse_int=_int, parse_constant=_no_constant)


def _object(value: bytes) -> dict[str, Any]:
    """The JSON object of a value."""
    if _is_too_deep(value):
        raise RefusedError(Code.NOT_JSON)
    try:
        fields = _JSON.decode(value.decode())
    except ValueError:  # of the JSON, or of the UTF-8
        raise RefusedError(Code.NOT_JSON) from None
    if not isinstance(fields, dict):
        raise RefusedError(Code.NOT_JSON)
    return fields


def _is_too_deep(value: bytes) -> bool:
    """Is anything nested deeper than NESTING_MAX? Only right for JSON; what is none is refused alike."""
    if value.count(b"{") + value.count(b"[") <= form.NESTING_MAX:
        return False
    depth = 0
    in_string = escaped = False
    for byte in value:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            depth += 1
            if depth > form.NESTING_MAX:
                return True
        elif byte in b"}]":
            depth -= 1
    return False


# -- fields ------------------------------------------------------------------------------------------------------------


def _string(fields: dict[str, Any], field: str, *, required: bool) -> str | None:
    value = fields.get(field)
    if value is None:
        if required:
            raise RefusedError(Code.MISSING_FIELD, field)
        return None
    if not isinstance(value, str):
        raise RefusedError(Code.BAD_TYPE, field)
    return value


def _id(fields: dict[str, Any], field: str, *, required: bool = False) -> str:
    """The id, "" where absent."""
    value = _string(fields, field, required=required)
    if value is None:
        return ""
    if not 1 <= len(value) <= form.ID_CHARS_MAX or _NOT_IN_IDS.search(value):
        raise RefusedError(Code.BAD_ID, field)
    return value


def _action(fields: dict[str, Any]) -> Action:
    word = _string(fields, "action", required=True) or ""
    if word not in ACTIONS:
        raise RefusedError(Code.UNKNOWN_ACTION, "action")
    return ACTIONS[word]


def _touch(fields: dict[str, Any], *, required: bool) -> int:
    word = _string(fields, "touch", required=required)
    if word is None:
        return NO_TOUCH
    if word not in TOUCHES:
        raise RefusedError(Code.UNKNOWN_TOUCH, "touch")
    return TOUCHES[word]


def _channel(fields: dict[str, Any]) -> str:
    channel = _string(fields, "channel", required=False)
    if channel is None:
        return ""
    if len(channel) > form.ID_CHARS_MAX or not _CHANNEL.fullmatch(channel):
        raise RefusedError(Code.BAD_CHANNEL, "channel")
    return channel


def _currency(fields: dict[str, Any], *, required: bool) -> str:
    currency = _string(fields, "currency", required=required)
    if currency is None:
        return ""
    if currency not in CURRENCY_CODES:
        raise RefusedError(Code.BAD_CURRENCY, "currency")
    return currency


def _number(fields: dict[str, Any], field: str, low: int, high: int, *, required: bool = False) -> int:
    """The integer, ABSENT where there is none."""
    value = fields.get(field)
    if value is None:
        if required:
            raise RefusedError(Code.MISSING_FIELD, field)
        return ABSENT
    if type(value) is not int:  # a bool is an int to Python, not to JSON
        raise RefusedError(Code.BAD_TYPE, field)
    if not low <= value <= high:
        raise RefusedError(Code.BAD_NUMBER, field)
    return value


def _event_ms(fields: dict[str, Any]) -> int:
    """The event time in milliseconds since the epoch UTC."""
    value = fields.get("event_time")
    if value is None:
        raise RefusedError(Code.MISSING_FIELD, "event_time")
    if isinstance(value, str):
        instant_ms = instant(value)
    elif type(value) is int:
        instant_ms = value
    else:
        raise RefusedError(Code.BAD_TYPE, "event_time")
    if instant_ms is None or not form.EVENT_MS_MIN <= instant_ms <= form.EVENT_MS_MAX:
        raise RefusedError(Code.BAD_TIME, "event_time")
    return instant_ms


def instant(text: str) -> int | None:
    """Milliseconds since the epoch UTC of an RFC 3339 time with an offset, None where it is none.

    >>> instant("1970-01-01T08:00:00.0019+08:00"), instant("1970-01-01T00:00:00")
    (1, None)
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    offset_hour, offset_minute = int(match[9] or 0), int(match[10] or 0)
    if hour > 23 or minute > 59 or second > 60 or offset_hour > 23 or offset_minute > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None
    offset_minutes = (offset_hour * 60 + offset_minute) * (-1 if match[8] == "-" else 1)
    minute_ms = days * _DAY_MS + (hour * 60 + minute - offset_minutes) * 60_000
    if second == 60:
        return minute_ms + 59_999 if _ends_a_month(minute_ms) else None
    return minute_ms + second * 1000 + int(((match[7] or "") + "000")[:3])


def _ends_a_month(minute_ms: int) -> bool:
    """Is this the last minute of a UTC month, where alone a leap second can be?"""
    next_days, rest_ms = divmod(minute_ms + 60_000, _DAY_MS)
    ordinal = next_days + _EPOCH_ORDINAL
    return (
        rest_ms == 0 and date.min.toordinal() <= ordinal <= date.max.toordinal() and date.fromordinal(ordinal).day == 1
    )
