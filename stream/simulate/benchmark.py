"""Independent draws of a fixed shape: the traffic of the benchmark, and quick traffic for tests.

By default 2 M events of about 250 B over 10 business dates: 200 k users (Zipf 0.8), 100 shops (Zipf 1.0), in order of
event time with 20 s of normal disorder; 70 % views, 12 % carts, 5 % favourites, 3 % orders, 3 % purchases, 2 % shares,
4 % ad impressions, 1 % cart removals. No journeys: nothing leads to anything. Refunds and duplicates come where they
are asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.event import Action
from stream.routing import Messages
from stream.simulate.channels import CHANNEL_WEIGHTS, TOUCH_WEIGHTS
from stream.simulate.draws import generator, weighted
from stream.simulate.encode import Encoder
from stream.simulate.journeys import Rows, blank
from stream.simulate.promotion import DAY_MS, HOUR_MS
from stream.simulate.world import World

START_MS: Final = 1_793_894_400_000
"""Midnight of 2026-11-06 in Asia/Shanghai."""

_PURPOSE: Final = 5
_CHUNK: Final = 50_000
_DISORDER_MS: Final = 20_000
_SHARES: Final[dict[Action, float]] = {
    Action.VIEW: 0.70,
    Action.FAVOURITE: 0.05,
    Action.CART: 0.12,
    Action.ORDER: 0.03,
    Action.PURCHASE: 0.03,
    Action.SHARE: 0.02,
    Action.TOUCH: 0.04,
    Action.CART_REMOVE: 0.01,
}
_CARTED: Final = (Action.CART, Action.CART_REMOVE)
_ORDERED: Final = (Action.ORDER, Action.PURCHASE)


@dataclass(frozen=True, slots=True)
class Shape:
    """How much traffic, of whom, over how long."""

    events: int = 2_000_000
    users: int = 200_000
    shops: int = 100
    days: int = 10
    items_per_shop: int = 500
    start_ms: int = START_MS
    refund_share: float = 0.0
    """Of the purchases: a refund of the whole line, or of half its money, some time later within the days."""
    duplicate_share: float = 0.0
    """Of all events: sent a second time, anywhere later."""

    def world(self, seed: int) -> World:
        """Who and what exists: all shops in one zone."""
        return World.of(seed, users=self.users, shops=self.shops, items_per_shop=self.items_per_shop, one_zone=True)


def rows(seed: int, shape: Shape, world: World) -> Rows:
    """All events of the shape, in the order they are sent."""
    rng = generator(seed, _PURPOSE)
    n, end_ms = shape.events, shape.start_ms + shape.days * DAY_MS
    drawn = blank(n)
    drawn["sequence"] = np.arange(n)
    drawn["action"] = np.array(list(_SHARES), np.int8)[weighted(rng, _SHARES.values(), n)]
    drawn["user"] = world.users.draw(rng, n)
    drawn["shop"] = world.shops.draw(rng, n)
    drawn["item"] = drawn["shop"] * shape.items_per_shop + rng.integers(0, shape.items_per_shop, n)
    drawn["channel"] = weighted(rng, CHANNEL_WEIGHTS.values(), n)
    straight_ms = np.linspace(shape.start_ms, end_ms - HOUR_MS // 6, n)
    disorder_ms = rng.normal(0, _DISORDER_MS, n)
    drawn["event_ms"] = np.clip(straight_ms + disorder_ms, shape.start_ms, end_ms - 1).astype(np.int64)
    _fill_money(rng, drawn)
    touched = drawn["action"] == Action.TOUCH
    drawn["touch"][touched] = weighted(rng, TOUCH_WEIGHTS.values(), int(touched.sum()))
    drawn["arrive_ms"] = straight_ms.astype(np.int64)
    added = [_refunds(rng, drawn, shape.refund_share, end_ms)]
    added.append(_duplicates(rng, np.concatenate((drawn, *added)), shape.duplicate_share, end_ms))
    if not any(len(more) for more in added):
        return drawn
    everything = np.concatenate((drawn, *added))
    return everything[np.argsort(everything["arrive_ms"], kind="stable")]


def _fill_money(rng: np.random.Generator, drawn: Rows) -> None:
    n = len(drawn)
    price_minor = rng.integers(500, 200_000, n)
    quantity = np.minimum(rng.geometric(0.8, n), 10)
    ordered = np.isin(drawn["action"], _ORDERED)
    has_quantity = ordered | np.isin(drawn["action"], _CARTED)
    drawn["quantity"] = np.where(has_quantity, quantity, -1)
    drawn["amount_minor"] = np.where(has_quantity, price_minor * quantity, -1)
    drawn["order"] = np.where(ordered, drawn["sequence"], -1)
    drawn["line"] = np.where(ordered, 1, -1)


def _refunds(rng: np.random.Generator, drawn: Rows, share: float, end_ms: int) -> Rows:
    bought = drawn[drawn["action"] == Action.PURCHASE]
    refunds: Rows = bought[rng.random(len(bought)) < share].copy()
    refunds["action"] = Action.REFUND
    refunds["sequence"] = len(drawn) + np.arange(len(refunds))
    is_whole = rng.random(len(refunds)) < 0.5
    refunds["quantity"] = -1
    refunds["amount_minor"] = np.where(is_whole, -1, refunds["amount_minor"] // 2)
    refunds["event_ms"] += (rng.random(len(refunds)) * (end_ms - refunds["event_ms"])).astype(np.int64)
    refunds["arrive_ms"] = refunds["event_ms"]
    return refunds


def _duplicates(rng: np.random.Generator, drawn: Rows, share: float, end_ms: int) -> Rows:
    again: Rows = drawn[rng.random(len(drawn)) < share].copy()
    again["arrive_ms"] += (rng.random(len(again)) * np.maximum(end_ms - again["arrive_ms"], 1)).astype(np.int64)
    return again


def batches(seed: int, shape: Shape, chunk: int = _CHUNK) -> Iterator[Messages]:
    """The traffic as records, some at a time, for what need not lie in memory at once."""
    world = shape.world(seed)
    everything = rows(seed, shape, world)
    encoder = Encoder(world, str(seed))
    for first in range(0, len(everything), chunk):
        yield encoder.encode(everything[first : first + chunk])


def traffic(seed: int, shape: Shape) -> list[tuple[str, bytes, bytes]]:
    """The traffic as (topic, key, value), all at once: for tests."""
    return [
        (topic, key, value)
        for batch in batches(seed, shape)
        for topic, key, value in batch.records()
        if key is not None  # simulated shoppers always have one
    ]
