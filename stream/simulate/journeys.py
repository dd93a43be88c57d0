"""What shoppers do: a batch of sessions as rows of events, from the first touch to the refund weeks later.

session: a user comes to a shop through a channel → views → some are favourited, shared, searched … → some are carted,
some of those removed → an order over the kept cart lines → its payment → later, refunds of whole lines or of a part.
Rows carry the instant of the event and the instant of its arrival: a few come late, a few twice. Everything of a batch
is drawn at once, in columns.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.event import Action
from stream.simulate.channels import CHANNEL_WEIGHTS, SEARCH_CHANNEL, TOUCH_WEIGHTS
from stream.simulate.draws import running_sum, weighted, within_run
from stream.simulate.promotion import DAY_MS, HOUR_MS, Mood
from stream.simulate.world import HOME_SHOPS, World

EVENT: Final = np.dtype(
    [
        ("sequence", "<i8"),  # the event's number; a duplicate keeps it
        ("arrive_ms", "<i8"),
        ("event_ms", "<i8"),
        ("action", "i1"),
        ("touch", "i1"),  # index into TOUCHES
        ("channel", "<i2"),
        ("user", "<i4"),
        ("shop", "<i4"),
        ("item", "<i4"),
        ("dwell_ms", "<i4"),
        ("quantity", "<i4"),
        ("line", "<i4"),  # number of the line within its order, from 1
        ("amount_minor", "<i8"),
        ("order", "<i8"),
    ]
)
"""One event; -1 where a field is absent."""

Rows = NDArray[Any]
"""[n] of EVENT."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How shoppers behave, whatever the season. Shares are of the thing named before `_of_`."""

    home_shop_share: float = 0.6
    views_per_session: float = 4.0
    dwell_known_share: float = 0.8
    dwell_ms_median: float = 6_000
    touched_share: float = 0.25
    side_of_view: tuple[tuple[Action, float], ...] = (
        (Action.FAVOURITE, 0.05),
        (Action.SHARE, 0.015),
        (Action.FOLLOW, 0.01),
        (Action.SEARCH, 0.06),
        (Action.LIKE, 0.02),
        (Action.COMMENT, 0.008),
    )
    removed_of_cart: float = 0.1
    refunded_of_purchase: float = 0.06
    partial_of_refund: float = 0.35
    refund_delay_ms: float = 2 * DAY_MS
    late_share: float = 0.01
    late_ms: float = 20 * 60_000
    duplicate_share: float = 0.01
    duplicate_ms: float = 30_000


@dataclass(frozen=True, slots=True)
class Visits:
    """The sessions of a batch, one a row."""

    user: NDArray[np.int32]
    shop: NDArray[np.int32]
    channel: NDArray[np.int16]
    start_ms: NDArray[np.int64]
    n_views: NDArray[np.int64]


def visits(rng: np.random.Generator, world: World, habits: Habits, start_ms: int, span_ms: int, n: int) -> Visits:
    """N sessions that begin within [start_ms, start_ms + span_ms)."""
    user = world.users.draw(rng, n)
    home = world.home_shops[user, rng.integers(0, HOME_SHOPS, n)]
    shop = np.where(rng.random(n) < habits.home_shop_share, home, world.shops.draw(rng, n))
    return Visits(
        user=user,
        shop=shop,
        channel=weighted(rng, CHANNEL_WEIGHTS.values(), n),
        start_ms=start_ms + rng.integers(0, max(span_ms, 1), n),
        n_views=np.minimum(rng.geometric(1 / habits.views_per_session, n), 40),
    )


def blank(n: int) -> Rows:
    """N rows with every optional field absent."""
    rows = np.zeros(n, EVENT)
    for name in ("touch", "channel", "item", "dwell_ms", "quantity", "line", "amount_minor", "order"):
        rows[name] = -1
    return rows


