"""The catalogue as a worker knows it: the newest record of each item, by its update time.

A million items in plain columns: what is kept of each is enough to make its record again. The core needs the day of
listing, and looks up the items of a partition by name, many at a time; who asks for new-product power needs how many
items a shop has on sale, by the day of their listing. An event's own category stands; the path above it is from here.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from processors.calendar import NO_DAY, date_of
from processors.decode.items import day_listed
from processors.names import OTHER, Names, Table, find_all
from processors.pool import reserve
from schemas.item import Item

Value = TypeVar("Value")
ABSENT, KNOWN, DELETED, UNREADABLE = range(4)
"""What is known of an item: nothing, its record, that this has been deleted, or that there is one which is refused."""
KEEP: Final = -1
"""Stands for the listing day of an item whose only record is refused: what was in force stays."""


class OnSale(NamedTuple):
    """How many items a shop has on sale."""

    shop: str
    by_day: dict[int, int]
    """Day of listing, NO_DAY where that is not known → items; 0 where there are none any more."""
    is_whole: bool
    """These are all the days that there are."""


class _Numbered(Generic[Value]):
    """Values to small numbers, for columns."""

    def __init__(self) -> None:
        self._numbers: dict[Value, int] = {}
        self._values: list[Value] = []

    def __getitem__(self, number: int) -> Value:
        return self._values[number]

    def number(self, value: Value) -> int:
        """The number of a value, given on first use."""
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number


class Catalogue:
    """Items by name. Nobody acts on it before `complete` has been called: an item may only not have come yet."""

    def __init__(self, max_items: int) -> None:
        self.is_whole = False
        self.changes: list[int] = []
        """Items whose day of listing is another one than before, in the order in which that became known."""
        self._names = Names(max_items)
        bound = max_items + 2
        self._state = reserve((bound,), np.int8)
        self._updated_ms = reserve((bound,), np.int64)
        self._listed = reserve((bound,), np.int32)
        self._shop = reserve((bound,), np.int32)
        self._path = reserve((bound,), np.int32)
        self._price = reserve((bound,), np.int64)
        self._currency = reserve((bound,), np.int32)
        self._is_on_sale = reserve((bound,), np.bool_)
        self._texts = _Numbered[str | None]()
        self._paths = _Numbered[tuple[str, ...]]()
        self._on_sale: dict[str, Counter[int]] = {}
        self._unshown: dict[str, set[int] | None] = {}
        """Shop → days of listing whose number of items has changed; None: none has ever been shown."""
        self._n_known = 0

    def __len__(self) -> int:
        """Items with a record."""
        return self._n_known

    def complete(self) -> None:
        """All records that there were when the reading began have come."""
        if not self.is_whole:
            self.is_whole = True
            self.changes.clear()  # nobody has followed them yet

    def note(self, item: Item) -> bool:
        """Take in a record; tells whether it is the one in force now. One beyond the bound never is."""
        number = self._names.number(item.item_id)
        if number == OTHER:
            return False
        is_known = bool(self._state[number] == KNOWN)
        if is_known or self._state[number] == DELETED:
            order = item.updated_ms - int(self._updated_ms[number])
            if order == 0 and is_known:
                order = item.digest() - self._item(item.item_id, number).digest()
            if order <= 0:
                return is_known and order == 0
        if is_known:
            self._count(number, -1)
        else:
            self._n_known += 1
        self._state[number] = KNOWN
        self._updated_ms[number] = item.updated_ms
        self._shop[number] = self._texts.number(item.shop_id)
        self._path[number] = self._paths.number(item.path)
        self._price[number] = -1 if item.price_minor is None else item.price_minor
        self._currency[number] = self._texts.number(item.currency)
        self._is_on_sale[number] = item.is_on_sale
        self._list(number, day_listed(item.listed_on) if item.listed_on is not None else NO_DAY)
        self._count(number, 1)
        return True

    def delete(self, item_id: bytes) -> None:
        """A tombstone: nothing is known of the item until a record of a later instant than the one in force comes."""
        number = self._names.get(item_id)
        if not number or self._state[number] in (ABSENT, DELETED):
            return
        if self._state[number] == KNOWN:
            self._count(number, -1)
            self._n_known -= 1
        self._state[number] = DELETED if self._state[number] == KNOWN else ABSENT
        self._list(number, NO_DAY)

    def is_deleted(self, item_id: bytes) -> bool:
        """Whether a record was in force and a tombstone has come for it."""
        number = self._names.get(item_id)
        return bool(number and self._state[number] == DELETED)

    def note_unreadable(self, item_id: bytes) -> None:
        """The item has a record that is refused: the former one stays in force, though it may never have been seen."""
        number = self._names.number(item_id)
        if number != OTHER and self._state[number] == ABSENT:
            self._state[number] = UNREADABLE
            self._list(number, KEEP)

    def item(self, item_id: bytes) -> Item | None:
        """The record in force."""
        number = self._names.get(item_id)
        return self._item(item_id, number) if number and self._state[number] == KNOWN else None

    def _item(self, item_id: bytes, number: int) -> Item:
        listed, price = int(self._listed[number]), int(self._price[number])
        return Item(
            item_id,
            int(self._updated_ms[number]),
            self._texts[self._shop[number]] or "",
            self._paths[self._path[number]],
            date_of(listed).isoformat() if listed != NO_DAY else None,
            price if price >= 0 else None,
            self._texts[self._currency[number]],
            bool(self._is_on_sale[number]),
        )

    def path(self, item_id: bytes) -> tuple[str, ...]:
        """The categories above and with the leaf, from the root on; () where they are not known."""
        number = self._names.get(item_id)
        return self._paths[self._path[number]] if number and self._state[number] == KNOWN else ()

    def listed(self, names: Table, first: int, end: int) -> NDArray[np.int32]:
        """Day of listing of the names first … end - 1 of a dictionary: NO_DAY where it is not known, or KEEP."""
        return self._listed[self._numbers(names, first, end)]

    def unknown(self, names: Table, first: int, end: int) -> int:
        """How many of the names first … end - 1 have no record."""
        return int((self._state[self._numbers(names, first, end)] != KNOWN).sum())

    def names_of(self, numbers: Sequence[int]) -> list[bytes]:
        """The names of items such as `changes` lists."""
        return [self._names.name(number) for number in numbers]

    def take_on_sale(self) -> Iterator[OnSale]:
        """What has changed of the numbers of items on sale since the last take."""
        for shop, days in self._unshown.items():
            known = self._on_sale[shop]
            yield OnSale(shop, dict(known) if days is None else {day: known[day] for day in days}, days is None)
            if days is None:
                self._on_sale[shop] = +known
        self._unshown.clear()

    def refresh(self) -> None:
        """Give all numbers of items on sale once more."""
        self._unshown = dict.fromkeys(self._on_sale)

    def _numbers(self, names: Table, first: int, end: int) -> NDArray[np.int64]:
        found = np.zeros(end - first, np.int64)
        find_all(self._names.table, names, found, first)
        return found

    def _list(self, number: int, day: int) -> None:
        if self._listed[number] != day:
            self._listed[number] = day
            self.changes.append(number)

    def _count(self, number: int, by: int) -> None:
        """The item comes to what its shop has on sale, or goes."""
        if not self._is_on_sale[number]:
            return
        shop, day = self._texts[self._shop[number]] or "", int(self._listed[number])
        if shop not in self._on_sale:
            self._on_sale[shop] = Counter()
            self._unshown[shop] = None
        self._on_sale[shop][day] += by
        days = self._unshown.setdefault(shop, set())
        if days is not None:
            days.add(day)
