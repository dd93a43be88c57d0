"""The values of many scopes at one date are those that the series of each one has on it."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.calendar import date_of
from processors.counters import N_COUNTS, N_MONEY, PAGE_DAYS
from processors.figures import Provenance
from processors.pages import PageError, encode_lanes
from processors.snapshot import pack_pages, records_at, values_at
from serving.past import figures_between

WINDOWS = (1, 7)
FIRST_PAGE, N_PAGES = 2_560, 4
FIRST_DAY, LAST_DAY = FIRST_PAGE * PAGE_DAYS, (FIRST_PAGE + N_PAGES) * PAGE_DAYS - 1
CURRENCIES = ("CNY", "EUR", "USD")


@st.composite
def total_pages(draw):
    """Pages of a scope with differences here and there, also large and negative ones."""
    differences = {"": np.zeros((N_PAGES * PAGE_DAYS, N_COUNTS * len(WINDOWS)), np.int64)}
    for currency in draw(st.sets(st.sampled_from(CURRENCIES))):
        differences[currency] = np.zeros((N_PAGES * PAGE_DAYS, N_MONEY * len(WINDOWS)), np.int64)
    for lane in differences.values():
        places = st.tuples(st.integers(0, len(lane) - 1), st.integers(0, lane.shape[1] - 1))
        for (day, k), value in draw(st.dictionaries(places, st.integers(-(2**40), 2**40), max_size=12)).items():
            lane[day, k] = value
    kept = draw(st.sets(st.integers(0, N_PAGES - 1)))
    return {
        FIRST_PAGE + n: encode_lanes(
            {name: lane[n * PAGE_DAYS : (n + 1) * PAGE_DAYS] for name, lane in differences.items()}, len(WINDOWS)
        )
        for n in kept
    }


@settings(deadline=None)  # the first one may compile
@given(st.lists(total_pages(), max_size=5), st.integers(FIRST_DAY - 3, LAST_DAY + 3), st.sampled_from(WINDOWS))
def test_records_are_those_of_each_scope_alone(pages, day, window_days):
    scopes, provenance = [f"shop=s1|item=i{n}" for n in range(len(pages))], Provenance("2026-01-01")
    values = values_at(pack_pages(pages), len(pages), len(WINDOWS), day)
    date = date_of(day)
    expected = [
        record
        for scope, each in zip(scopes, pages, strict=True)
        for record in figures_between(scope, each, WINDOWS, date, date, provenance)
        if record.window_days == window_days
    ]
    assert records_at(scopes, values, WINDOWS, window_days, day, provenance) == expected


def test_no_scopes_have_no_values():
    values = values_at(b"", 0, 2, FIRST_DAY)
    assert (values.counts.shape, values.money) == ((0, N_COUNTS, 2), {})


def one_page():
    return encode_lanes({"": np.ones((PAGE_DAYS, N_COUNTS * 2), np.int64)}, 2)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"\x09" + one_page()[1:], "version 9"),
        (b"", "0 bytes"),
        (one_page()[:-1] + b"\x00", "checksum"),
        (encode_lanes({"": np.ones((PAGE_DAYS, N_COUNTS), np.int64)}, 1), "SMART_WINDOWS"),
    ],
)
def test_a_page_that_is_none_of_ours_is_told(page, said):
    with pytest.raises(PageError, match=said):
        values_at(pack_pages([{FIRST_PAGE: one_page()}, {FIRST_PAGE: page}]), 2, 2, FIRST_DAY)


def test_many_scopes_take_a_moment():
    pages = {FIRST_PAGE + n: one_page() for n in range(N_PAGES)}
    packed = pack_pages([pages]) * 20_000
    values_at(packed, 1, 2, LAST_DAY)  # compiled
    began = dt.datetime.now(tz=dt.UTC)
    values = values_at(packed, 20_000, 2, LAST_DAY)
    assert (dt.datetime.now(tz=dt.UTC) - began).total_seconds() < 5
    assert (values.counts == PAGE_DAYS * N_PAGES).all()
