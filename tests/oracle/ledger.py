"""Joins accepted events, in whatever order, into active days and counted purchase lines.

A purchase line is (user, shop, order, line); its greatest version is the line, and every version leaves its active day.
A refund is (user, event id); its greatest version is the refund. Refunds act on the line's own date, and their sums are
clipped at the line. A line with nothing left of its quantity is no purchase at all.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from tests.oracle.calendar import business_date
from tests.oracle.event import ACTIVE, Event

Name = TypeVar("Name")


class Day(NamedTuple):
    """One user was active on one date, at one place."""

    user: str
    date: dt.date
    shop: str
    category: str | None
    item: str | None
    brand: str | None
    channel: str | None


class Line(NamedTuple):
    """What is left of a purchase line after its refunds; `quantity` 0 is no purchase any more."""

    day: Day
    quantity: int
    amount_minor: int
    currency: str
    at_ms: int


class Ledger:
    """What all events together say, whatever order they came in and however often."""

    def __init__(self, events: Iterable[Event], zones: Mapping[str, ZoneInfo], default_zone: ZoneInfo) -> None:
        self._zones, self._default_zone = zones, default_zone
        self.days: set[Day] = set()
        purchases: dict[tuple[str, str, str | None, str], Event] = {}
        refunds: dict[tuple[str, str], Event] = {}
        self.greatest_event_ms = -1
        for event in events:
            self.greatest_event_ms = max(self.greatest_event_ms, event.at_ms)
            if event.action in ACTIVE:
                self.days.add(self._day(event))
            if event.action == "purchase":
                _keep_greatest(purchases, (event.user, event.shop, event.order, event.line), event)
            if event.action == "refund":
                _keep_greatest(refunds, (event.user, event.event_id), event)

        refunds_of: dict[tuple[str, str, str | None, str], list[Event]] = {}
        for refund in refunds.values():
            refunds_of.setdefault((refund.user, refund.shop, refund.order, refund.line), []).append(refund)
        lines = [self._line(purchase, refunds_of.get(name, [])) for name, purchase in purchases.items()]
        self.purchases = [line for line in lines if line.quantity > 0]

    def _day(self, event: Event) -> Day:
        date = business_date(event.at_ms, self._zones.get(event.shop, self._default_zone))
        return Day(event.user, date, event.shop, event.category, event.item, event.brand, event.channel)

    def _line(self, purchase: Event, refunds: list[Event]) -> Line:
        assert purchase.quantity is not None
        assert purchase.amount_minor is not None
        assert purchase.currency is not None
        quantity, amount_minor = purchase.quantity, purchase.amount_minor
        for refund in refunds:
            if refund.currency not in {None, purchase.currency}:
                continue
            if refund.quantity is None and refund.amount_minor is None:
                quantity, amount_minor = quantity - purchase.quantity, amount_minor - purchase.amount_minor
            else:
                quantity, amount_minor = quantity - (refund.quantity or 0), amount_minor - (refund.amount_minor or 0)
        if quantity <= 0:
            quantity, amount_minor = 0, 0
        return Line(self._day(purchase), quantity, max(0, amount_minor), purchase.currency, purchase.at_ms)


def _keep_greatest(kept: dict[Name, Event], name: Name, event: Event) -> None:
    if name not in kept or kept[name].version < event.version:
        kept[name] = event
