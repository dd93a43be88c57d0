"""Figures counted the simple way: the users of a period are listed and compared, one scope, window and date at a time.

Nothing here is incremental, and nothing is shared with the range counters: it is what a running system is held to
(definitions §3). P = [T - W + 1, T]; a user is existing if they bought in the 365 dates before P. An item is new on the
day of its listing and on the 29 days after it (§4).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import date_of
from processors.evidence import (
    AMOUNT,
    BRAND,
    CATEGORY,
    CHANNEL_NAME,
    DAY,
    ITEM,
    MONEY,
    QUANTITY,
    SHOP,
    USER,
    Array,
    Evidence,
)
from processors.figures import Provenance, record
from schemas.factors import NO_CURRENCY, FactorRecord
from schemas.profile import ATTRIBUTES, MASKS, SHIFTS
from schemas.scopes import Scope

LOOKBACK_DAYS = 365
NEW_DAYS = 30
PLACES: dict[str, tuple[bool, str]] = {
    "shop": (True, ""),
    "category": (True, "category"),
    "item": (True, "item"),
    "brand": (True, "brand"),
    "channel": (True, "channel"),
    "new": (True, "new"),
    "market": (False, ""),
    "market-category": (False, "category"),
    "brand-wide": (False, "brand"),
    **{name: (True, name) for name in ATTRIBUTES},
}
"""Word for a kind of scopes → (within a shop, crossed with)."""
_COLUMN = {"item": ITEM, "category": CATEGORY, "brand": BRAND, "channel": CHANNEL_NAME, "new": CHANNEL_NAME}
_NAMES_OF = {"new": "channel"}
"""Whose names the values of a cross are, where they are not its own."""
_NOTHING = Provenance()
_REMEMBERED = 1 << 18
_USER_SHIFT = 32
_SHOP_SHIFT = 32
_VALUE_MASK = (1 << _SHOP_SHIFT) - 1


class _Seen(NamedTuple):
    """All that happened in one scope, in the order of days."""

    active: Array
    """[n, 2] day, user; each once."""
    bought: Array
    """[m, 2] day, user; each once."""
    paid: Array
    """[k, 5] day, user, currency, amount, quantity; added up by the first three."""
    last_line: dict[int, int]
    """Currency → the last day with a line."""

    def of(self, users: Array) -> "_Seen":
        """Only what these users did."""
        active, bought, paid = (rows[np.isin(rows[:, 1], users)] for rows in self[:3])
        return _Seen(active, bought, paid, _last_lines(paid))


class _Counted(NamedTuple):
    """One scope and period."""

    counts: list[int]
    """S, S_existing, B, B_existing, items, purchase days."""
    money: dict[int, tuple[int, int]]
    """Currency → GMV, GMV_existing."""
    last_line: dict[int, int]


class Recount:
    """Answers for any scope, window and date from all the evidence."""

    def __init__(self, evidence: Evidence, only: Iterable[Scope] | None = None) -> None:
        """only: nothing but these scopes will be asked for; what has happened elsewhere is left out."""
        self._numbers = evidence.numbers
        self._cells, self._lines = evidence.cells, evidence.lines
        self._listed = evidence.listed
        if only is not None:
            wanted = _by_kind(only)
            self._cells, self._lines = (self._within(facts, wanted) for facts in (self._cells, self._lines))
        self._indices: dict[tuple[bool, str], dict[int, tuple[Array, Array]]] = {}
        self._users = np.unique(np.concatenate([self._cells[:, USER], self._lines[:, USER]]))
        known = evidence.profiles
        self._codes = np.array([known.get(user, 0) for user in self._users.tolist()], np.int64)
        self._seen: tuple[Scope, _Seen] | None = None
        self._seen_of: tuple[Scope, _Seen] | None = None
        """The same of users of a profile."""
        self._counted: dict[tuple[Scope, int, int], _Counted] = {}

    def scopes(self, words: Iterable[str]) -> Iterator[Scope]:
        """Every scope of these kinds in which anything happened."""
        shops = self._numbers.names("shop")
        for word in words:
            is_in_shop, cross = PLACES[word]
            if cross in ATTRIBUTES:
                yield from self._profile_scopes(cross)
                continue
            places = [
                self._places(facts, is_in_shop=is_in_shop, cross=cross)[1] for facts in (self._cells, self._lines)
            ]
            values = (
                self._numbers.names(_NAMES_OF.get(cross, cross)) if cross else [""]
            )  # only now: first levels of channels are among them
            for place in np.unique(np.concatenate(places)).tolist():
                yield Scope(shops[place >> _SHOP_SHIFT] if is_in_shop else None, cross, values[place & _VALUE_MASK])

    def _profile_scopes(self, attribute: str) -> Iterator[Scope]:
        for shop in list(self.scopes(["shop"])):
            active = np.unique(self._look(shop).active[:, 1])
            values = self._values(attribute)[np.searchsorted(self._users, active)]
            for value in np.unique(values).tolist():
                yield Scope(shop.shop, attribute, ATTRIBUTES[attribute][value])

    def _values(self, attribute: str) -> Array:
        """Number of the attribute's value, for each of the users."""
        at = list(ATTRIBUTES).index(attribute)
        return self._codes >> SHIFTS[at] & MASKS[at]

    def last_day(self, scope: Scope) -> int:
        """The last day on which anybody was active in the scope; 0 without one."""
        active = self._look(scope).active
        return int(active[-1, 0]) if len(active) else 0

    def records(self, scope: Scope, window_days: int, day: int, *, lines_since: int = 0) -> list[FactorRecord]:
        """The records of one scope and period: one for each currency of the scope, "-" without; [] for zeros.

        Its currencies are those of its lines since a day.
        """
        counted = self._count(scope, window_days, day)
        if not any(counted.counts):
            return []
        names = self._numbers.names("currency")
        known = {
            names[number]: counted.money[number] for number, last in counted.last_line.items() if last >= lines_since
        }
        as_of = date_of(day).isoformat()
        return [
            record(scope.name, window_days, as_of, counted.counts, currency, amounts, _NOTHING)
            for currency, amounts in sorted((known or {NO_CURRENCY: (0, 0)}).items())
        ]

    def _count(self, scope: Scope, window_days: int, day: int) -> _Counted:
        """What is counted of one scope and period; remembered, for it is asked for several times."""
        key = scope, window_days, day
        if key not in self._counted:
            if len(self._counted) >= _REMEMBERED:
                self._counted.clear()
            self._counted[key] = _counted(self._look(scope), window_days, day)
        return self._counted[key]

    def _look(self, scope: Scope) -> _Seen:
        """What happened in a scope; the last one asked for is kept.

        In one crossed with profiles a user's class is that of the shop; as both are of the same user, it is enough to
        look at the users of that profile alone.
        """
        if scope.kind in ATTRIBUTES:
            if self._seen_of is None or self._seen_of[0] != scope:
                known = ATTRIBUTES[scope.kind]
                number = known.index(scope.value) if scope.value in known else -1
                users = self._users[self._values(scope.kind) == number]
                self._seen_of = scope, self._look(Scope(scope.shop)).of(users)
            return self._seen_of[1]
        if self._seen is None or self._seen[0] != scope:
            place = self._place(scope)
            found = np.zeros(0, np.int64), np.zeros(0, np.int64)
            if place is not None:
                index = self._index(is_in_shop=scope.shop is not None, cross=scope.kind)
                found = index.get(place, found)
            self._seen = scope, _seen(self._cells[found[0]], self._lines[found[1]])
        return self._seen[1]

    def _index(self, *, is_in_shop: bool, cross: str) -> dict[int, tuple[Array, Array]]:
        """Place → rows of cells, rows of lines; made when first asked for."""
        known = self._indices.get((is_in_shop, cross))
        if known is None:
            cells = self._rows(self._cells, is_in_shop=is_in_shop, cross=cross)
            lines = self._rows(self._lines, is_in_shop=is_in_shop, cross=cross)
            none = np.zeros(0, np.int64)
            known = {place: (cells.get(place, none), lines.get(place, none)) for place in cells.keys() | lines.keys()}
            self._indices[is_in_shop, cross] = known
        return known

    def _rows(self, facts: Array, *, is_in_shop: bool, cross: str) -> dict[int, Array]:
        """Place → rows of facts."""
        rows, places = self._places(facts, is_in_shop=is_in_shop, cross=cross)
        order = np.argsort(places, kind="stable")
        found, starts = np.unique(places[order], return_index=True)
        if not len(found):
            return {}
        return dict(zip(found.tolist(), np.split(rows[order], starts[1:]), strict=True))

    def _places(self, facts: Array, *, is_in_shop: bool, cross: str) -> tuple[Array, Array]:
        """(row, place) of facts, the place being shop and value. A channel of two levels counts in both; what names no
        value in none.
        """
        rows = np.arange(len(facts))
        values = facts[:, _COLUMN[cross]] if cross else np.zeros(len(facts), np.int64)
        if cross == "new":
            rows = np.flatnonzero(self._is_new(facts))
            values = self._first_levels()[values[rows]]
        if cross == "channel":
            first_level = self._first_levels()[values]
            is_second = first_level != values
            rows, values = np.concatenate([rows, rows[is_second]]), np.concatenate([values, first_level[is_second]])
        if cross:
            is_named = values != 0
            rows, values = rows[is_named], values[is_named]
        shops = facts[rows, SHOP] if is_in_shop else np.zeros(len(rows), np.int64)
        return rows, shops << _SHOP_SHIFT | values

    def _is_new(self, facts: Array) -> NDArray[np.bool_]:
        """Which facts are of an item that was new on their day, as their partition has it."""
        is_new = np.zeros(len(facts), np.bool_)
        for partition, listed in self._listed.items():
            own = np.flatnonzero(facts[:, USER] >> _USER_SHIFT == partition)
            days = np.zeros(len(self._numbers.names("item")), np.int64)
            days[list(listed.keys())] = list(listed.values())
            since = days[facts[own, ITEM]]
            is_new[own] = (since > 0) & (since <= facts[own, DAY]) & (facts[own, DAY] < since + NEW_DAYS)
        return is_new

    def _within(self, facts: Array, wanted: Mapping[tuple[bool, str], Sequence[Scope]]) -> Array:
        """The facts that count in any of the scopes."""
        is_wanted = np.zeros(len(facts), np.bool_)
        for (is_in_shop, cross), scopes in wanted.items():
            if not is_in_shop and not cross:
                return facts
            known = [place for scope in scopes if (place := self._place(scope)) is not None]
            rows, places = self._places(facts, is_in_shop=is_in_shop, cross=cross)
            is_wanted[rows[np.isin(places, known)]] = True
        return facts[is_wanted]

    def _place(self, scope: Scope) -> int | None:
        """The place of a scope; None where nothing has happened in it."""
        shop = self._numbers.find("shop", scope.shop) if scope.shop is not None else 0
        value = self._numbers.find(_NAMES_OF.get(scope.kind, scope.kind), scope.value) if scope.kind else 0
        return None if shop is None or value is None else shop << _SHOP_SHIFT | value

    def _first_levels(self) -> Array:
        """Number of a channel → number of its first level."""
        numbers = self._numbers
        return np.array([numbers.of("channel", name.split("/")[0]) for name in numbers.names("channel")], np.int64)


