"""Records of the catalogue: bytes → the item, or why not.

A worker reads a million of them when it starts. So a plainly good record is read by its struct; of every other one the
fields are looked at one by one, and these alone decide what is refused, and why.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import Any, Final

import msgspec

from processors.calendar import day_of
from processors.decode.columns import ABSENT
from processors.decode.fields import RefusedError, identifier, instant, number, object_of, one_of, string, time_ms
from schemas.currency import CURRENCY_CODES
from schemas.event import AMOUNT_MINOR_MAX, EVENT_MS_MAX, EVENT_MS_MIN, RECORD_BYTES_MAX
from schemas.item import PATH_LEVELS_MAX, Item, ItemRecord
from schemas.refusals import Code

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECODER: Final = msgspec.json.Decoder(ItemRecord)
_BRACKETS: Final = 8
"""So few that nothing is nested too deep."""
_LAST_DAY: Final = EVENT_MS_MAX // 86_400_000 + 1


def decode_item(value: bytes, key: bytes | None = None) -> Item:
    """The item of a record. Raises RefusedError; the first fault in the order of the fields decides.

    `key` None: the record comes from a file, its key is not checked. A tombstone is for whoever reads the topic.
    """
    item = _plainly_good(value) or _read(value)
    if key is not None and key != item.item_id:
        raise RefusedError(Code.KEY_MISMATCH, "item_id")
    return item


def _plainly_good(value: bytes) -> Item | None:
    """The item of a record in which nothing can be wrong; None for any other, good or not."""
    if len(value) > RECORD_BYTES_MAX or value.count(b"{") + value.count(b"[") > _BRACKETS:
        return None
    try:
        made = _DECODER.decode(value.decode())  # text: the struct would pass over bytes that are none
        if made.listed_on is not None:
            day_listed(made.listed_on)
    except ValueError:
        return None
    updated_ms = instant(made.updated_at) if isinstance(made.updated_at, str) else made.updated_at
    if updated_ms is None or not EVENT_MS_MIN <= updated_ms <= EVENT_MS_MAX:
        return None
    if (made.price_minor is None) != (made.currency is None):
        return None
    if made.currency is not None and made.currency not in CURRENCY_CODES:
        return None
    return Item(
        made.item_id.encode(),
        updated_ms,
        made.shop_id,
        made.category_path,
        made.listed_on,
        made.price_minor,
        made.currency,
        made.on_sale,
    )


def _read(value: bytes) -> Item:
    """The item of a record, its fields looked at one by one. Raises RefusedError."""
    if len(value) > RECORD_BYTES_MAX:
        raise RefusedError(Code.TOO_LARGE)
    fields = object_of(value)
    item_id = identifier(fields, "item_id", required=True).encode()
    updated_ms = time_ms(fields, "updated_at")
    shop_id = identifier(fields, "shop_id", required=True)
    path = _path(fields)
    listed_on = _date(fields, "listed_on")
    price_minor = number(fields, "price_minor", 0, AMOUNT_MINOR_MAX)
    of_currency = one_of(fields, "currency", CURRENCY_CODES, Code.BAD_CURRENCY)
    if (price_minor == ABSENT) != (not of_currency):
        raise RefusedError(Code.MISSING_FIELD, "currency" if price_minor != ABSENT else "price_minor")
    on_sale = fields.get("on_sale")
    if on_sale is not None and not isinstance(on_sale, bool):
        raise RefusedError(Code.BAD_TYPE, "on_sale")
    return Item(
        item_id,
        updated_ms,
        shop_id,
        path,
        listed_on,
        price_minor if price_minor != ABSENT else None,
        of_currency or None,
        on_sale is not False,
    )


@lru_cache(maxsize=1 << 14)
def day_listed(listed_on: str) -> int:
    """The day number of a listing date. Raises ValueError for a text that is no date of 1970 … 2099.

    >>> day_listed("1970-01-02")
    2
    """
    if not _DATE.fullmatch(listed_on):
        raise ValueError("is no date such as 2026-11-11")
    day = day_of(dt.date.fromisoformat(listed_on))
    if not 1 <= day <= _LAST_DAY:
        raise ValueError("is no date of 1970 to 2099")
    return day


def _date(fields: dict[str, Any], field: str) -> str | None:
    text = string(fields, field)
    if text is not None:
        try:
            day_listed(text)
        except ValueError:
            raise RefusedError(Code.BAD_TIME, field) from None
    return text


def _path(fields: dict[str, Any]) -> tuple[str, ...]:
    given = fields.get("category_path")
    if given is None:
        return ()
    if not isinstance(given, list):
        raise RefusedError(Code.BAD_TYPE, "category_path")
    if len(given) > PATH_LEVELS_MAX:
        raise RefusedError(Code.BAD_NUMBER, "category_path")
    for one in given:
        if one is None:
            raise RefusedError(Code.BAD_TYPE, "category_path")
        identifier({"category_path": one}, "category_path")
    return tuple(given)
