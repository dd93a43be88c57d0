"""In which scopes does a fact stand, and which facts stand together in one?

A fact is a cell (active behaviour of a day) or a purchase line: it has a shop, a channel and a product. It belongs to
every kept kind of scope whose facets it has; two facts share a scope when they agree in them. Of a new item a fact is
by its own day, so the same item may be new in one fact and not in another.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.counters import (
    BRAND,
    MARKET,
    MARKET_CATEGORY,
    SHOP,
    SHOP_BRAND,
    SHOP_CATEGORY,
    SHOP_CHANNEL_1,
    SHOP_CHANNEL_2,
    SHOP_ITEM,
    SHOP_NEW,
    Rows,
    scope_key,
    scope_row,
)
from processors.kernels import inlined
from processors.ledger import (
    CHANNEL_MASK,
    CHANNEL_SHIFT,
    DAY_SHIFT,
    SHOP_MASK,
    SHOP_SHIFT,
)

NEW_DAYS = 30
"""An item is new on the day of its listing and on the 29 days after it (definitions §4)."""
CROSSES = (
    (1 << SHOP_CATEGORY)
    | (1 << SHOP_ITEM)
    | (1 << SHOP_BRAND)
    | (1 << SHOP_CHANNEL_1)
    | (1 << SHOP_CHANNEL_2)
    | (1 << SHOP_NEW)
    | (1 << BRAND)
    | (1 << MARKET_CATEGORY)
)


class Facets(NamedTuple):
    """What a product and a channel stand for."""

    item: NDArray[np.int32]
    """[products]"""
    category: NDArray[np.int32]
    brand: NDArray[np.int32]
    parent: NDArray[np.int32]
    """[channels] level 1 of a channel; a level-1 channel is its own."""
    listed: NDArray[np.int32]
    """[items] the day on which an item was listed, as far as it is known; 0 otherwise."""


@inlined
def is_new(listed: NDArray[np.int32], item: int, day: int) -> bool:
    """Whether an item is a new one on a day."""
    since = np.int64(listed[item])
    return 0 < since <= day < since + NEW_DAYS


@inlined
def scopes_of(mask: int, facets: Facets, word0: int, product: int) -> int:
    """The kept kinds of scopes that a fact belongs to: a cross needs the facet it crosses with."""
    if mask & CROSSES == 0:
        return mask
    channel = (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK
    if facets.category[product] == 0:
        mask &= ~((1 << SHOP_CATEGORY) | (1 << MARKET_CATEGORY))
    if facets.item[product] == 0:
        mask &= ~(1 << SHOP_ITEM)
    if facets.brand[product] == 0:
        mask &= ~((1 << SHOP_BRAND) | (1 << BRAND))
    if channel == 0:
        mask &= ~(1 << SHOP_CHANNEL_1)
    if channel == 0 or facets.parent[channel] == channel:
        mask &= ~(1 << SHOP_CHANNEL_2)
    if mask & (1 << SHOP_NEW) and (channel == 0 or not is_new(facets.listed, facets.item[product], word0 >> DAY_SHIFT)):
        mask &= ~(1 << SHOP_NEW)
    return mask


@inlined
def shared(mask: int, facets: Facets, word0: int, product: int, other0: int, other_product: int) -> int:
    """The kinds of scopes in `mask` in which two facts (cells or lines) stand together; the first stands in all of
    them.
    """
    together = mask & (1 << MARKET)
    same_shop = (word0 >> SHOP_SHIFT) & SHOP_MASK == (other0 >> SHOP_SHIFT) & SHOP_MASK
    if same_shop:
        together |= mask & (1 << SHOP)
    if mask & CROSSES == 0:
        return together
    if facets.category[product] == facets.category[other_product]:
        together |= mask & (1 << MARKET_CATEGORY)
        if same_shop:
            together |= mask & (1 << SHOP_CATEGORY)
    if facets.brand[product] == facets.brand[other_product]:
        together |= mask & (1 << BRAND)
        if same_shop:
            together |= mask & (1 << SHOP_BRAND)
    if same_shop:
        if facets.item[product] == facets.item[other_product]:
            together |= mask & (1 << SHOP_ITEM)
        a = (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK
        b = (other0 >> CHANNEL_SHIFT) & CHANNEL_MASK
        if a == b:
            together |= mask & (1 << SHOP_CHANNEL_2)
        if facets.parent[a] == facets.parent[b]:
            together |= mask & (1 << SHOP_CHANNEL_1)
            if mask & (1 << SHOP_NEW) and is_new(facets.listed, facets.item[other_product], other0 >> DAY_SHIFT):
                together |= 1 << SHOP_NEW
    return together


@inlined
def row_for(rows: Rows, control: NDArray[np.int64], facets: Facets, kind: int, word0: int, product: int) -> int:
    """The counts row of a fact in a kind of scope."""
    shop = (word0 >> SHOP_SHIFT) & SHOP_MASK
    channel = (word0 >> CHANNEL_SHIFT) & CHANNEL_MASK
    value = 0
    if kind in (SHOP_CATEGORY, MARKET_CATEGORY):
        value = facets.category[product]
    elif kind == SHOP_ITEM:
        value = facets.item[product]
    elif kind in (SHOP_BRAND, BRAND):
        value = facets.brand[product]
    elif kind in (SHOP_CHANNEL_1, SHOP_NEW):
        value = facets.parent[channel]
    elif kind == SHOP_CHANNEL_2:
        value = channel
    if kind in (BRAND, MARKET, MARKET_CATEGORY):
        shop = 0
    return scope_row(rows, control, scope_key(kind, shop, value))
