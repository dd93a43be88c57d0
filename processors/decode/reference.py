"""One record's bytes → one event, or why not: plain Python, the single authority on refusals and on every column.

The checks run in this order and the first that fails decides: the record's size, its JSON, then field by field in the
order of `schemas.event.FIELDS` (present? type? value?), then key, partition and age. How a field is read and checked
stands in `processors.decode.fields`; besides:

- **Known fields are held to their rule on every action** (a view with `"quantity":"2"` is `bad_type`), so that a field
  never means something else elsewhere. Unknown fields are ignored, whatever they hold.
- **Numbers:** purchase, cart and cart_remove have at least 1 piece; any other quantity may be 0 (a refund of money
  alone says so explicitly).
- **Age** (wall clock only) is judged against the append time; a record without one (negative) is not judged.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from processors.decode.columns import ABSENT
from processors.decode.fields import RefusedError, identifier, number, object_of, one_of, string, time_ms
from processors.decode.murmur import MURMUR2, partition_of
from schemas import event as form
from schemas.currency import CURRENCY_CODES
from schemas.event import ACTIONS, COUNTED_ACTIONS, NO_TOUCH, REQUIRED_BY_ACTION, TOUCHES, Action
from schemas.refusals import Code


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


_CHANNEL: Final = re.compile(form.CHANNEL_PATTERN)


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
    row = _event(object_of(value))
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
    event_id = identifier(fields, "event_id", required=True)
    action = _action(fields)
    user_id = identifier(fields, "user_id", required=True)
    event_ms = time_ms(fields, "event_time")
    shop_id = identifier(fields, "shop_id", required=True)
    item_id = identifier(fields, "item_id")
    category_id = identifier(fields, "category_id")
    brand_id = identifier(fields, "brand_id")
    channel = _channel(fields)
    required = REQUIRED_BY_ACTION.get(action, ())
    dwell_ms = number(fields, "dwell_ms", 0, form.DWELL_MS_MAX)
    touch = _touch(fields, required="touch" in required)
    identifier(fields, "source")
    quantity_min = 1 if action in COUNTED_ACTIONS else 0
    quantity = number(fields, "quantity", quantity_min, form.QUANTITY_MAX, required="quantity" in required)
    amount_minor = number(fields, "amount_minor", 0, form.AMOUNT_MINOR_MAX, required="amount_minor" in required)
    currency = _currency(fields, required="currency" in required)
    order_id = identifier(fields, "order_id", required="order_id" in required)
    line_id = identifier(fields, "line_id")
    if action in {Action.PURCHASE, Action.REFUND}:
        line_id = line_id or item_id or form.LINE_ID_DEFAULT
    if quantity == ABSENT and action in {Action.CART, Action.CART_REMOVE}:
        quantity = form.CART_QUANTITY_DEFAULT
    strings = (event_id, user_id, shop_id, item_id, category_id, brand_id, channel, currency, order_id, line_id)
    return EventRow(action, event_ms, quantity, amount_minor, dwell_ms, touch, tuple(text.encode() for text in strings))


# -- fields ------------------------------------------------------------------------------------------------------------


def _action(fields: dict[str, Any]) -> Action:
    return ACTIONS[one_of(fields, "action", ACTIONS, Code.UNKNOWN_ACTION, required=True)]


def _touch(fields: dict[str, Any], *, required: bool) -> int:
    word = one_of(fields, "touch", TOUCHES, Code.UNKNOWN_TOUCH, required=required)
    return TOUCHES[word] if word else NO_TOUCH


def _channel(fields: dict[str, Any]) -> str:
    channel = string(fields, "channel")
    if channel is None:
        return ""
    if len(channel) > form.ID_CHARS_MAX or not _CHANNEL.fullmatch(channel):
        raise RefusedError(Code.BAD_CHANNEL, "channel")
    return channel


def _currency(fields: dict[str, Any], *, required: bool) -> str:
    return one_of(fields, "currency", CURRENCY_CODES, Code.BAD_CURRENCY, required=required)