def _views(rng: np.random.Generator, world: World, habits: Habits, visit: Visits) -> tuple[Rows, NDArray[np.int64]]:
    """The views of all sessions, and of each the row of its session."""
    session = np.repeat(np.arange(len(visit.user)), visit.n_views)
    rows = blank(len(session))
    dwell_ms = np.exp(rng.normal(np.log(habits.dwell_ms_median), 1.1, len(rows))).astype(np.int64) + 300
    dwell_ms = np.minimum(dwell_ms, 20 * 60_000)
    rows["action"] = Action.VIEW
    rows["user"], rows["shop"], rows["channel"] = visit.user[session], visit.shop[session], visit.channel[session]
    rows["item"] = rows["shop"] * world.items_per_shop + world.shelf.draw(rng, len(rows))
    rows["event_ms"] = visit.start_ms[session] + running_sum(dwell_ms, visit.n_views)
    rows["dwell_ms"] = np.where(rng.random(len(rows)) < habits.dwell_known_share, dwell_ms, -1)
    return rows, session


def _follow(rows: Rows, action: Action, delay_ms: NDArray[np.int64] | int) -> Rows:
    """Copies of the rows as another action some time later; nothing but who, where and what is kept."""
    later = blank(len(rows))
    for name in ("user", "shop", "channel", "item"):
        later[name] = rows[name]
    later["action"] = action
    later["event_ms"] = rows["event_ms"] + delay_ms
    return later


def _sides(rng: np.random.Generator, habits: Habits, views: Rows) -> list[Rows]:
    """Favourites, shares, searches … beside the views."""
    chance = rng.random(len(views))
    floor = 0.0
    sides = []
    for action, share in habits.side_of_view:
        picked = views[(chance >= floor) & (chance < floor + share)]
        side = _follow(picked, action, rng.integers(200, 5_000, len(picked)))
        if action is Action.SEARCH:  # a search is about no item yet
            side["item"] = -1
            side["channel"] = SEARCH_CHANNEL
        sides.append(side)
        floor += share
    return sides


def _touches(rng: np.random.Generator, habits: Habits, visit: Visits) -> Rows:
    """What brought some of the sessions about."""
    touched = np.flatnonzero(rng.random(len(visit.user)) < habits.touched_share)
    rows = blank(len(touched))
    rows["action"] = Action.TOUCH
    rows["user"], rows["shop"] = visit.user[touched], visit.shop[touched]
    rows["touch"] = weighted(rng, TOUCH_WEIGHTS.values(), len(touched))
    rows["event_ms"] = visit.start_ms[touched] - rng.integers(500, 30_000, len(touched))
    return rows


@dataclass(frozen=True, slots=True)
class Season:
    """What holds at the time of a batch of sessions: the mood, and the midnight that deposits are paid after."""

    mood: Mood
    midnight_ms: int | None = None


def _carts(
    rng: np.random.Generator, world: World, mood: Mood, views: Rows, session: NDArray[np.int64]
) -> tuple[Rows, NDArray[np.int64]]:
    """Cart lines of the views, and of each the row of its session."""
    chosen = np.flatnonzero(rng.random(len(views)) < mood.cart_of_view)
    carts = _follow(views[chosen], Action.CART, rng.integers(500, 8_000, len(chosen)))
    carts["quantity"] = np.minimum(rng.geometric(0.75, len(chosen)), 20)
    carts["amount_minor"] = carts["quantity"] * world.price_minor[carts["item"]]
    return carts, session[chosen]