def _by_kind(scopes: Iterable[Scope]) -> dict[tuple[bool, str], list[Scope]]:
    found: dict[tuple[bool, str], list[Scope]] = {}
    for scope in scopes:
        one = Scope(scope.shop) if scope.kind in ATTRIBUTES else scope
        found.setdefault((one.shop is not None, one.kind), []).append(one)
    return found


def _seen(cells: Array, lines: Array) -> _Seen:
    keys, inverse = np.unique(lines[:, [DAY, USER, MONEY]], axis=0, return_inverse=True)
    sums = np.zeros((len(keys), 2), np.int64)
    np.add.at(sums, inverse.reshape(-1), lines[:, [AMOUNT, QUANTITY]])
    return _Seen(
        np.unique(cells[:, [DAY, USER]], axis=0),
        np.unique(lines[:, [DAY, USER]], axis=0),
        paid := np.concatenate([keys, sums], axis=1),
        _last_lines(paid),
    )


def _last_lines(paid: Array) -> dict[int, int]:
    """Currency → the last day with a line; rows are ascending by day."""
    return dict(zip(paid[:, 2].tolist(), paid[:, 0].tolist(), strict=True))


def _counted(seen: _Seen, window_days: int, day: int) -> _Counted:
    first = day - window_days + 1
    active, bought = _users(seen.active, first, day), _users(seen.bought, first, day)
    existing = _users(seen.bought, first - LOOKBACK_DAYS, first - 1)
    paid = _between(seen.paid, first, day)
    by_existing = np.isin(paid[:, 1], existing)
    counts = [
        len(active),
        len(np.intersect1d(active, existing)),
        len(bought),
        len(np.intersect1d(bought, existing)),
        int(paid[:, 4].sum()),
        len(_between(seen.bought, first, day)),
    ]
    money: dict[int, tuple[int, int]] = {}
    for currency in seen.last_line:
        own = paid[:, 2] == currency
        money[currency] = int(paid[own, 3].sum()), int(paid[own & by_existing, 3].sum())
    return _Counted(counts, money, seen.last_line)


def _between(rows: Array, first_day: int, last_day: int) -> Array:
    """Rows whose day, their first column, lies in first … last."""
    return rows[np.searchsorted(rows[:, 0], first_day) : np.searchsorted(rows[:, 0], last_day, "right")]


def _users(rows: Array, first_day: int, last_day: int) -> Array:
    """The different users of those rows."""
    return np.unique(_between(rows, first_day, last_day)[:, 1])
