"""Factors of a scope and a period, counted user by user.

P = [F, T] with F = T - W + 1; a user is existing if they bought in the 365 dates before F. In a scope crossed with what
an event names (category, item, brand, channel) everything is counted within the cross; in one crossed with what a
profile names (group, power, age, gender) the users are those of the profile, and their class is that of the shop.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from tests.oracle.calendar import business_date, dates_between
from tests.oracle.event import read
from tests.oracle.ledger import Day, Ledger, Line

PROFILE_KINDS = ("group", "power", "age", "gender")
Place = tuple[str | None, str, str]
"""(shop, or None for all shops; kind, or "" without a cross; value)"""


@dataclass
class Seen:
    """All that happened in one scope, by date."""

    active_on: dict[dt.date, set[str]] = field(default_factory=lambda: defaultdict(set))
    lines_on: dict[dt.date, list[Line]] = field(default_factory=lambda: defaultdict(list))
    buyers_on: dict[dt.date, set[str]] = field(default_factory=lambda: defaultdict(set))
    currencies: set[str] = field(default_factory=set)
    """Of its counted lines, at whatever date and price."""


class Oracle:
    """Answers for any scope, window and date T, from all the records that were accepted.

    `profiles`: user → its newest profile, as {"group": …, "power": …, "age": …, "gender": …}, any of them absent.
    `listed`: item → the date of its listing. On it and the 29 days after it, it is a new item.
    """

    def __init__(
        self,
        records: Iterable[bytes],
        *,
        zones: Mapping[str, str] | None = None,
        default_zone: str = "Asia/Shanghai",
        profiles: Mapping[str, Mapping[str, str]] | None = None,
        listed: Mapping[str, dt.date] | None = None,
    ) -> None:
        zone_of = {shop: ZoneInfo(name) for shop, name in (zones or {}).items()}
        self.ledger = Ledger(map(read, records), zone_of, ZoneInfo(default_zone))
        self._default_zone = ZoneInfo(default_zone)
        self._profiles = profiles or {}
        self._listed = listed or {}
        self._seen: dict[tuple[bool, str], dict[Place, Seen]] = {}

    @property
    def greatest_event_date(self) -> dt.date:
        """The date of the newest event, in the default zone."""
        return business_date(self.ledger.greatest_event_ms, self._default_zone)

    def dates(self) -> list[dt.date]:
        """Every date on which anybody was active."""
        return sorted({day.date for day in self.ledger.days})

    def scopes(self, *kinds: str) -> list[str]:
        """The names of all scopes of these kinds that anything happened in.

        Kinds: shop, category, item, brand, channel, new, group, power, age, gender (within shops), market,
        market-category, brand-wide.
        """
        within = {"market": (False, ""), "market-category": (False, "category"), "brand-wide": (False, "brand")}
        names = set()
        for kind in kinds:
            if kind in PROFILE_KINDS:
                values = {(day.shop, self._profiles.get(day.user, {}).get(kind, "unknown")) for day in self.ledger.days}
                names |= {_name((shop, kind, value)) for shop, value in values}
                continue
            is_in_shop, cross = within.get(kind, (True, "" if kind == "shop" else kind))
            names |= {_name(place) for place in self._index(is_in_shop=is_in_shop, kind=cross)}
        return sorted(names)

    def counts(self, scope: str, window_days: int, as_of: dt.date) -> tuple[dict[str, int], dict[str, tuple[int, int]]]:
        """(counts by name, currency → (GMV, GMV of existing buyers)) of one scope and period."""
        seen, members = self._look(scope)
        first = as_of - dt.timedelta(days=window_days - 1)
        lookback = dates_between(first - dt.timedelta(days=365), first - dt.timedelta(days=1))
        period = dates_between(first, as_of)

        active = _union(seen.active_on, period)
        bought = _union(seen.buyers_on, period)
        existing = _union(seen.buyers_on, lookback)
        lines = [line for date in period for line in seen.lines_on.get(date, [])]
        currencies = seen.currencies
        if members is not None:
            active, bought = ({user for user in users if self._is_of(user, members)} for users in (active, bought))
            lines = [line for line in lines if self._is_of(line.day.user, members)]
            currencies = {
                line.currency for day in seen.lines_on.values() for line in day if self._is_of(line.day.user, members)
            }

        counts = {
            "s": len(active),
            "s_potential": len(active - bought - existing),
            "s_new": len((active & bought) - existing),
            "s_existing": len(active & existing),
            "b": len(bought),
            "b_new": len(bought - existing),
            "b_existing": len(bought & existing),
            "items": sum(line.quantity for line in lines),
            "buyer_days": len({(line.day.user, line.day.date) for line in lines}),
        }
        gmv, gmv_existing = Counter[str](), Counter[str]()
        for line in lines:
            gmv[line.currency] += line.amount_minor
            if line.day.user in existing:
                gmv_existing[line.currency] += line.amount_minor
        return counts, {currency: (gmv[currency], gmv_existing[currency]) for currency in sorted(currencies)}

    def records(self, scope: str, window_days: int, as_of: dt.date) -> list[dict[str, Any]]:
        """The factor records of one scope and period: one for each currency of the scope, "-" where it has none."""
        counts, money = self.counts(scope, window_days, as_of)
        head = {"kind": "factors", "scope": scope, "as_of": as_of.isoformat(), "window_days": window_days}
        return [
            head | counts | _figures(counts, currency, gmv, gmv_existing)
            for currency, (gmv, gmv_existing) in (money or {"-": (0, 0)}).items()
        ]

    def _is_of(self, user: str, members: tuple[str, str]) -> bool:
        kind, value = members
        return self._profiles.get(user, {}).get(kind, "unknown") == value

    def _look(self, scope: str) -> tuple[Seen, tuple[str, str] | None]:
        """What happened in the scope, and the (kind, value) that a user's profile must have, if any."""
        shop, kind, value = _place(scope)
        members = None
        if kind in PROFILE_KINDS:
            members, kind, value = (kind, value), "", ""
        return self._index(is_in_shop=shop is not None, kind=kind).get((shop, kind, value), Seen()), members

    def _index(self, *, is_in_shop: bool, kind: str) -> dict[Place, Seen]:
        """All scopes of one kind at once, built when first asked for."""
        if (is_in_shop, kind) not in self._seen:
            index: dict[Place, Seen] = defaultdict(Seen)
            for day in self.ledger.days:
                for value in self._values(day, kind):
                    index[day.shop if is_in_shop else None, kind, value].active_on[day.date].add(day.user)
            for line in self.ledger.purchases:
                for value in self._values(line.day, kind):
                    seen = index[line.day.shop if is_in_shop else None, kind, value]
                    seen.lines_on[line.day.date].append(line)
                    seen.buyers_on[line.day.date].add(line.day.user)
                    seen.currencies.add(line.currency)
            self._seen[is_in_shop, kind] = dict(index)
        return self._seen[is_in_shop, kind]

    def _values(self, day: Day, kind: str) -> list[str]:
        """The same, for what the event alone does not say."""
        if kind != "new":
            return _values(day, kind)
        since = self._listed.get(day.item or "")
        if since is None or day.channel is None or day.date not in dates_between(since, since + dt.timedelta(days=29)):
            return []
        return [day.channel.split("/")[0]]


