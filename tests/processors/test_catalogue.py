"""Of each item the newest record is in force; what a shop has on sale is counted; bad records are told by field."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.calendar import NO_DAY, day_of
from processors.catalogue import KEEP, Catalogue
from processors.decode import items as items_module
from processors.decode.fields import RefusedError
from processors.decode.items import decode_item
from processors.names import Names
from schemas.item import ItemRecord
from tests.events import date, encode

pure = settings(deadline=None, max_examples=200)
GOOD = {
    "item_id": "i1", "updated_at": "2026-03-01T00:00:00Z", "shop_id": "s1", "category_path": ["home", "kitchen", "c1"],
    "listed_on": "2026-02-01", "price_minor": 19900, "currency": "CNY", "on_sale": True,
}  # fmt: skip
either = st.sampled_from
records = st.fixed_dictionaries(
    {
        "item_id": either(["i1", "i2", "i3"]),
        "updated_at": either([1, 2, 3]),
        "shop_id": either(["s1", "s2"]),
        "listed_on": either([None, "2026-02-01", "2026-02-02"]),
        "category_path": either([[], ["a", "b"], ["a"]]),
        "price_minor": st.none(),
        "on_sale": st.booleans(),
    }
)


def catalogue_of(items):
    catalogue = Catalogue(100)
    for item in items:
        catalogue.note(item)
    return catalogue


def newest_of(items):
    newest = {}
    for item in items:
        known = newest.setdefault(item.item_id, item)
        newest[item.item_id] = max(known, item, key=lambda one: (one.updated_ms, one.digest()))
    return newest


def shown(catalogue, before=None):
    """What somebody has of the numbers of items on sale who is told of the changes."""
    told = dict(before or {})
    for one in catalogue.take_on_sale():
        known = {} if one.is_whole else dict(told[one.shop])
        told[one.shop] = {day: n for day, n in {**known, **one.by_day}.items() if n}
    return told


@pure
@given(st.lists(records, max_size=12), st.integers(0, 2**32))
def test_the_newest_record_is_in_force_whatever_the_order(made, seed):
    items = [decode_item(encode(one)) for one in made]
    arriving = items + items[:3]
    random.Random(seed).shuffle(arriving)
    catalogue, told = Catalogue(100), {}
    for item in arriving:
        catalogue.note(item)
        if seed % 3 == 0:
            told = shown(catalogue, told)
    newest = newest_of(items)
    assert {name: catalogue.item(name) for name in newest} == newest
    assert len(catalogue) == len(newest)
    on_sale = Counter(
        (one.shop_id, day_of(dt_of(one.listed_on)) if one.listed_on else NO_DAY)
        for one in newest.values()
        if one.is_on_sale
    )
    told = shown(catalogue, told)
    assert {(shop, day): n for shop, days in told.items() for day, n in days.items()} == on_sale
    for one in newest.values():
        assert catalogue.path(one.item_id) == one.path


def dt_of(text):
    return date(0).fromisoformat(text)


def test_a_record_is_read_as_it_was_written():
    made = ItemRecord(item_id="i", updated_at=5, shop_id="s", category_path=("a", "b"), listed_on="2026-02-28")
    item = decode_item(made.encode(), made.key())
    assert item.record() == made
    assert catalogue_of([item]).item(b"i") == item


def test_what_says_the_same_is_the_same_version():
    other = {**dict(reversed(GOOD.items())), "unknown": 1, "updated_at": "2026-03-01T08:00:00+08:00"}
    one, same = decode_item(encode(GOOD)), decode_item(encode(other))
    assert one.digest() == same.digest()
    catalogue = catalogue_of([one])
    assert catalogue.note(same)
    assert not catalogue.note(one._replace(updated_ms=one.updated_ms - 1))


def test_a_tombstone_forgets_until_a_newer_record_comes():
    item = decode_item(encode(GOOD))
    catalogue = catalogue_of([item])
    catalogue.delete(b"i1")
    catalogue.delete(b"i9")
    assert (catalogue.item(b"i1"), len(catalogue), shown(catalogue)) == (None, 0, {"s1": {}})
    assert not catalogue.note(item)
    assert catalogue.is_deleted(b"i1")
    newer = item._replace(updated_ms=item.updated_ms + 1)
    assert catalogue.note(newer)
    assert (catalogue.item(b"i1"), catalogue.is_deleted(b"i1"), len(catalogue)) == (newer, False, 1)


def test_a_dictionary_of_items_is_looked_up_at_once():
    catalogue, names = catalogue_of([decode_item(encode(GOOD))]), Names(10)
    catalogue.note_unreadable(b"bad")
    for name in (b"i0", b"i1", b"bad"):
        names.number(name)
    days = catalogue.listed(names.table, 2, 5)
    assert days.tolist() == [NO_DAY, day_of(dt_of("2026-02-01")), KEEP]
    assert catalogue.unknown(names.table, 2, 5) == 2
    assert days.dtype == np.int32


def test_items_beyond_the_bound_are_left_out():
    catalogue = Catalogue(2)
    told = [catalogue.note(decode_item(encode(GOOD | {"item_id": f"i{n}"}))) for n in range(4)]
    assert (told, len(catalogue)) == ([True, True, False, False], 2)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"item_id": None}, ("missing_field", "item_id")),
        ({"item_id": 7}, ("bad_type", "item_id")),
        ({"updated_at": None}, ("missing_field", "updated_at")),
        ({"updated_at": "yesterday"}, ("bad_time", "updated_at")),
        ({"shop_id": None}, ("missing_field", "shop_id")),
        ({"shop_id": ""}, ("bad_id", "shop_id")),
        ({"category_path": "c1"}, ("bad_type", "category_path")),
        ({"category_path": [None]}, ("bad_type", "category_path")),
        ({"category_path": [""]}, ("bad_id", "category_path")),
        ({"category_path": ["c"] * 17}, ("bad_number", "category_path")),
        ({"listed_on": "2026-02-30"}, ("bad_time", "listed_on")),
        ({"listed_on": "20260201"}, ("bad_time", "listed_on")),
        ({"listed_on": "1969-12-31"}, ("bad_time", "listed_on")),
        ({"listed_on": 1}, ("bad_type", "listed_on")),
        ({"price_minor": -1}, ("bad_number", "price_minor")),
        ({"price_minor": None}, ("missing_field", "price_minor")),
        ({"currency": None}, ("missing_field", "currency")),
        ({"currency": "XYZ"}, ("bad_currency", "currency")),
        ({"on_sale": "yes"}, ("bad_type", "on_sale")),
        ({"item_id": "i2"}, ("key_mismatch", "item_id")),
    ],
)
def test_a_bad_item_is_refused_with_its_field(change, refusal):
    with pytest.raises(RefusedError) as refused:
        decode_item(encode(GOOD | change), b"i1")
    assert (refused.value.code.value, refused.value.field) == refusal


@pytest.mark.parametrize(("value", "code"), [(b"", "not_json"), (b"[]", "not_json"), (b" " * 65_537, "too_large")])
def test_what_is_no_json_object_is_refused(value, code):
    with pytest.raises(RefusedError) as refused:
        decode_item(value, b"i1")
    assert refused.value.code.value == code


texts = st.sampled_from(["i", "", "é", "\u0000", "a" * 129, "2026-02-28", "2026-02-30", "CNY", "XYZ"])
anything = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.just(10**14), texts, st.lists(texts, max_size=2))


def told(decode, value):
    """The item, or why there is none."""
    try:
        return decode(value)
    except RefusedError as error:
        return error.code, error.field


@pure
@given(st.dictionaries(either([*GOOD, "other"]), anything, max_size=4))
def test_the_short_way_reads_nothing_else_than_the_long_one(change):
    value = encode(GOOD | change)
    long = told(items_module._read, value)
    assert items_module._plainly_good(value) in (None, long)
    assert told(decode_item, value) == long


def test_plainly_good_records_take_the_short_way():
    assert items_module._plainly_good(encode(GOOD)) == items_module._read(encode(GOOD))
