"""Who and what exists: shops with their zones, users with the shops they come back to, items and their prices.

A world is a pure function of (seed, sizes); ids are made from the indices here, the same everywhere.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.simulate.draws import Zipf, generator

HOME_SHOPS: Final = 3
"""Shops a user keeps coming back to."""

ZONES: Final[tuple[tuple[str, str], ...]] = (
    *[("Asia/Shanghai", "CNY")] * 6,
    ("Asia/Tokyo", "JPY"),
    ("Asia/Singapore", "SGD"),
    ("Europe/London", "GBP"),
    ("America/New_York", "USD"),
)
"""Time zone and currency of shop number k, repeating."""

_PURPOSE_WORLD: Final = 1


@dataclass(frozen=True, slots=True)
class World:
    """Sizes and popularity. Indices are users 0 … n_users - 1 and so on; item i belongs to shop i // items_per_shop."""

    n_users: int
    n_shops: int
    items_per_shop: int
    users: Zipf
    shops: Zipf
    shelf: Zipf
    """Popularity of the items of one shop, by place on its shelf."""
    home_shops: NDArray[np.int32]
    """[n_users, HOME_SHOPS]"""
    price_minor: NDArray[np.int64]
    """[n_items] list price of one piece."""
    category: NDArray[np.int32]
    """[n_items]"""
    brand: NDArray[np.int32]
    """[n_items]"""
    currency: NDArray[np.int8]
    """[n_shops] index into ZONES."""

    @classmethod
    def of(
        cls,
        seed: int,
        *,
        users: int,
        shops: int,
        items_per_shop: int = 200,
        user_exponent: float = 0.8,
        shop_exponent: float = 1.0,
        one_zone: bool = False,
    ) -> "World":
        """The world of a seed. `one_zone`: every shop is in ZONES[0]."""
        rng = generator(seed, _PURPOSE_WORLD)
        n_items = shops * items_per_shop
        shop_popularity = Zipf.of(shops, shop_exponent, rng)
        # A shop sells a few categories, a brand belongs to a category: crosses are then neither empty nor uniform.
        n_categories = max(8, shops // 2)
        first_category = rng.integers(0, n_categories, shops)
        category = (np.repeat(first_category, items_per_shop) + rng.integers(0, 4, n_items)) % n_categories
        brand = category * 6 + rng.integers(0, 6, n_items)
        price_minor = (np.exp(rng.normal(8.8, 0.9, n_items)).astype(np.int64) // 100 + 1) * 100 - 1
        return cls(
            n_users=users,
            n_shops=shops,
            items_per_shop=items_per_shop,
            users=Zipf.of(users, user_exponent, rng),
            shops=shop_popularity,
            shelf=Zipf.of(items_per_shop, 0.9),
            home_shops=shop_popularity.draw(rng, users * HOME_SHOPS).reshape(users, HOME_SHOPS),
            price_minor=price_minor,
            category=category.astype(np.int32),
            brand=brand.astype(np.int32),
            currency=np.zeros(shops, np.int8) if one_zone else (np.arange(shops) % len(ZONES)).astype(np.int8),
        )

    def zone(self, shop: int) -> str:
        """Time zone of a shop."""
        return ZONES[int(self.currency[shop])][0]

    def money(self, shop: int) -> str:
        """Currency of a shop."""
        return ZONES[int(self.currency[shop])][1]


def user_id(user: int) -> str:
    """Id of a user, also the key of the user's records."""
    return f"u{user:06d}"


def shop_id(shop: int) -> str:
    """Id of a shop."""
    return f"s{shop:03d}"


def item_id(item: int) -> str:
    """Id of an item."""
    return f"i{item:06d}"
