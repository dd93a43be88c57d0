"""What is told as restated is what the records of past dates say otherwise than the ones before them."""

from collections import defaultdict

import pytest

from processors.aggregate import Aggregate
from processors.calendar import date_of
from processors.figures import Provenance
from schemas.durable import PublishedScope
from schemas.restatements import FIGURES
from tests.events import encode, purchase, refund, view
from tests.processors.test_aggregate import HORIZON_DAYS, WINDOWS, Log
from tests.simulation.restatements import Seen, expected_of
from tests.streams import delivered, seeded_stream


@pytest.mark.parametrize(("seed", "size"), [(0, 40), (1, 100), (2, 200)])
def test_what_is_told_is_the_difference_between_successive_records(seed, size):
    values = delivered(seeded_stream(seed, 300, users=15, shops=2), seed)
    log, aggregate, seen, todays = Log(), Aggregate(WINDOWS, HORIZON_DAYS), defaultdict(Seen), {}
    compared = 0
    for at in range(0, len(values), size):
        for key, page in log.take_in(values[at : at + size]):
            aggregate.apply(key, page)
        for scope in aggregate.scopes():
            aggregate.advance(scope, log.today, todays.get(scope, 0))
            todays[scope] = log.today
            told = {
                (scope, one.window_days, one.currency, date_of(day).isoformat(), name): (was, now)
                for one in aggregate.restated(scope, log.today)
                for day, before, after in zip(one.days.tolist(), one.before.tolist(), one.after.tolist(), strict=True)
                for name, was, now in zip(FIGURES, before, after, strict=True)
                if was != now
            }
            records = list(aggregate.take(scope, log.today, Provenance()))
            assert told == expected_of(seen, records, {scope: date_of(log.today).isoformat()}, HORIZON_DAYS)
            assert aggregate.restated(scope, log.today) == []
            compared += len(told)
    assert compared > 100


def restated(aggregate, today):
    return [
        (one.window_days, one.currency, (one.days - today).tolist(), one.before[:, [0, 2, 6]].tolist(),
         one.after[:, [0, 2, 6]].tolist())
        for one in aggregate.restated("market", today)
    ]  # fmt: skip


def publish(log, aggregate, *events):
    for key, page in log.take_in([encode(event) for event in events]):
        aggregate.apply(key, page)
    told = restated(aggregate, log.today) if "market" in aggregate.scopes() else []
    aggregate.advance("market", log.today, log.today - 1)
    list(aggregate.take("market", log.today, Provenance()))
    return told


def test_today_and_dates_before_the_first_one_are_not_restated():
    log, aggregate = Log(), Aggregate(WINDOWS, HORIZON_DAYS)
    assert publish(log, aggregate, view("u1", day=100)) == []
    assert publish(log, aggregate, view("u2", day=100)) == []
    assert publish(log, aggregate, view("u1", day=40)) == []  # that was before anything was known
    assert publish(log, aggregate, view("u3", day=101)) == []
    told = publish(log, aggregate, view("u4", day=100))
    assert told == [(w, "-", [-1], [[2, 0, 0]], [[3, 0, 0]]) for w in WINDOWS]


def test_a_refund_restates_the_purchase_and_takes_its_currency_along():
    log, aggregate = Log(), Aggregate(WINDOWS, HORIZON_DAYS)
    publish(log, aggregate, purchase("u1", day=100, order="o1", amount=500))
    publish(log, aggregate, view("u1", day=102))
    told = publish(log, aggregate, refund("u1", day=102, order="o1"))
    assert told[:2] == [
        (1, "-", [-2], [[1, 1, 0]], [[1, 0, 0]]),
        (1, "CNY", [-2], [[1, 1, 500]], [[1, 0, 0]]),
    ]


def test_a_successor_tells_what_has_changed_since_its_predecessor_published():
    log, owner = Log(), Aggregate(WINDOWS, HORIZON_DAYS)
    publish(log, owner, view("u1", day=100), view("u1", day=103))
    left = PublishedScope(
        owner.since("market"), log.today, {n: page for n, page in owner.take_pages("market") if page is not None}
    )
    log.take_in([encode(view("u2", day=100))])
    successor = Aggregate(WINDOWS, HORIZON_DAYS)
    for key, page in log.newest.items():
        successor.apply(key, page)
    successor.settle({"market": left})
    (one, *_) = restated(successor, log.today)
    assert one == (1, "-", [-3], [[1, 0, 0]], [[2, 0, 0]])
