"""The figures of every minute by brute force: sets of users, minute by minute."""

import datetime as dt

import numpy as np

from tests.oracle.calendar import business_date
from tests.oracle.event import ACTIVE, read
from tests.oracle.ledger import Ledger

WINDOWS = (1, 5, 60, 1440)


class MinuteOracle:
    """What accepted record values say of minutes since 1970; in any order, any number of times."""

    def __init__(self, values, zones, default_zone):
        events = [read(value) for value in values]
        self.active = {
            (e.user, e.at_ms // 60_000, e.shop, e.channel, e.item, e.action == "cart")
            for e in events
            if e.action in ACTIVE
        }
        self._zones, self._default_zone = zones, default_zone
        self.lines = Ledger(events, zones, default_zone).purchases
        minutes = [fact[1] for fact in self.active]
        self.last = max(minutes, default=0)
        self.first = min(minutes, default=0)

    def scopes(self, words):
        found = set()
        for _, _, shop, channel, item, _ in self.active:
            found |= {each for each in (("shop", shop), ("market",)) if each[0] in words}
            if channel and "channel" in words:
                found.add(("channel", shop, channel.split("/")[0]))
            if item and "item" in words:
                found.add(("item", shop, item))
        return sorted(found)

    def figures(self, scope, first, last):
        """[minutes, 15] s, s_5, s_60, s_1440, b, b_5, b_60, b_1440, carts, the same trailing six of existing users; and
        currency → [minutes, 4] GMV of each minute, that of existing buyers in the trailing 5, 60 and 1440.
        """
        counts = np.zeros((last - first + 1, 15), np.int64)
        gmv = {}
        is_existing = self._existing(scope, first, last)
        active = {(user, at) for user, at, shop, channel, item, _ in self.active if is_in(scope, shop, channel, item)}
        bought = set()
        for line in self.lines:
            if is_in(scope, line.day.shop, line.day.channel, line.day.item):
                at = line.at_ms // 60_000
                bought.add((line.day.user, at))
                money = gmv.setdefault(line.currency, np.zeros((len(counts), 4), np.int64))
                for w, window in enumerate(WINDOWS):
                    covered = slice(max(at - first, 0), max(at + window - first, 0))
                    is_told = is_existing[line.day.user][covered] if w else np.ones(len(counts), bool)[covered]
                    money[covered, w] += line.amount_minor * is_told
        for column, facts in ((0, active), (4, bought)):
            for w, window in enumerate(WINDOWS):
                for user in {user for user, _ in facts}:
                    is_counted = np.zeros(len(counts), bool)
                    for _, at in [fact for fact in facts if fact[0] == user]:
                        is_counted[max(at - first, 0) : max(at + window - first, 0)] = True
                    counts[:, column + w] += is_counted
                    if w:
                        counts[:, (9 if column == 0 else 12) + w - 1] += is_counted & is_existing[user]
        carts = {
            (user, at, item)
            for user, at, shop, channel, item, is_cart in self.active
            if is_cart and is_in(scope, shop, channel, item) and first <= at <= last
        }
        for _, at, _ in carts:
            counts[at - first, 8] += 1
        return counts, {currency: series for currency, series in gmv.items() if series.any()}

    def _existing(self, scope, first, last):
        """User → [minutes] whether a line of theirs stands in the scope in the 365 dates before the minute's."""
        zone = self._default_zone if scope[0] == "market" else self._zones.get(scope[1], self._default_zone)
        # Offsets from UTC are whole quarters of an hour.
        dates = [
            date
            for quarter in range(first // 15, last // 15 + 1)
            for date in [business_date(quarter * 900_000, zone)] * 15
        ][first % 15 :][: last - first + 1]
        found = {}
        for user in {fact[0] for fact in self.active} | {line.day.user for line in self.lines}:
            bought = {
                line.day.date
                for line in self.lines
                if line.day.user == user and is_in(scope, line.day.shop, line.day.channel, line.day.item)
            }
            days = dt.timedelta(days=365)
            told = {date: any(date - days <= day < date for day in bought) for date in set(dates)}
            found[user] = np.array([told[date] for date in dates], bool)
        return found


def is_in(scope, shop, channel, item):
    kind, *values = scope
    if kind == "market":
        return True
    if shop != values[0]:
        return False
    if kind == "channel":
        return channel is not None and channel.split("/")[0] == values[1]
    return kind == "shop" or item == values[1]


def name_of(scope):
    kind, *values = scope
    if kind == "market":
        return "market"
    return f"shop={values[0]}" + (f"|{kind}={values[1]}" if kind != "shop" else "")
