"""The core's figures equal the brute force for every scope, window, class and T, whatever order events come in."""

import datetime as dt
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.calendar import date_of
from processors.partition import CoreConfig
from tests.core import (
    EVERYTHING,
    KINDS,
    contents,
    dates_around,
    differences,
    fold_into,
    folded,
    newest,
    oracle_of,
    reloaded,
    today_of,
)
from tests.events import date, encode, purchase, refund, view
from tests.streams import ALL_WORDS, WINDOWS, cut, delivered, seeded_stream, small_streams

exact = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def asked(oracle, seed, n, kinds=KINDS):
    """(scope, T) at random: T near what happened, and near the edges of windows and lookbacks after it."""
    rng = random.Random(seed)
    scopes, dates = [*oracle.scopes(*kinds), "shop=unseen", "market"], oracle.dates() or [today_of(oracle)]
    edges = [
        0,
        1,
        -1,
        *(w + e for w in WINDOWS for e in (-1, 0, 1)),
        *(w + 364 + e for w in WINDOWS for e in (-1, 0, 1)),
    ]
    for _ in range(n):
        yield rng.choice(scopes), rng.choice(dates) + dt.timedelta(days=rng.choice(edges))


def wrong_answers(partition, oracle, seed, n, kinds=KINDS):
    return [
        text for scope, at in asked(oracle, seed, n, kinds) for text in differences(partition, oracle, scope, at, at)
    ]


@exact
@given(small_streams(), st.integers(0, 2**32))
def test_figures_are_exact_for_any_stream_in_any_order(values, seed):
    oracle = oracle_of(values)
    partition = folded(cut(delivered(values, seed), seed), today_of(oracle))
    assert wrong_answers(partition, oracle, seed, 12) == []


@exact
@given(small_streams(), st.integers(0, 2**32))
def test_order_duplicates_and_cuts_change_nothing(values, seed):
    oracle = oracle_of(values)
    today, around = today_of(oracle), dates_around(oracle)
    in_order = folded([values], today)
    shuffled = folded(cut(delivered(values, seed), seed), today)
    one_by_one = folded([[value] for value in reversed(values)], today)
    assert contents(shuffled, *around) == contents(in_order, *around)
    assert contents(one_by_one, *around) == contents(in_order, *around)
    assert shuffled.first_day == in_order.first_day


@exact
@given(small_streams(), st.integers(0, 2**32))
def test_rebuilt_counters_are_the_incremental_ones(values, seed):
    oracle = oracle_of(values)
    around = dates_around(oracle)
    partition = folded(cut(delivered(values, seed), seed), today_of(oracle))
    before = contents(partition, *around)
    partition.rebuild(partition.today)
    assert contents(partition, *around) == before


@exact
@given(small_streams(max_size=24), st.integers(0, 24), st.integers(0, 2**32))
def test_a_partition_loaded_from_its_changelog_is_the_same_and_goes_on(values, first, seed):
    oracle = oracle_of(values)
    today, around = today_of(oracle), dates_around(oracle)
    values, later = values[:first], values[first:]
    partition, changelog = folded([], today), {}
    for batch in cut(delivered(values, seed), seed):
        fold_into(partition, batch)
        newest(partition.take_records(), changelog)
    loaded = reloaded(changelog, today)
    assert contents(loaded, *around) == contents(partition, *around)
    assert list(loaded.take_records()) == []
    fold_into(loaded, later + values[:3])
    fold_into(partition, later)
    assert contents(loaded, *around) == contents(partition, *around)
    newest(loaded.take_records(), changelog)
    assert contents(reloaded(changelog, today), *around) == contents(partition, *around)


@exact
@given(small_streams(), st.integers(0, 2**32))
def test_rebuilt_pages_are_the_published_ones_byte_for_byte(values, seed):
    partition, published = folded([], today_of(oracle_of(values))), {}
    for batch in cut(delivered(values, seed), seed):
        fold_into(partition, batch)
        newest(((key, value) for _, key, value in partition.take_pages(1 << 20)), published)
    partition.rebuild(partition.today)
    rebuilt = newest(((key, value) for _, key, value in partition.take_pages(1 << 20)), {})
    assert {k: v for k, v in rebuilt.items() if v} == {k: v for k, v in published.items() if v}


