"""The fields of a record's JSON object, read and checked: what events, profiles and catalogue records have in common.

- **JSON.** UTF-8 without a byte order mark, one object, nothing but white space around it, `NaN` and `Infinity` are no
  numbers, nesting up to NESTING_MAX. Of a name that stands twice the last one counts. A tombstone is `not_json`.
- **null** is the same as absent: `missing_field` where the field is required, else nothing.
- **Numbers** are JSON integers: `1.0`, `1e3`, `true` and `"1"` are `bad_type`.
- **Ids** count Unicode characters; control characters are category Cc; a lone surrogate is no character: `bad_id`.
- **Time** is RFC 3339: `T` may be lower case or a space, `Z` lower case; `-00:00` is UTC; any number of fraction
  digits, cut off at the millisecond. A leap second (`:60` at the end of a UTC month) counts as the last millisecond of
  its minute, so that it keeps its date. The bounds hold for the instant in UTC. An integer out of bounds is `bad_time`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from datetime import date
from typing import Any, Final, NoReturn

from processors.decode.columns import ABSENT
from schemas import event as form
from schemas.refusals import Code


class RefusedError(Exception):
    """The record is not what it should be. `field` names what is at fault, "" for the record as a whole."""

    def __init__(self, code: Code, field: str = "") -> None:
        super().__init__(code, field)
        self.code = code
        self.field = field


_DAY_MS: Final = 86_400_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_NOT_IN_IDS: Final = re.compile("[\u0000-\u001f\u007f-\u009f\ud800-\udfff]")
_INT_DIGITS_MAX: Final = 20
"""Longer integers are beyond every limit; how long an int may be is then not the interpreter's business."""


def _int(digits: str) -> int:
    if len(digits) > _INT_DIGITS_MAX:
        return -(10**_INT_DIGITS_MAX) if digits[0] == "-" else 10**_INT_DIGITS_MAX
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON: Final = json.JSONDecoder(parse_int=_int, parse_constant=_no_constant)


def object_of(value: bytes) -> dict[str, Any]:
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


def string(fields: dict[str, Any], field: str, *, required: bool = False) -> str | None:
    """The text, None where absent."""
    value = fields.get(field)
    if value is None:
        if required:
            raise RefusedError(Code.MISSING_FIELD, field)
        return None
    if not isinstance(value, str):
        raise RefusedError(Code.BAD_TYPE, field)
    return value


def identifier(fields: dict[str, Any], field: str, *, required: bool = False) -> str:
    """The id, "" where absent."""
    value = string(fields, field, required=required)
    if value is None:
        return ""
    if not 1 <= len(value) <= form.ID_CHARS_MAX or _NOT_IN_IDS.search(value):
        raise RefusedError(Code.BAD_ID, field)
    return value


def one_of(
    fields: dict[str, Any], field: str, known: Collection[str], otherwise: Code, *, required: bool = False
) -> str:
    """A word of a list, "" where absent; any other is refused with the code given."""
    word = string(fields, field, required=required)
    if word is None:
        return ""
    if word not in known:
        raise RefusedError(otherwise, field)
    return word


def number(fields: dict[str, Any], field: str, low: int, high: int, *, required: bool = False) -> int:
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


def time_ms(fields: dict[str, Any], field: str) -> int:
    """A required instant, in milliseconds since the epoch UTC."""
    value = fields.get(field)
    if value is None:
        raise RefusedError(Code.MISSING_FIELD, field)
    if isinstance(value, str):
        instant_ms = instant(value)
    elif type(value) is int:
        instant_ms = value
    else:
        raise RefusedError(Code.BAD_TYPE, field)
    if instant_ms is None or not form.EVENT_MS_MIN <= instant_ms <= form.EVENT_MS_MAX:
        raise RefusedError(Code.BAD_TIME, field)
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
