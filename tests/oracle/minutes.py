"""The figures of every minute by brute force: sets of users, minute by minute."""

import numpy as np

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
        """[minutes, 9] s, s_5, s_60, s_1440, b, b_5, b_60, b_1440, carts; and currency → GMV of each minute."""
        counts = np.zeros((last - first + 1, 9), np.int64)
        gmv = {}
        active = {(user, at) for user, at, shop, channel, item, _ in self.active if is_in(scope, shop, channel, item)}
        bought = set()
        for line in self.lines:
            if is_in(scope, line.day.shop, line.day.channel, line.day.item):
                at = line.at_ms // 60_000
                bought.add((line.day.user, at))
                if first <= at <= last:
                    gmv.setdefault(line.currency, np.zeros(len(counts), np.int64))[at - first] += line.amount_minor
        for column, facts in ((0, active), (4, bought)):
            for w, window in enumerate(WINDOWS):
                for user in {user for user, _ in facts}:
                    is_counted = np.zeros(len(counts), bool)
                    for _, at in [fact for fact in facts if fact[0] == user]:
                        is_counted[max(at - first, 0) : max(at + window - first, 0)] = True
                    counts[:, column + w] += is_counted
        carts = {
            (user, at, item)
            for user, at, shop, channel, item, is_cart in self.active
            if is_cart and is_in(scope, shop, channel, item) and first <= at <= last
        }
        for _, at, _ in carts:
            counts[at - first, 8] += 1
        return counts, {currency: series for currency, series in gmv.items() if series.any()}


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
