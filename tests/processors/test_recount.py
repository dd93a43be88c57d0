"""The recount by which a running system is verified agrees with the brute force of the tests, from either source."""

import datetime as dt
import random

import numpy as np
import pytest

from processors.audit import unlike
from processors.calendar import Zones, day_of
from processors.decode.items import decode_item
from processors.decode.profiles import decode_profile
from processors.evidence import Evidence
from processors.recount import Recount
from schemas.durable import DurableError
from schemas.factors import FactorRecord
from schemas.scopes import parse
from tests.core import (
    EVERYTHING,
    catalogue_of,
    dates_around,
    decoded,
    fold_into,
    fold_profiles_into,
    new_partition,
    newest_listings,
    oracle_of,
    today_of,
)
from tests.events import encode, purchase, refund, view
from tests.streams import ALL_WORDS, WINDOWS, ZONES, delivered, seeded_listings, seeded_profiles, seeded_stream

PARTITIONS = 3


def by_user(values):
    """The values in three partitions."""
    parts = [[] for _ in range(PARTITIONS)]
    for value in values:
        parts[sum(value[value.index(b'"user_id":"') :][11:15]) % PARTITIONS].append(value)
    return parts


def from_events(parts, profiles=(), items=()):
    zones, evidence = Zones(), Evidence()
    listed = {item: day_of(date) for item, date in newest_listings(items).items()}
    read = [decode_profile(record) for record in profiles]
    for number, values in enumerate(parts):
        batches = [decoded(values[i : i + 100]) for i in range(0, len(values), 100)]
        evidence.put_events(
            number, batches, lambda shop, ms: zones.day_at(ZONES.get(shop, "Asia/Shanghai"), ms), read, listed
        )
    return evidence


def records_of(values, today, profiles=(), items=()):
    """The changelog of a partition that has taken in the values in three batches; newest record of each key."""
    catalogue = catalogue_of()
    partition = new_partition(today, EVERYTHING, catalogue=catalogue)
    newest = {}
    for i in range(3):
        for item in items[i::3]:
            catalogue.note(decode_item(item))
        partition.follow_catalogue()
        fold_profiles_into(partition, profiles[i::3])
        fold_into(partition, values[i::3])
        newest |= dict(partition.take_records())
    return {key: value for key, value in newest.items() if value is not None}


def from_ledgers(parts, today, profiles=(), items=()):
    evidence = Evidence()
    for number, values in enumerate(parts):
        evidence.put_ledgers(number, records_of(values, today, profiles, items))
    return evidence


@pytest.mark.parametrize("source", ["events", "ledgers"])
def test_a_recount_is_the_brute_force(source):
    values = seeded_stream(5, 2_000, users=60, shops=4)
    profiles, items = seeded_profiles(5, 200, users=60), seeded_listings(5, 20)
    oracle, rng = oracle_of(values, profiles=profiles, items=items), random.Random(1)
    parts, today = by_user(values), today_of(oracle)
    is_of_events = source == "events"
    recount = Recount(
        from_events(parts, profiles, items) if is_of_events else from_ledgers(parts, today, profiles, items)
    )
    scopes = oracle.scopes(*ALL_WORDS)
    assert sorted(scope.name for scope in recount.scopes(sorted(ALL_WORDS))) == scopes
    first, last = dates_around(oracle)
    compared = 0
    for scope in ["market", "shop=s1", *rng.sample(scopes, 30), *oracle.scopes("new")[:3]]:
        for _ in range(6):
            date = first + (last - first) * rng.random()
            for window_days in WINDOWS:
                told = {r.currency: r for r in recount.records(parse(scope), window_days, day_of(date))}
                expected = {r["currency"]: r for r in oracle.records(scope, window_days, date) if r["s"] or r["b"]}
                assert told.keys() <= expected.keys()
                for currency, record in expected.items():
                    compared += 1
                    got = {name: getattr(told[currency], name) for name in record if name != "kind"}
                    assert got == {name: value for name, value in record.items() if name != "kind"}
    assert compared > 300