def _values(day: Day, kind: str) -> list[str]:
    """Under which values of `kind` an event counts: none without one, two for a channel of two levels."""
    if kind == "":
        return [""]
    if kind == "channel":
        if day.channel is None:
            return []
        return sorted({day.channel.split("/")[0], day.channel})
    value = {"category": day.category, "item": day.item, "brand": day.brand}[kind]
    return [] if value is None else [value]


def _place(scope: str) -> Place:
    """The parts of a scope's name.

    >>> _place("shop=s%7C1|channel=organic/search"), _place("brand=b1"), _place("market|category=c1")
    (('s|1', 'channel', 'organic/search'), (None, 'brand', 'b1'), (None, 'category', 'c1'))
    """
    head, _, cross = scope.partition("|")
    if head.startswith("brand="):
        head, cross = "market", head
    kind, _, value = cross.partition("=")
    return (None if head == "market" else unquote(head.removeprefix("shop="))), kind, unquote(value)


def _name(place: Place) -> str:
    shop, kind, value = place
    if shop is None and kind == "brand":
        return f"brand={_escaped(value)}"
    head = "market" if shop is None else f"shop={_escaped(shop)}"
    value = value if kind == "channel" else _escaped(value)
    return f"{head}|{kind}={value}" if kind else head


def _escaped(text: str) -> str:
    for character in "%|=/":  # the percent sign first
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _union(users_on: Mapping[dt.date, set[str]], dates: list[dt.date]) -> set[str]:
    return set().union(*(users_on[date] for date in dates if date in users_on))


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _figures(counts: Mapping[str, int], currency: str, gmv: int, gmv_existing: int) -> dict[str, Any]:
    n = counts
    return {
        "currency": currency,
        "gmv_minor": gmv,
        "gmv_new_minor": gmv - gmv_existing,
        "gmv_existing_minor": gmv_existing,
        "m": _ratio(n["b"], n["s"]),
        "m_new": _ratio(n["b_new"], n["s_potential"] + n["s_new"]),
        "m_existing": _ratio(n["b_existing"], n["s_existing"]),
        "art_minor": _ratio(gmv, n["b"]),
        "art_new_minor": _ratio(gmv - gmv_existing, n["b_new"]),
        "art_existing_minor": _ratio(gmv_existing, n["b_existing"]),
        "a": _ratio(n["items"], n["b"]),
        "r": _ratio(n["buyer_days"], n["b"]),
    }
