"""The pages of all partitions add up to the figures of all users, in any order, also after floors have risen."""

import json
import random

import numpy as np
import pytest

from processors.aggregate import Aggregate
from processors.calendar import DAY_MS, date_of, day_of
from processors.decode.murmur import partition_of
from processors.figures import Provenance
from processors.pages import total_series
from processors.partition import CoreConfig, Partition
from schemas.durable import PublishedScope
from schemas.factors import NO_CURRENCY, record_key
from schemas.scopes import parse
from tests.core import decoded, fold_profiles_into
from tests.events import DAY_0, encode, purchase, view
from tests.streams import WINDOWS, ZONES, delivered, seeded_stream

PARTITIONS = 4
HORIZON_DAYS = 300
CONFIG = CoreConfig(
    windows=WINDOWS, scopes=frozenset({"shop", "market", "category"}), horizon_days=HORIZON_DAYS, activity_days=665,
    purchase_days=1029, max_users=10_000, max_names=10_000, max_products=10_000, max_rows=10_000,
)  # fmt: skip


class Log:
    """Partitions that take in a stream, and the compacted log of their pages."""

    def __init__(self):
        self.partitions = [Partition(CONFIG, 1, number=n, zone_of=ZONES.get) for n in range(PARTITIONS)]
        self.newest = {}
        self.today = 1

    def take_in(self, values):
        """Fold the values and publish what changed; returns the records that were published."""
        shares = [[] for _ in self.partitions]
        for value in values:
            shares[partition_of(json.loads(value)["user_id"].encode(), PARTITIONS)].append(value)
        published = []
        for partition, share in zip(self.partitions, shares, strict=True):
            if share:
                columns = decoded(share)
                partition.fold(columns)
                self.today = max(self.today, int(columns.event_ms.max()) // DAY_MS + 1)
        for partition in self.partitions:
            partition.advance(self.today)
            for _, key, value in partition.take_pages(partition.today + 1):
                published.append((key, value))
                self.newest.pop(key, None)
                if value is not None:
                    self.newest[key] = value
        return published

    def differences(self, aggregate):
        first = self.today - HORIZON_DAYS
        return [
            scope
            for scope in {key.decode().rsplit("|", 2)[0] for key in self.newest}
            if not np.array_equal(
                aggregate.series(scope, "", first, self.today),
                sum(partition.counts(parse(scope), first, self.today) for partition in self.partitions),
            )
        ]


@pytest.mark.parametrize("size", [40, 600])
def test_pages_add_up_after_every_batch_and_again_from_the_compacted_log(size):
    values = delivered(seeded_stream(3, 1_500, users=80, shops=3), 3)
    log, aggregate, rng = Log(), Aggregate(WINDOWS, HORIZON_DAYS), random.Random(size)
    for at in range(0, len(values), size):
        for key, value in log.take_in(values[at : at + size]):
            aggregate.apply(key, value)
        assert log.differences(aggregate) == []
    again = Aggregate(WINDOWS, HORIZON_DAYS)
    for key in rng.sample(sorted(log.newest), len(log.newest)):
        again.apply(key, log.newest[key])
    assert log.differences(again) == []


def test_figures_of_every_date_of_the_horizon_are_published_and_right():
    values = delivered(seeded_stream(4, 800, users=50, shops=2), 4)
    log, aggregate, shown = Log(), Aggregate(WINDOWS, HORIZON_DAYS), {}
    for at in range(0, len(values), 100):
        for key, value in log.take_in(values[at : at + 100]):
            aggregate.apply(key, value)
        for scope in aggregate.scopes():
            aggregate.advance(scope, log.today, log.today - 1)
            shown |= dict(aggregate.take(scope, log.today, Provenance()))
    first = log.today - HORIZON_DAYS
    wrong = []
    for scope in aggregate.scopes():
        counts = aggregate.series(scope, "", first, log.today)
        for i, k in np.argwhere(counts[:, 0] > 0).tolist():
            for currency in aggregate.currencies(scope) or [NO_CURRENCY]:
                record = shown.get(record_key(scope, WINDOWS[k], date_of(first + i).isoformat(), currency))
                found = (record.s, record.b, record.b_existing) if record else None
                if found != tuple(counts[i, [0, 2, 3], k].tolist()):
                    wrong.append((scope, WINDOWS[k], i - HORIZON_DAYS, found))
    assert wrong == []


def test_a_window_that_has_become_empty_says_so_at_the_next_date():
    log, aggregate = Log(), Aggregate(WINDOWS, HORIZON_DAYS)
    told = []
    for value, passed in ((encode(view("u1")), 0), (None, 7), (None, 1)):
        log.today, before = log.today + passed, log.today
        for key, page in log.take_in([value] if value else []):
            aggregate.apply(key, page)
        aggregate.advance("market", log.today, before if passed else 0)
        as_of = date_of(log.today).isoformat()
        made = [record for _, record in aggregate.take("market", log.today, Provenance()) if record.as_of == as_of]
        told.append({record.window_days: record.s for record in made})
    assert told[:2] == [{1: 1, 7: 1, 30: 1, 365: 1}, {1: 0, 7: 0, 30: 1, 365: 1}]
    assert 1 not in told[2]


def published_by(aggregate, scope, today):
    """What an owner publishes of a scope, and what it leaves to its successor."""
    aggregate.advance(scope, today, 0)
    figures = dict(aggregate.take(scope, today, Provenance()))
    return figures, PublishedScope(
        aggregate.since(scope), today, {n: page for n, page in aggregate.take_pages(scope) if page is not None}
    )


def test_a_successor_publishes_nothing_that_stands_as_it_should():
    log, owner, successor = Log(), Aggregate(WINDOWS, HORIZON_DAYS), Aggregate(WINDOWS, HORIZON_DAYS)
    for key, page in log.take_in(delivered(seeded_stream(5, 300, users=20, shops=2), 5)):
        owner.apply(key, page)
        successor.apply(key, page)
    successor.settle({scope: published_by(owner, scope, log.today)[1] for scope in owner.scopes()})
    assert successor.changed(crossed=False) == successor.changed(crossed=True) == []


def test_a_successor_takes_back_what_the_pages_no_longer_say():
    """A page was published, replaced by an empty one, and both were compacted away before anybody read them."""
    log, owner = Log(), Aggregate(WINDOWS, HORIZON_DAYS)
    for key, page in log.take_in([encode(purchase("u1", currency="CNY"))]):
        owner.apply(key, page)
    figures, left = published_by(owner, "market", log.today)
    successor = Aggregate(WINDOWS, HORIZON_DAYS)
    successor.settle({"market": left})
    taken = dict(successor.take("market", log.today, Provenance()))
    assert None not in figures.values()
    assert all(taken[key] is None for key in figures)  # no currency has a line any more
    assert {key.replace("|CNY", "|-") for key in figures} <= {key for key, one in taken.items() if one and one.s == 0}


def test_what_has_left_a_scope_is_not_left_in_its_total_pages():
    """Both users in a currency get other profiles, one before and one after the floors rise; after a restart in between
    the partition of the first has no row of the scope.
    """
    config = CoreConfig(**{**CONFIG.__dict__, "scopes": frozenset({"group"})})
    partitions = [Partition(config, day_of(DAY_0), number=n) for n in range(2)]
    aggregate, totals, scope = Aggregate(WINDOWS, HORIZON_DAYS), {}, "shop=s1|group=g1"

    def publish(today):
        for partition in partitions:
            partition.advance(today)
            for name, key, value in partition.take_pages(today + 1):
                if name.decode() == scope:
                    aggregate.apply(key, value)
        aggregate.advance(scope, today, today - 1)
        list(aggregate.take(scope, today, Provenance()))
        totals.update(aggregate.take_pages(scope))

    partitions[0].fold(decoded([encode(purchase("u", currency="JPY"))]))
    partitions[1].fold(decoded([encode(purchase("v", day, order=f"o{day}")) for day in (0, 500)]))
    partitions[1].fold(decoded([encode(purchase("w", currency="JPY"))]))
    fold_profiles_into(partitions[0], [encode({"user_id": "u", "updated_at": 1, "group": "g1"})])
    fold_profiles_into(partitions[1], [encode({"user_id": user, "updated_at": 1, "group": "g1"}) for user in "vw"])
    today = day_of(DAY_0) + 500
    publish(today)
    assert aggregate.currencies(scope) == ["CNY", "JPY"]
    today += 64
    publish(today)
    fold_profiles_into(partitions[0], [encode({"user_id": "u", "updated_at": 2, "group": "g2"})])
    publish(today)
    partitions[0].rebuild(today)
    partitions[0].forget_pages(1 << 20)
    publish(today + 64)
    assert aggregate.currencies(scope) == ["CNY", "JPY"]
    fold_profiles_into(partitions[1], [encode({"user_id": "w", "updated_at": 2, "group": "g2"})])
    publish(today + 64)
    assert aggregate.currencies(scope) == ["CNY"]
    kept = {number: page for number, page in totals.items() if page is not None}
    _, lines = total_series(kept, len(WINDOWS), "JPY", today + 64)
    assert not lines.any()
