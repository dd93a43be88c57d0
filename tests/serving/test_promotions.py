"""Phases are held to their targets and to the same minutes of another day, as far as they have come."""

import datetime as dt

import numpy as np

from processors.intraday.pages import N_COLUMNS, N_MONEY_COLUMNS, encode_hour
from schemas.promotion import Phase, PromotionRecord
from serving.promotions import hours_needed, phases

MIDNIGHT = int(dt.datetime(2026, 11, 10, 16, tzinfo=dt.UTC).timestamp()) // 60  # of the 11th in Shanghai
PLAN = PromotionRecord(
    promotion_id="p11",
    shop_id="s1",
    phases=[
        Phase(name="midnight", start="2026-11-11T00:00", end="2026-11-11T01:00", s=80, gmv_minor=1_000, currency="CNY"),
        Phase(name="return", start="2026-11-11T02:00", end="2026-11-13T00:00", carts=5),
    ],
)


def page(at, s, b, carts, gmv):
    """Users, buyers, cart adds and GMV of one minute of an hour; the users stay in the trailing figures."""
    counts = np.zeros((60, N_COLUMNS), np.int64)
    counts[at, :9] = [s, s, s, s, b, b, b, b, carts]
    money = np.zeros((60, N_MONEY_COLUMNS), np.int64)
    money[at, 0] = gmv
    return encode_hour({"": counts, "CNY": money})


PAGES = {
    MIDNIGHT // 60: page(10, 100, 9, 3, 600),
    MIDNIGHT // 60 + 2: page(30, 7, 1, 4, 50),
    MIDNIGHT // 60 - 24: page(40, 50, 5, 2, 400),
    MIDNIGHT // 60 - 22: page(20, 5, 1, 1, 10),
}


def told(now):
    return list(phases(PLAN, {hour: PAGES[hour] for hour in hours_needed(PLAN, now) if hour in PAGES}, now))


def test_a_phase_that_runs_is_compared_as_far_as_it_has_come():
    midnight, back = told(MIDNIGHT + 30)
    assert (midnight.state, back.state) == ("running", "coming")
    assert (midnight.carts.value, midnight.carts.before) == (3, 0)  # the day before it came after 40 minutes
    assert (midnight.gmv_minor["CNY"].value, midnight.gmv_minor["CNY"].completion) == (600, 0.6)
    assert (midnight.s.value, midnight.s.completion, back.carts.value) == (None, None, 0)


def test_distinct_users_are_known_when_an_hour_is_over():
    midnight, back = told(MIDNIGHT + 155)
    assert (midnight.state, back.state) == ("over", "running")
    assert (midnight.s.value, midnight.s.before, midnight.s.completion) == (100, 50, 1.25)
    assert (midnight.b.value, midnight.b.before) == (9, 5)
    assert (back.carts.value, back.carts.before, back.carts.completion) == (4, 1, 0.8)
    assert back.compared_with == "2026-11-09T18:00:00.000Z"
    assert back.s.value is None
