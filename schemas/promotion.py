"""A promotion as its shop plans it: named phases with their targets (topic `promotions`, key: promotion id).

A phase is a range of instants, from `start` up to but not including `end`. Both are RFC 3339; without an offset they
are what the clocks of `zone` show. What is wrong with a record is said by a code of the closed list of refusals.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from schemas.control import DEFAULT_ZONE, zone_names
from schemas.currency import CURRENCY_CODES
from schemas.event import AMOUNT_MINOR_MAX, Id
from schemas.refusals import Code

PHASES_MAX: Final = 50
DISTINCT_MINUTES: Final = (5, 60, 1440)
"""Distinct users are known of phases that last so many minutes."""

Target = Annotated[int, Meta(gt=0)]
Instant = Annotated[str, Meta(description="RFC 3339; without an offset in the promotion's zone.")]


class ControlError(ValueError):
    """A control record that is refused: why (a refusal code), and the field at fault."""

    def __init__(self, code: Code, field: str, reason: str) -> None:
        super().__init__(f"{code.value}: {field}: {reason}" if field else f"{code.value}: {reason}")
        self.code = code
        self.field = field


class Phase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named range of a promotion, such as pre-heat, deposit, midnight or return, with what it shall reach.

    Targets of GMV and cart adds go with any phase; those of S and B, which count distinct users, with one that lasts 5
    minutes, an hour or a day.
    """

    name: Id
    start: Instant
    end: Instant
    s: Target | None = None
    b: Target | None = None
    carts: Target | None = None
    gmv_minor: Annotated[int, Meta(gt=0, le=AMOUNT_MINOR_MAX)] | None = None
    currency: Annotated[str | None, Meta(description="ISO 4217, of gmv_minor.")] = None


class PromotionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A promotion of a shop, or of the market where `shop_id` is absent.

    `compare_days` earlier lies the day whose same minutes it is compared with (365: the year before).
    """

    promotion_id: Id
    phases: Annotated[list[Phase], Meta(min_length=1, max_length=PHASES_MAX)]
    shop_id: Id | None = None
    title: Annotated[str, Meta(max_length=200)] = ""
    zone: Annotated[str, Meta(description="IANA time zone of instants without an offset.")] = DEFAULT_ZONE
    compare_days: Annotated[int, Meta(ge=1, le=3_650)] = 1

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)

    def key(self) -> bytes:
        """The record key: the promotion id."""
        return self.promotion_id.encode()

    def minutes(self, phase: Phase) -> tuple[int, int]:
        """First minute of a phase and the first one after it, since 1970 UTC."""
        return minute_at(phase.start, self.zone), minute_at(phase.end, self.zone)


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(PromotionRecord)
_FIELD: Final = re.compile(r"`\$\.?([^`]*)`")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")


def decode_promotion(value: bytes, key: bytes | None = None) -> PromotionRecord:
    """The promotion of its JSON; its key is looked at where one is given. Raises ControlError."""
    try:
        record = _DECODER.decode(value)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ControlError(Code.NOT_JSON, "", str(error)) from None
    if key is not None and key != record.key():
        raise ControlError(Code.KEY_MISMATCH, "promotion_id", "the record's key is not its promotion_id")
    if record.zone not in zone_names():
        raise ControlError(Code.BAD_TIME, "zone", f"{record.zone!r} is not an IANA time zone")
    if len({phase.name for phase in record.phases}) < len(record.phases):
        raise ControlError(Code.BAD_ID, "phases", "two phases have one name")
    for n, phase in enumerate(record.phases):
        _check_phase(record, phase, f"phases[{n}]")
    return record


def minute_at(text: str, zone: str) -> int:
    """Minute since 1970 UTC of an instant. Raises ValueError for a text that is none."""
    instant = dt.datetime.fromisoformat(text)
    return int((instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(zone))).timestamp()) // 60


def _check_phase(record: PromotionRecord, phase: Phase, where: str) -> None:
    for name in ("start", "end"):
        try:
            instant = dt.datetime.fromisoformat(getattr(phase, name))
        except ValueError:
            raise ControlError(Code.BAD_TIME, f"{where}.{name}", "is no time such as 2026-11-11T00:00") from None
        if instant.second or instant.microsecond:
            raise ControlError(Code.BAD_TIME, f"{where}.{name}", "a phase begins and ends with a minute")
    first, end = record.minutes(phase)
    if end <= first:
        raise ControlError(Code.BAD_TIME, f"{where}.end", "is not after its start")
    if (phase.gmv_minor is None) != (phase.currency is None):
        raise ControlError(Code.MISSING_FIELD, f"{where}.currency", "gmv_minor and currency go together")
    if phase.currency is not None and phase.currency not in CURRENCY_CODES:
        raise ControlError(Code.BAD_CURRENCY, f"{where}.currency", "is not an ISO 4217 code")
    if (phase.s is not None or phase.b is not None) and end - first not in DISTINCT_MINUTES:
        name = "s" if phase.s is not None else "b"
        raise ControlError(
            Code.BAD_NUMBER,
            f"{where}.{name}",
            "distinct users are counted of phases that last 5 minutes, an hour or 24 hours, "
            f"this one lasts {end - first:,} minutes: leave the target out, or give it to a phase of that length",
        )


def _refused(reason: str) -> ControlError:
    """The code for what the decoder says."""
    at = _FIELD.search(reason)
    missing = _MISSING.search(reason)
    if missing:
        parent = f"{at[1]}." if at and at[1] else ""
        return ControlError(Code.MISSING_FIELD, parent + missing[1], reason)
    field = at[1] if at else ""
    if "Expected `int`" in reason and ("<" in reason or ">" in reason):
        return ControlError(Code.BAD_NUMBER, field, reason)
    if "length" in reason or "regex" in reason:
        return ControlError(Code.BAD_ID, field, reason)
    return ControlError(Code.BAD_TYPE, field, reason)
