"""Names of a batch to numbers, and what those numbers stand for.

A fact names a shop, a channel and a *product*: the triple (item, category, brand) that its event named, interned as
one number, since category and brand come from the event alone and so an item may stand in several. All dictionaries
are local to a partition and bounded; what comes beyond a bound counts under `_other`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.decode.columns import (
    BRAND_ID,
    CATEGORY_ID,
    CHANNEL,
    CURRENCY,
    ITEM_ID,
    SHOP_ID,
    USER_ID,
    Decoded,
)
from processors.kernels import kernel
from processors.membership import Facets
from processors.names import OTHER, OTHER_NAME, Names, intern_column, mixed
from processors.pool import PoolError, grown, reserve

DICTIONARIES = ("shop", "item", "category", "brand", "channel", "currency")
"""The dictionaries that a partition keeps in its changelog, besides products (users are the keys of their ledgers)."""
_COLUMNS = (SHOP_ID, ITEM_ID, CATEGORY_ID, BRAND_ID, CHANNEL, CURRENCY)


class Products(NamedTuple):
    """The dictionary of products; number 0 is the product of an event that names no item, category and brand."""

    slots: NDArray[np.int32]
    """[power of two] number, 0 = empty."""
    triple: NDArray[np.int32]
    """[bound + 1, 3] item, category, brand."""
    count: NDArray[np.int64]
    """[2] numbers given, the bound."""


class Interned(NamedTuple):
    """A batch's columns of numbers, [n] each."""

    user: NDArray[np.int32]
    shop: NDArray[np.int32]
    product: NDArray[np.int32]
    channel: NDArray[np.int32]
    currency: NDArray[np.int32]


@kernel
def _product_hash(item: int, category: int, brand: int) -> int:
    return mixed((np.int64(item) << 32) ^ (np.int64(category) << 16) ^ (np.int64(brand) << 40) ^ np.int64(brand))


@kernel
def intern_product(p: Products, item: int, category: int, brand: int) -> int:
    """The number of a product, given on first use; `OTHER` beyond the bound. Slots must be at most half full."""
    if item == 0 and category == 0 and brand == 0:
        return np.int64(0)
    mask = len(p.slots) - 1
    i = _product_hash(item, category, brand) & mask
    while p.slots[i] != 0:
        number = np.int64(p.slots[i])
        if p.triple[number, 0] == item and p.triple[number, 1] == category and p.triple[number, 2] == brand:
            return number
        i = (i + 1) & mask
    number = p.count[0] + 1
    if number > p.count[1]:
        return np.int64(OTHER)
    p.count[0] = number
    p.triple[number, 0] = item
    p.triple[number, 1] = category
    p.triple[number, 2] = brand
    p.slots[i] = number
    return number


@kernel
def intern_products(p: Products, triples: NDArray[np.int32]) -> int:
    """Number products given as [n, 3]; the number of the last one."""
    number = np.int64(0)
    for i in range(len(triples)):
        number = intern_product(p, triples[i, 0], triples[i, 1], triples[i, 2])
    return number


@kernel
def _rehash_products(p: Products, slots: NDArray[np.int32]) -> None:
    mask = len(slots) - 1
    for number in range(1, p.count[0] + 1):
        i = _product_hash(p.triple[number, 0], p.triple[number, 1], p.triple[number, 2]) & mask
        while slots[i] != 0:
            i = (i + 1) & mask
        slots[i] = number


@kernel
def intern_triples(
    p: Products, item: NDArray[np.int32], category: NDArray[np.int32], brand: NDArray[np.int32], out: NDArray[np.int32]
) -> int:
    """Number the product of every event; the first loop brings slots into the cache (see `names.intern_column`)."""
    mask = len(p.slots) - 1
    total = np.int64(0)
    for i in range(len(out)):
        total += p.triple[p.slots[_product_hash(item[i], category[i], brand[i]) & mask], 0]
    for i in range(len(out)):
        out[i] = intern_product(p, item[i], category[i], brand[i])
    return total


