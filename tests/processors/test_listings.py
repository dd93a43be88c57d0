"""Figures of new items equal the brute force, whenever the catalogue comes and however often it changes."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.calendar import day_of
from processors.decode.items import decode_item
from processors.partition import CoreConfig
from schemas.durable import DurableError
from schemas.scopes import Scope
from tests.core import (
    EVERYTHING,
    catalogue_of,
    contents,
    dates_around,
    differences,
    fold_into,
    new_partition,
    oracle_of,
    reloaded,
    today_of,
)
from tests.events import date, encode, purchase, refund, view
from tests.streams import (
    FIRST_DATES,
    cut,
    delivered,
    listings_of,
    seeded_listings,
    seeded_stream,
    small_streams,
)

exact = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
listings = st.sampled_from(FIRST_DATES).flatmap(lambda first: listings_of(["i1", "i2", "i3"], first))


def listed(item, day, at=1, shop="s1", **fields):
    """The record of an item that is listed on a day; None: nobody knows when."""
    since = date(day).isoformat() if day is not None else None
    return encode({"item_id": item, "updated_at": at, "shop_id": shop, "listed_on": since, **fields})


def mixed_into(partition, catalogue, values, items, seed):
    """Events and records of the catalogue, one among the other; also everything that is written on the way."""
    rng, changelog = random.Random(seed), {}
    steps = [("events", batch) for batch in cut(delivered(values, seed), seed)]
    steps += [("items", batch) for batch in cut(delivered(list(items), seed), seed)]
    rng.shuffle(steps)
    for what, batch in steps:
        if what == "events":
            fold_into(partition, batch)
        for record in batch if what == "items" else ():
            catalogue.note(decode_item(record))
        if rng.random() < 0.7:
            partition.follow_catalogue()
        changelog |= dict(partition.take_records())
    return changelog


def wrong(partition, oracle, seed, n):
    rng, scopes = random.Random(seed), ["shop=s1|new=organic", *oracle.scopes("new")]
    first, last = dates_around(oracle)
    asked = [(rng.choice(scopes), first + (last - first) * rng.random()) for _ in range(n)]
    asked += [(rng.choice(scopes), rng.choice(oracle.dates() or [first])) for _ in range(n)]
    return [text for scope, at in asked for text in differences(partition, oracle, scope, at, at)]


@exact
@given(small_streams(), listings, st.integers(0, 2**32))
def test_figures_of_new_items_are_exact_in_any_order(values, items, seed):
    oracle, catalogue = oracle_of(values, items=items), catalogue_of()
    partition = new_partition(today_of(oracle), catalogue=catalogue)
    mixed_into(partition, catalogue, values, items, seed)
    partition.follow_catalogue()
    assert wrong(partition, oracle, seed, 6) == []


@exact
@given(small_streams(), listings, listings, st.integers(0, 2**32))
def test_what_is_loaded_is_what_was_published_and_then_follows_the_catalogue(values, items, later, seed):
    oracle, catalogue = oracle_of(values, items=items), catalogue_of()
    today, around = today_of(oracle), dates_around(oracle)
    partition = new_partition(today, catalogue=catalogue)
    changelog = mixed_into(partition, catalogue, values, items, seed)
    for record in [encode({**decoded(one), "updated_at": 100 + n}) for n, one in enumerate(later)]:
        catalogue.note(decode_item(record))  # the catalogue has moved on by the time of the takeover
    loaded = reloaded({k: v for k, v in changelog.items() if v is not None}, today, catalogue=catalogue)
    assert contents(loaded, *around) == contents(partition, *around)
    assert list(loaded.take_records()) == []
    for one in (loaded, partition):
        one.follow_catalogue()
    assert contents(loaded, *around) == contents(partition, *around)
    after = dict(loaded.take_records())
    assert {k: v for k, v in partition.take_records() if k[:1] == b"N"} == {
        k: v for k, v in after.items() if k[:1] == b"N"
    }


def decoded(record):
    return {name: value for name, value in json.loads(record).items() if value is not None}


def test_a_long_seeded_stream_with_a_catalogue_is_exact():
    values, items = seeded_stream(3, 2_000), seeded_listings(3, 60)
    oracle, catalogue = oracle_of(values, items=items), catalogue_of()
    partition = new_partition(today_of(oracle), catalogue=catalogue)
    mixed_into(partition, catalogue, values, items, 3)
    partition.follow_catalogue()
    assert len(oracle.scopes("new")) > 5
    assert wrong(partition, oracle, 3, 60) == []


def new_users(partition, day, channel="organic"):
    at = day_of(date(day))
    return int(partition.counts(Scope("s1", "new", channel), at, at)[0, 0, 0])


def test_an_item_is_new_on_the_day_of_its_listing_and_29_days_more():
    where = {"item_id": "i1", "channel": "organic/search"}
    values = [encode(view(f"u{day}", day, **where)) for day in (0, 4, 5, 34, 35)]
    partition = new_partition(date(40), catalogue=catalogue_of([listed("i1", 5)]))
    fold_into(partition, values)
    assert [new_users(partition, day) for day in (0, 4, 5, 34, 35)] == [0, 0, 1, 1, 0]


def test_an_item_counts_as_new_by_what_is_known_and_its_past_moves_with_a_new_date():
    where = {"item_id": "i1", "channel": "organic"}
    catalogue = catalogue_of()
    partition = new_partition(date(60), catalogue=catalogue)
    fold_into(partition, [encode(view("u", 3, **where)), encode(purchase("u", 40, **where))])
    assert partition.unknown_items() == 1
    for at, (day, days) in enumerate([(0, [1, 0]), (20, [0, 1]), (None, [0, 0]), (3, [1, 0])]):
        catalogue.note(decode_item(listed("i1", day, at)))
        assert partition.follow_catalogue() == 1
        assert [new_users(partition, 3), new_users(partition, 40)] == days
    assert partition.unknown_items() == 0
    fold_into(partition, [encode(refund("u", 41, item_id="i1"))])
    catalogue.delete(b"i1")
    partition.follow_catalogue()
    assert (new_users(partition, 3), partition.unknown_items()) == (0, 1)


def test_nothing_moves_before_the_catalogue_has_been_read():
    catalogue, where = catalogue_of([listed("i1", 0)]), {"item_id": "i1", "channel": "organic"}
    partition = new_partition(date(9), catalogue=catalogue)
    fold_into(partition, [encode(view("u", 3, **where))])
    changelog = dict(partition.take_records())
    unread = type(catalogue)(100)
    loaded = reloaded(changelog, date(9), catalogue=unread)
    assert (loaded.follow_catalogue(), new_users(loaded, 3)) == (0, 1)
    unread.complete()
    assert (loaded.follow_catalogue(), new_users(loaded, 3)) == (1, 0)


def test_an_item_whose_only_record_is_bad_stays_as_it_was_counted():
    where = {"item_id": "i1", "channel": "organic"}
    partition = new_partition(date(9), catalogue=catalogue_of([listed("i1", 0)]))
    fold_into(partition, [encode(view("u", 3, **where))])
    changelog, after = dict(partition.take_records()), catalogue_of()
    after.note_unreadable(b"i1")
    loaded = reloaded(changelog, date(9), catalogue=after)
    assert (loaded.follow_catalogue(), new_users(loaded, 3)) == (0, 1)


def test_a_deployment_without_figures_of_new_items_keeps_no_dates():
    config = CoreConfig(**{**EVERYTHING.__dict__, "scopes": frozenset({"shop", "item"})})
    partition = new_partition(date(9), config, catalogue=catalogue_of([listed("i1", 0)]))
    fold_into(partition, [encode(view("u", 3, item_id="i1", channel="organic"))])
    assert partition.follow_catalogue() == 0
    assert not any(key[:1] == b"N" for key, _ in partition.take_records())


def test_a_damaged_record_of_listing_dates_is_told():
    partition = new_partition(date(9), catalogue=catalogue_of([listed("i1", 0)]))
    fold_into(partition, [encode(view("u", 3, item_id="i1"))])
    ((key, value),) = [(k, v) for k, v in partition.take_records() if k[:1] == b"N"]
    with pytest.raises(DurableError, match="wrong checksum"):
        new_partition(date(9)).load([key], [value[:-1] + bytes([value[-1] ^ 1])])
