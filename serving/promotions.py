"""How far a promotion's phases have come, read from its minutes. Pure: a plan and pages in, records out."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from processors.intraday.counts import WINDOWS
from processors.intraday.pages import B_COLUMN, CARTS_COLUMN, S_COLUMN, read_minutes
from schemas.factors import Ratio
from schemas.promotion import Phase, PromotionRecord
from schemas.scopes import Scope
from serving.intraday import date_at, hours_of, instant_of, same_minute


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a phase."""

    value: int | None
    """None where distinct users of the phase are not known (yet)."""
    before: int | None
    """In the same minutes of the day that it is compared with, up to now."""
    target: int | None = None
    completion: Ratio | None = None


class PhaseRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="phase"):
    """What a phase has brought so far."""

    promotion_id: str
    scope: str
    phase: str
    state: Literal["coming", "running", "over"]
    start: str
    end: str
    compared_with: Annotated[str, Meta(description="First instant of what it is compared with.")]
    s: Reached
    b: Reached
    carts: Reached
    gmv_minor: dict[str, Reached]

    def encode(self) -> bytes:
        """Compact JSON in UTF-8."""
        return _ENCODER.encode(self)


class _Sums(NamedTuple):
    """What a range of minutes has brought."""

    counts: dict[str, int | None]
    gmv: dict[str, int]


_ENCODER: Final = msgspec.json.Encoder()


def scope_of(promotion: PromotionRecord) -> str:
    """The scope whose minutes tell of a promotion."""
    return Scope(promotion.shop_id).name


def hours_needed(promotion: PromotionRecord, now: int) -> set[int]:
    """Numbers of the hours whose pages say all of a promotion's phases up to the minute `now`."""
    return {
        hour
        for phase in promotion.phases
        for first, end in _ranges(promotion, phase, now)
        for hour in hours_of(first, end - 1)
        if end > first
    }


def phases(promotion: PromotionRecord, pages: Mapping[int, bytes], now: int) -> Iterator[PhaseRecord]:
    """A record of each phase at the minute `now`. Raises PageError."""
    for phase in promotion.phases:
        first, end = promotion.minutes(phase)
        own, other = (_figures(pages, *each, end - first) for each in _ranges(promotion, phase, now))
        targets = {"s": phase.s, "b": phase.b, "carts": phase.carts}
        counts = {name: _reached(own.counts[name], other.counts[name], to) for name, to in targets.items()}
        currencies = sorted({*own.gmv, *other.gmv, *([phase.currency] if phase.currency else [])})
        yield PhaseRecord(
            promotion_id=promotion.promotion_id,
            scope=scope_of(promotion),
            phase=phase.name,
            state="coming" if now < first else "running" if now < end else "over",
            start=instant_of(first),
            end=instant_of(end),
            compared_with=instant_of(_same(promotion, first)),
            gmv_minor={
                currency: _reached(
                    own.gmv.get(currency, 0),
                    other.gmv.get(currency, 0),
                    phase.gmv_minor if currency == phase.currency else None,
                )
                for currency in currencies
            },
            **counts,
        )


def _ranges(promotion: PromotionRecord, phase: Phase, now: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """First minute and the one after the last, of the phase up to now, and of the same minutes compared with."""
    first, end = promotion.minutes(phase)
    end = max(min(end, now + 1), first)
    other = _same(promotion, first)
    return (first, end), (other, other + end - first)


def _same(promotion: PromotionRecord, minute: int) -> int:
    date = date_at(minute, promotion.zone)
    return same_minute(minute, date.fromordinal(date.toordinal() - promotion.compare_days), promotion.zone)


def _figures(pages: Mapping[int, bytes], first: int, end: int, whole: int) -> _Sums:
    """Sums of the minutes first … end - 1; distinct users where they are all of a phase of `whole` minutes."""
    if end <= first:
        return _Sums({"s": None, "b": None, "carts": 0}, {})
    minutes = read_minutes(pages, first, end - 1)
    is_known = end - first == whole and whole in WINDOWS
    w = WINDOWS.index(whole) if is_known else 0
    counts = {
        "s": int(minutes.counts[-1, S_COLUMN + w]) if is_known else None,
        "b": int(minutes.counts[-1, B_COLUMN + w]) if is_known else None,
        "carts": int(minutes.counts[:, CARTS_COLUMN].sum()),
    }
    return _Sums(counts, {currency: int(gmv.sum()) for currency, gmv in minutes.gmv.items()})


def _reached(value: int | None, before: int | None, target: int | None) -> Reached:
    completion = value / target if target is not None and value is not None else None
    return Reached(value=value, before=before, target=target, completion=completion)