class Dictionaries:
    """All dictionaries of a partition."""

    def __init__(self, *, users: int, shops: int, channels: int, names: int, products: int) -> None:
        self.users = Names(users)
        self.shop = Names(shops)
        self.item = Names(names)
        self.category = Names(names)
        self.brand = Names(names)
        self.channel = Names(channels)
        self.currency = Names(300)
        self._parent = np.zeros(channels + 4, np.int32)
        self._parents = 0
        self.listed = reserve((names + 4,), np.int32)
        """[items] the day on which an item was listed, 0 where that is not known (processors.listings)."""
        self.over_bound: dict[str, int] = {}
        """Events with a name that counts under `_other`, by kind."""
        triple = reserve((products + 2, 3), np.int32)
        self.products = Products(np.zeros(64, np.int32), triple, np.array([0, products], np.int64))
        # Number 1 is what overflows: the triple of overflow names.
        self.product(OTHER, OTHER, OTHER)

    def named(self, kind: str) -> Names:
        """The dictionary of one of `DICTIONARIES`."""
        return {
            "shop": self.shop,
            "item": self.item,
            "category": self.category,
            "brand": self.brand,
            "channel": self.channel,
            "currency": self.currency,
        }[kind]

    def is_full(self, kind: str) -> bool:
        """Whether names of this kind ("product" too) that are new count under `_other` from now on."""
        count = self.products.count if kind == "product" else self.named(kind).table.count
        return bool(count[0] >= count[1])

    def close(self) -> None:
        """From now on new items, categories, brands and channels count under `_other`."""
        for names in (self.item, self.category, self.brand, self.channel):
            names.close()

    def product(self, item: int, category: int, brand: int) -> int:
        """The number of a product, given on first use."""
        self._room_for_products(1)
        return int(intern_product(self.products, item, category, brand))

    def add_products(self, triples: NDArray[np.int32]) -> int:
        """Number many products given as [n, 3] item, category, brand; the number of the last one."""
        self._room_for_products(len(triples))
        return int(intern_products(self.products, triples))

    def intern(self, decoded: Decoded) -> Interned:
        """The numbers of a batch's names. Raises PoolError when users exceed their bound, since none may be lost."""
        n = len(decoded)
        spans = decoded.spans
        sizes = spans[:, :, 1].sum(axis=0, dtype=np.int64).tolist()
        self._room_for_users(n, sizes[USER_ID])
        for kind, field in zip(DICTIONARIES, _COLUMNS, strict=True):
            if sizes[field]:
                self.named(kind).make_room(n, sizes[field])
        self._room_for_products(n)
        column = {kind: np.zeros(n, np.int32) for kind in ("user", *DICTIONARIES, "product")}
        hashes = np.empty(n, np.int64)
        intern_column(self.users.table, decoded.buffer, spans, USER_ID, hashes, column["user"])
        for kind, field in zip(DICTIONARIES, _COLUMNS, strict=True):
            if sizes[field]:
                intern_column(self.named(kind).table, decoded.buffer, spans, field, hashes, column[kind])
        intern_triples(self.products, column["item"], column["category"], column["brand"], column["product"])
        for kind, numbers in column.items():
            if kind != "user" and self.is_full(kind):
                self.over_bound[kind] = self.over_bound.get(kind, 0) + int((numbers == OTHER).sum())
        return Interned(column["user"], column["shop"], column["product"], column["channel"], column["currency"])

    def intern_users(self, names: Sequence[bytes]) -> list[int]:
        """The numbers of users, given on first use. Raises PoolError beyond the bound."""
        if not names:
            return []
        joined = b"".join(names)
        self.users.make_room(len(names), len(joined))
        spans = np.zeros((len(names), 1, 2), np.int32)
        spans[:, 0, 1] = lengths = np.fromiter(map(len, names), np.int64, len(names))
        spans[1:, 0, 0] = np.cumsum(lengths)[:-1]
        numbers = np.zeros(len(names), np.int32)
        text = np.frombuffer(joined, np.uint8)
        intern_column(self.users.table, text, spans, 0, np.empty(len(names), np.int64), numbers)
        # Most are known already, so only a name that got no number of its own tells that the bound is met.
        if any(names[i] != OTHER_NAME for i in np.flatnonzero(numbers == OTHER).tolist()):
            raise self._too_many_users()
        return [int(number) for number in numbers]

    @property
    def facets(self) -> Facets:
        """What products and channels stand for; call it after names were added."""
        while self._parents < len(self.channel):
            self._parents += 1
            level_1 = self.channel.name(self._parents).split(b"/")[0]
            self._parent[self._parents] = self.channel.number(level_1)
        triple = self.products.triple
        return Facets(triple[:, 0], triple[:, 1], triple[:, 2], self._parent, self.listed)

    def _room_for_users(self, new: int, new_bytes: int) -> None:
        self.users.make_room(new, new_bytes)
        if len(self.users) + new > int(self.users.table.count[1]):
            raise self._too_many_users()

    def _too_many_users(self) -> PoolError:
        bound = int(self.users.table.count[1]) - 1
        return PoolError(f"the bound of {bound:,} users a partition is met: raise SMART_MAX_USERS")

    def _room_for_products(self, new: int) -> None:
        count = int(self.products.count[0])
        if 2 * (count + new) > len(self.products.slots):
            slots = grown(self.products.slots, 4 * (count + new))
            _rehash_products(self.products, slots)
            self.products = self.products._replace(slots=slots)
