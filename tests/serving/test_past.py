"""The figures of a past date are what an aggregator would have said of it."""

import datetime as dt

import numpy as np
import pytest

from processors.calendar import day_of
from processors.counters import N_COUNTS, N_MONEY, PAGE_DAYS
from processors.figures import Provenance
from processors.pages import PageError, encode_lanes, page_of
from serving.past import figures_between

WINDOWS = (1, 7)
DATE = dt.date(2026, 11, 11)
DAY = day_of(DATE)
FIRST = page_of(DAY) * PAGE_DAYS


def pages(counts, money):
    """Total pages of values by day offset from the first page: {offset: value of every counter from then on}."""
    n_pages = 3
    lanes = {"": np.zeros((n_pages * PAGE_DAYS, N_COUNTS * 2), np.int64)}
    lanes["CNY"] = np.zeros((n_pages * PAGE_DAYS, N_MONEY * 2), np.int64)
    for offset, value in counts.items():
        lanes[""][offset] += value
    for offset, value in money.items():
        lanes["CNY"][offset] += value
    first = page_of(DAY) - 1
    return {
        first + number: encode_lanes(
            {name: lane[number * PAGE_DAYS : (number + 1) * PAGE_DAYS] for name, lane in lanes.items()}, 2
        )
        for number in range(n_pages)
    }


def at(date, counts, money):
    return figures_between("market", pages(counts, money), WINDOWS, date, date, Provenance("2026-01-01"))


def day(offset):
    return DATE + dt.timedelta(days=FIRST - PAGE_DAYS + offset - DAY)


def test_values_add_up_over_pages_to_the_date_and_no_further():
    counts, money = {1: 5, PAGE_DAYS: 2, PAGE_DAYS + 3: -1}, {2: 100, PAGE_DAYS + 1: 50}
    for offset, s, gmv in (
        (1, 5, 0),
        (2, 5, 100),
        (PAGE_DAYS, 7, 100),
        (PAGE_DAYS + 2, 7, 150),
        (PAGE_DAYS + 9, 6, 150),
    ):
        found = at(day(offset), counts, money)
        assert [(one.window_days, one.s, one.gmv_minor, one.currency) for one in found] == [
            (1, s, gmv, "CNY"),
            (7, s, gmv, "CNY"),
        ]
        assert {one.as_of for one in found} == {day(offset).isoformat()}
        assert found[0].history_from == "2026-01-01"


@pytest.mark.parametrize("offset", [-1, -400, 0])
def test_before_anything_has_happened_there_are_no_figures(offset):
    assert at(day(offset), {1: 5}, {}) == []


def test_no_pages_are_no_figures():
    assert figures_between("market", {}, WINDOWS, DATE, DATE, Provenance()) == []


def test_pages_of_other_windows_are_not_read_as_ours():
    with pytest.raises(PageError, match="SMART_WINDOWS"):
        figures_between("market", pages({1: 5}, {}), (1, 7, 30), DATE, DATE, Provenance())


def test_a_currency_is_the_scopes_while_a_line_of_it_counts_at_any_date():
    refunded = {2: 100, 3: -100}
    assert [one.currency for one in at(day(2), {1: 5}, refunded)] == ["CNY", "CNY"]
    assert [one.currency for one in at(day(2), {1: 5}, {2: 0})] == ["-", "-"]