def _orders(
    rng: np.random.Generator, season: Season, kept: Rows, session: NDArray[np.int64], order_base: int
) -> tuple[Rows, Rows]:
    """Order lines over the kept cart lines of each session, and the purchases among them, a line a row."""
    mood = season.mood
    n_sessions = int(session.max()) + 1 if len(session) else 0
    does_order = rng.random(n_sessions) < mood.order_of_cart
    does_pay = rng.random(n_sessions) < mood.pay_of_order
    order_delay_ms = rng.integers(10_000, 180_000, n_sessions)
    pay_delay_ms = rng.integers(3_000, 60_000, n_sessions)
    last_cart_ms = np.zeros(n_sessions, np.int64)
    np.maximum.at(last_cart_ms, session, kept["event_ms"])

    ordered = np.flatnonzero(does_order[session])
    session = session[ordered]
    orders = _follow(kept[ordered], Action.ORDER, 0)
    orders["event_ms"] = last_cart_ms[session] + order_delay_ms[session]
    orders["order"] = order_base + session
    orders["line"] = 1 + within_run(np.unique(session, return_counts=True)[1])
    orders["quantity"] = kept["quantity"][ordered]
    discount_percent = rng.integers(0, 15, n_sessions)[session]
    orders["amount_minor"] = kept["amount_minor"][ordered] * (100 - discount_percent) // 100

    paid = does_pay[session]
    purchases = orders[paid].copy()
    purchases["action"] = Action.PURCHASE
    purchases["event_ms"] += pay_delay_ms[session[paid]]
    if mood.pays_at_midnight and season.midnight_ms is not None:
        # Seconds after midnight at first, then minutes: the peak that a promotion begins with.
        wait_ms = (rng.exponential(8 * 60_000, n_sessions) + 200).astype(np.int64)
        purchases["event_ms"] = np.maximum(purchases["event_ms"], season.midnight_ms + wait_ms[session[paid]])
    return orders, purchases


def _refunds(rng: np.random.Generator, habits: Habits, purchases: Rows) -> Rows:
    """Later refunds of some purchase lines: whole (no figures), pieces, or a part of the money."""
    lines = purchases[rng.random(len(purchases)) < habits.refunded_of_purchase]
    delay_ms = rng.exponential(habits.refund_delay_ms, len(lines)).astype(np.int64) + HOUR_MS // 60
    refunds = _follow(lines, Action.REFUND, delay_ms)
    refunds["order"], refunds["line"] = lines["order"], lines["line"]
    is_partial = rng.random(len(lines)) < habits.partial_of_refund
    pieces = is_partial & (lines["quantity"] > 1)
    refunds["quantity"] = np.where(pieces, 1, -1)
    refunds["amount_minor"] = np.where(
        pieces,
        lines["amount_minor"] // np.maximum(lines["quantity"], 1),
        np.where(is_partial, lines["amount_minor"] * rng.integers(10, 60, len(lines)) // 100, -1),
    )
    return refunds


def _arrivals(rng: np.random.Generator, habits: Habits, rows: Rows) -> Rows:
    """The rows with their instants of arrival; the duplicates stand at the end."""
    delay_ms = rng.exponential(120, len(rows)) + 5
    late = rng.random(len(rows)) < habits.late_share
    delay_ms = np.where(late, delay_ms + rng.exponential(habits.late_ms, len(rows)), delay_ms)
    rows["arrive_ms"] = rows["event_ms"] + delay_ms.astype(np.int64)
    again = rows[rng.random(len(rows)) < habits.duplicate_share]
    again["arrive_ms"] += rng.exponential(habits.duplicate_ms, len(again)).astype(np.int64) + 1
    return np.concatenate((rows, again))


def sessions(
    rng: np.random.Generator,
    world: World,
    habits: Habits,
    season: Season,
    *,
    start_ms: int,
    span_ms: int,
    n: int,
    number_from: int,
) -> Rows:
    """Everything that N sessions beginning within the span lead to, in no particular order.

    Events are numbered from `number_from` up, orders as `number_from` + row of the session, which is never beyond the
    last event's number: a batch that goes on from the greatest number used shares neither event nor order with
    another.
    """
    if n == 0:
        return blank(0)
    visit = visits(rng, world, habits, start_ms, span_ms, n)
    views, session = _views(rng, world, habits, visit)
    carts, cart_session = _carts(rng, world, season.mood, views, session)
    is_removed = rng.random(len(carts)) < habits.removed_of_cart
    removals = _follow(carts[is_removed], Action.CART_REMOVE, rng.integers(1_000, 60_000, int(is_removed.sum())))
    removals["quantity"] = carts["quantity"][is_removed]
    orders, purchases = _orders(rng, season, carts[~is_removed], cart_session[~is_removed], number_from)
    refunds = _refunds(rng, habits, purchases)
    rows = np.concatenate(
        [_touches(rng, habits, visit), views, *_sides(rng, habits, views), carts, removals, orders, purchases, refunds]
    )
    rows["sequence"] = number_from + np.arange(len(rows))
    return _arrivals(rng, habits, rows)
