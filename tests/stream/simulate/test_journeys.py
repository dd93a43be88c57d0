"""What simulated shoppers do is what shops see."""

import numpy as np
import pytest

from schemas.event import Action
from stream.simulate.draws import generator
from stream.simulate.journeys import Habits, Season, sessions
from stream.simulate.promotion import MOODS, Phase
from stream.simulate.world import World

N_SESSIONS = 6_000


@pytest.fixture(scope="module")
def world():
    return World.of(1, users=3_000, shops=20)


@pytest.fixture(scope="module")
def rows(world):
    season = Season(MOODS[Phase.ORDINARY])
    return sessions(
        generator(1, 9), world, Habits(), season, start_ms=10**12, span_ms=60_000, n=N_SESSIONS, number_from=0
    )


def of(rows, action):
    return rows[rows["action"] == action]


def pairs(rows, *fields):
    return set(zip(*(rows[field].tolist() for field in fields), strict=True))


def test_every_action_occurs(rows):
    assert set(rows["action"].tolist()) == {int(action) for action in Action}


def test_what_is_carted_has_been_viewed_before(rows):
    first_view = {}
    for user, item, event_ms in zip(
        *(of(rows, Action.VIEW)[f].tolist() for f in ("user", "item", "event_ms")), strict=True
    ):
        first_view[user, item] = min(event_ms, first_view.get((user, item), event_ms))
    carts = of(rows, Action.CART)
    assert len(carts) > 500
    for user, item, event_ms in zip(*(carts[f].tolist() for f in ("user", "item", "event_ms")), strict=True):
        assert first_view[user, item] < event_ms


def test_what_is_ordered_was_carted_and_what_is_bought_was_ordered(rows):
    assert pairs(of(rows, Action.ORDER), "user", "item") <= pairs(of(rows, Action.CART), "user", "item")
    line = ("user", "shop", "item", "order", "line", "quantity", "amount_minor")
    assert pairs(of(rows, Action.PURCHASE), *line) <= pairs(of(rows, Action.ORDER), *line)


def test_an_order_line_has_one_number_within_its_order(rows):
    purchases = of(rows, Action.PURCHASE)
    distinct = purchases[np.unique(purchases["sequence"], return_index=True)[1]]
    assert len(pairs(distinct, "order", "line")) == len(distinct)


def test_refunds_take_back_no_more_than_was_bought_and_come_later(rows):
    bought = {
        (order, line): (event_ms, quantity, amount)
        for order, line, event_ms, quantity, amount in pairs(
            of(rows, Action.PURCHASE), "order", "line", "event_ms", "quantity", "amount_minor"
        )
    }
    refunds = of(rows, Action.REFUND)
    assert len(refunds) > 5
    for refund in refunds:
        event_ms, quantity, amount = bought[int(refund["order"]), int(refund["line"])]
        assert refund["event_ms"] > event_ms
        assert refund["quantity"] <= quantity
        assert refund["amount_minor"] <= amount


def test_refunds_are_whole_or_partial(rows):
    refunds = of(rows, Action.REFUND)
    whole = (refunds["quantity"] < 0) & (refunds["amount_minor"] < 0)
    assert 0 < whole.sum() < len(refunds)


def test_some_events_come_late_and_some_twice(rows):
    delay_ms = rows["arrive_ms"] - rows["event_ms"]
    assert delay_ms.min() > 0
    assert 0.002 < (delay_ms > 60_000).mean() < 0.05
    duplicates = len(rows) - len(np.unique(rows["sequence"]))
    assert 0.005 < duplicates / len(rows) < 0.02


def test_users_come_back_to_the_same_shops(world, rows):
    views = of(rows, Action.VIEW)
    at_home = (world.home_shops[views["user"]] == views["shop"][:, None]).any(axis=1)
    assert at_home.mean() > 0.6


def test_a_few_shops_have_most_of_the_traffic(rows):
    per_shop = np.sort(np.bincount(of(rows, Action.VIEW)["shop"], minlength=20))[::-1]
    assert per_shop[0] > 4 * per_shop[10]
    assert per_shop[-1] > 0


def test_deposits_are_paid_after_midnight(world):
    midnight_ms = 10**12 + 40 * 3_600_000
    season = Season(MOODS[Phase.DEPOSIT], midnight_ms)
    rows = sessions(
        generator(2, 9), world, Habits(), season, start_ms=10**12, span_ms=60_000, n=N_SESSIONS, number_from=0
    )
    purchases = of(rows, Action.PURCHASE)
    assert len(purchases) > 50
    assert purchases["event_ms"].min() > midnight_ms
    assert of(rows, Action.ORDER)["event_ms"].max() < midnight_ms


def test_batches_that_go_on_from_the_last_number_share_no_event_and_no_order(world, rows):
    season = Season(MOODS[Phase.ORDINARY])
    after = int(rows["sequence"].max()) + 1
    more = sessions(generator(3, 9), world, Habits(), season, start_ms=0, span_ms=1, n=500, number_from=after)
    assert more["sequence"].min() >= after
    assert not set(more["order"][more["order"] >= 0].tolist()) & set(rows["order"].tolist())


def test_no_sessions_are_no_events(world):
    season = Season(MOODS[Phase.ORDINARY])
    assert len(sessions(generator(1), world, Habits(), season, start_ms=0, span_ms=1, n=0, number_from=0)) == 0