@pytest.mark.parametrize("seed", range(4))
def test_a_long_seeded_stream_is_exact(seed):
    values = seeded_stream(seed, 2_500)
    oracle = oracle_of(values)
    partition = folded(cut(delivered(values, seed), seed), today_of(oracle))
    assert wrong_answers(partition, oracle, seed, 150) == []


@pytest.mark.parametrize("scope", ["shop=s1", "market", "shop=s2|channel=organic", "market|category=c1", "brand=b1"])
def test_every_single_date_of_four_years_is_exact(scope):
    values = seeded_stream(11, 120, users=4, shops=2)
    oracle = oracle_of(values)
    partition = folded([delivered(values, 1)], today_of(oracle))
    assert differences(partition, oracle, scope, *dates_around(oracle)) == []


@pytest.mark.parametrize("seed", range(3))
def test_what_is_forgotten_changes_no_date_within_the_horizon(seed):
    values = seeded_stream(seed, 1_500, days=2_200, first_date="2020-01-05")
    config = CoreConfig(
        windows=WINDOWS, scopes=ALL_WORDS, max_users=10_000, max_names=10_000, max_products=10_000, max_rows=10_000
    )
    partition = folded([], dt.date(2020, 1, 1), config)
    rng = random.Random(seed)
    late = []
    for batch in cut(values, seed):
        on_time = [value for value in batch if rng.random() < 0.9]
        late += [value for value in batch if value not in on_time]
        fold_into(partition, on_time)
        partition.advance(partition.last_day)
    fold_into(partition, late or values[:1])
    oracle, newest_date = oracle_of(values), date_of(partition.today)
    for scope in rng.sample(oracle.scopes(*KINDS), 12):
        for _ in range(6):
            at = newest_date - dt.timedelta(days=rng.randrange(731))
            assert differences(partition, oracle, scope, at, at, forgets=True) == []


@pytest.mark.parametrize("windows", [(1,), (2, 90), (3, 14, 180, 364, 365)])
def test_any_set_of_windows_is_exact(windows):
    values = seeded_stream(5, 600)
    oracle = oracle_of(values)
    config = CoreConfig(**{**EVERYTHING.__dict__, "windows": windows})
    assert wrong_answers(folded([delivered(values, 3)], today_of(oracle), config), oracle, 7, 60) == []


def check(values, *asks, scope="shop=s1"):
    """In both orders of arrival, at each of the days asked."""
    encoded = [encode(value) for value in values]
    oracle = oracle_of(encoded)
    for order in (encoded, encoded[::-1]):
        partition = folded([[value] for value in order], today_of(oracle))
        for day in asks:
            assert differences(partition, oracle, scope, date(day), date(day)) == []


def test_a_line_that_moves_to_a_new_version_takes_its_class_along():
    bought = purchase("u", 0, event_id="a"), purchase("u", 400, event_id="b", amount=300)
    check([*bought, view("u", 30), view("u", 401)], 0, 1, 30, 60, 395, 400, 401, 430, 766)


def test_versions_that_tie_in_time_and_id_go_by_their_bytes():
    twins = [purchase("u", 0, event_id="p", amount=amount) for amount in (100, 99, 250, 1)]
    check(twins, 0, 1)


def test_a_refund_replaced_by_a_newer_version_lets_the_line_back():
    whole = refund("u", 2, event_id="r")
    check([purchase("u", 0, quantity=3), whole, refund("u", 3, event_id="r", quantity=1)], 0, 2, 30)
    check([purchase("u", 0, quantity=3), whole, refund("u", 3, event_id="r", order="o2")], 0, 2, 30)


def test_a_refund_in_another_currency_takes_nothing():
    check([purchase("u", 0), refund("u", 1, currency="USD")], 0, 1)
    check([purchase("u", 0), refund("u", 1, currency="CNY")], 0, 1)


def test_a_refund_names_its_line_as_the_purchase_does():
    check([purchase("u", 0, item_id="i1"), refund("u", 1, item_id="i1")], 0)
    check([purchase("u", 0, item_id="i1"), refund("u", 1)], 0)
    check([purchase("u", 0, line="1"), refund("u", 1)], 0)
    check([purchase("u", 0), refund("v", 1), refund("u", 1, shop="s2"), refund("u", 1, line="2")], 0)
