"""Restatements told are the differences between the values that were published one after another, and nothing else.

A figure counts as published from the first date on that its scope was ever given one: what is absent is zero.
"""

import datetime as dt
from collections import defaultdict
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple

from processors.calendar import date_of
from schemas.durable import PublishedFigures
from schemas.factors import decode_record
from schemas.restatements import FIGURES, decode_restatement
from schemas.store import restated_key
from schemas.topics import FACTORS_LIVE, FACTORS_RESTATEMENTS
from stream import restatements
from tests.simulation.broker import COMMITTED

_COUNTS = attrgetter(*FIGURES[:6])


class Shown(NamedTuple):
    """What is published of a scope, window and date."""

    counts: tuple = (0,) * 6
    money: dict = MappingProxyType({})


class Seen:
    """What readers have seen of a scope so far."""

    def __init__(self):
        self.shown = defaultdict(Shown)
        self.since = self.through = ""
        self.number = 0
        self.records = {}


def judge(simulation):
    """Problems found, in words."""
    scopes = defaultdict(Seen)
    for transaction, entries in _transactions(simulation):
        days = _days(entries[simulation.changelog])
        records = (
            (entry.key.decode(), decode_record(entry.value) if entry.value is not None else None)
            for entry in entries[FACTORS_LIVE]
        )
        expected = expected_of(scopes, records, days, simulation.config.horizon_days)
        told = {}
        for entry in entries[FACTORS_RESTATEMENTS]:
            record = decode_restatement(entry.value)
            scope = scopes[record.scope]
            scope.number += 1
            scope.records[scope.number] = entry.value
            if record.number != scope.number or entry.key != record.key.encode():
                yield f"restatement {record.number} of {record.scope} is number {scope.number}, key {entry.key}"
            for one in record.changes():
                told[record.scope, record.window_days, record.currency, *one[:2]] = one[2:]
        for key in sorted(expected.keys() | told.keys()):
            through = scopes[key[0]].through
            if key not in told and through and key[3] < earlier(through, simulation.config.horizon_days - 2):
                continue  # the horizon goes by the date of the easternmost zone, which may be two days on
            if expected.get(key) != told.get(key):
                yield (
                    f"restatement of {key} by {transaction.transactional_id}: told {told.get(key)}, "
                    f"should be {expected.get(key)}"
                )
    for name, scope in scopes.items():
        stored = {int(n): value for n, value in simulation.stored.get(restated_key(name), {}).items()}
        newest = dict(list(scope.records.items())[-len(stored) :]) if stored else {}
        if stored != newest or (len(stored) < restatements.KEPT and len(stored) < len(scope.records)):
            yield f"the store has restatements {sorted(stored)} of {name}, told were {len(scope.records)}"


def _transactions(simulation):
    """(committed transaction, topic → its entries), in order."""
    found = defaultdict(lambda: defaultdict(list))
    for (topic, _), log in sorted(simulation.broker.logs.items()):
        if topic in {FACTORS_LIVE, FACTORS_RESTATEMENTS, simulation.changelog}:
            for entry in log.history:
                if entry.transaction is not None and not entry.is_marker:
                    found[entry.transaction][topic].append(entry)
    return [(one, found[one]) for one in simulation.broker.transactions if one.state == COMMITTED]


def _days(changelog):
    """Scope → the date up to which it is said to have figures."""
    figures = PublishedFigures()
    for entry in changelog:
        if entry.key.startswith(b"PD"):
            figures.load(entry.key, entry.value)
    return {name: date_of(scope.day).isoformat() for name, scope in figures.scopes.items()}


def earlier(date, days):
    """The date so many days before."""
    return (dt.date.fromisoformat(date) - dt.timedelta(days=days)).isoformat()


def expected_of(scopes, live, days, horizon_days):
    """(scope, window, currency, date, figure) → (before, after) of the records published at once, which become what
    has been seen of `scopes`.

    live: (key, record or None); days: scope → the date up to which it has figures from now on.
    """
    moved = defaultdict(dict)
    for key, record in live:
        scope, window, as_of, currency = key.rsplit("|", 3)
        moved[scope, int(window), as_of][currency] = record
    expected, since = {}, defaultdict(set)
    for (name, window, as_of), records in moved.items():
        scope, today = scopes[name], days.get(name, scopes[name].through)
        was = scope.shown[window, as_of]
        if not any(records.values()) and records.keys() >= was.money.keys():
            # Forgotten, as dates before the horizon are. What is zero now is published as zero.
            scope.shown.pop((window, as_of), None)
            continue
        money = {currency: amounts for currency, amounts in was.money.items() if currency not in records}
        counts = was.counts
        for currency, record in records.items():
            if record is not None:
                counts = _COUNTS(record)
                money[currency] = record.gmv_minor, record.gmv_existing_minor
        scope.shown[window, as_of] = now = Shown(counts, money)
        if any(records.values()):
            since[name].add(as_of)
        if not (scope.since and scope.since <= as_of <= scope.through and as_of < today):
            continue
        gone = [currency for currency in was.money.keys() - money.keys() if any(was.money[currency])]
        if as_of < earlier(today, horizon_days):
            gone = []  # a currency that goes is taken back at every date, and told of those of the horizon
        for currency in [*money, *gone]:
            before, after = ((*one.counts, *one.money.get(currency, (0, 0))) for one in (was, now))
            for figure, old, new in zip(FIGURES, before, after, strict=True):
                if old != new:
                    expected[name, window, currency, as_of, figure] = old, new
    for name, dates in since.items():
        scopes[name].since = min(dates | ({scopes[name].since} - {""}))
    for name, day in days.items():
        scopes[name].through = day
    return expected