def test_evidence_of_ledgers_is_that_of_the_events():
    values = [
        encode(made)
        for made in (
            view("u1", day=1, item_id="i1", category_id="c|1", channel="organic/search"),
            purchase("u1", day=2, order="o1", amount=100, quantity=2),
            purchase("u1", day=3, order="o1", amount=90, quantity=2),
            refund("u1", day=40, order="o1", quantity=1),
            purchase("u2", day=2, order="o2", currency="USD"),
            refund("u2", day=2, order="o2"),
        )
    ]
    today = today_of(oracle_of(values))
    for evidence in (from_events([values]), from_ledgers([values], today)):
        recount = Recount(evidence)
        (record,) = recount.records(parse("shop=s1"), 7, day_of(today) - 37)
        assert (record.s, record.b, record.items, record.gmv_minor, record.currency) == (2, 1, 1, 90, "CNY")
        assert len(np.unique(evidence.lines[:, 0])) == 1


def test_a_segment_that_has_been_damaged_is_told():
    records = records_of([encode(view("u1"))], today_of(oracle_of([encode(view("u1"))])))
    key = next(key for key in records if key.startswith(b"L"))
    records[key] = records[key][:-9] + b"\xff" + records[key][-8:]
    with pytest.raises(DurableError, match="wrong checksum"):
        Evidence().put_ledgers(0, records)


def test_records_that_differ_are_told_in_words():
    one = FactorRecord(scope="market", as_of="2026-03-01", window_days=1, s=2, computed_at="then")
    other = FactorRecord(scope="market", as_of="2026-03-01", window_days=1, s=3, computed_at="now")
    assert unlike(one, other) == ["s is 3, should be 2"]
    assert unlike(one, None) == ["missing"]
    assert unlike(None, one) == ["should not be there"]
    assert unlike(None, FactorRecord(scope="market", as_of="2026-03-01", window_days=1)) == []


def test_scopes_in_which_nobody_bought_are_counted_too():
    recount = Recount(from_events([[encode(view("u1", category_id="c1"))]]))
    assert sorted(scope.name for scope in recount.scopes(["brand", "category", "market"])) == [
        "market",
        "shop=s1|category=c1",
    ]
    (record,) = recount.records(parse("market"), 1, day_of(dt.date(2026, 3, 1)))
    assert (record.s, record.b, record.currency) == (1, 0, "-")
    assert Recount(Evidence()).records(parse("market"), 1, 20_000) == []


def test_evidence_that_is_followed_is_that_of_the_newest_records():
    """Users are read anew as their segments change; refunds, newer versions and new names come late."""
    values = delivered(seeded_stream(8, 300, users=15, shops=2), 8)
    oracle, profiles = oracle_of(values), seeded_profiles(8, 60, users=15)
    partition, newest, followed = new_partition(today_of(oracle), EVERYTHING), {}, Evidence()
    rng, compared = random.Random(2), 0
    for at in range(0, len(values), 60):
        fold_into(partition, values[at : at + 60])
        fold_profiles_into(partition, profiles[at // 6 : at // 6 + 10])
        changed = dict(partition.take_records())
        newest = {key: value for key, value in (newest | changed).items() if value is not None}
        followed.put_ledgers(0, newest, changed)
        whole = Evidence()
        whole.put_ledgers(0, newest)
        one, other = Recount(followed), Recount(whole)
        scopes = sorted(one.scopes(sorted(ALL_WORDS)), key=str)
        assert scopes == sorted(other.scopes(sorted(ALL_WORDS)), key=str)
        asked = rng.sample(scopes, min(15, len(scopes)))
        only = Recount(followed, asked)
        first, last = dates_around(oracle)
        for scope in asked:
            for window_days in (1, 30, 365):
                day = day_of(first + (last - first) * rng.random())
                told = one.records(scope, window_days, day)
                assert told == other.records(scope, window_days, day) == only.records(scope, window_days, day)
                compared += len(told)
    assert compared > 50
