"""Everything that is known, in plain form: who was active where, and what was bought (docs/concepts/ledger.md).

This is what a recount starts from. It is made either of the durable ledgers, the newest changelog record of each key,
or of the accepted events themselves. It shares no code with the fold: segments are cut by hand, versions and refunds
are joined in dictionaries. Names are numbered over all partitions; users are never compared across them.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.decode import Decoded
from processors.decode.columns import (
    BRAND_ID,
    CATEGORY_ID,
    CHANNEL,
    CURRENCY,
    EVENT_ID,
    ITEM_ID,
    LINE_ID,
    ORDER_ID,
    SHOP_ID,
    USER_ID,
)
from processors.ledger import (
    CHANNEL_MASK,
    CHANNEL_SHIFT,
    CURRENCY_SHIFT,
    DAY_SHIFT,
    PRODUCT_MASK,
    SHOP_MASK,
    SHOP_SHIFT,
)
from processors.segments import KEY_HEAD, KEY_PREFIX, VERSION
from schemas.durable import LISTED_PREFIX, DurableError, decode_block, decode_listed, is_block
from schemas.event import N_ACTIVE, Action
from schemas.profile import PROFILE_PREFIX, Profile, decode_durable

NAMED = ("shop", "item", "category", "brand", "channel", "currency")
USER, DAY, SHOP, ITEM, CATEGORY, BRAND, CHANNEL_NAME, AMOUNT, QUANTITY, MONEY = range(10)
"""Columns of facts: cells have the first seven, lines all. Names are numbers of `Evidence.numbers`, 0 = absent."""
N_CELL, N_LINE = 7, 10
_FIRST_NAMES = (b"", b"_other")
"""Numbers 0 and 1 of every dictionary of a partition."""
_USER_SHIFT = 32
_FIXED = 10

Array = NDArray[np.int64]


class Facts(NamedTuple):
    """What one partition knows."""

    cells: Array
    """[n, 7]: a user was active on a day at a place; rows may repeat."""
    lines: Array
    """[m, 10]: purchase lines with what is left of them after refunds; only those that still have a quantity."""
    zones: dict[str, str]
    """Shop → the zone in which its dates were taken, where the source tells."""
    profiles: dict[int, int]
    """User → code of the profile, of those who have one; nothing is known of the others."""
    listed: dict[int, int]
    """Item → the day number of its listing, of those that have one."""


class Numbers:
    """Names to numbers, over all partitions; 0 stands for an absent one."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {kind: {"": 0} for kind in NAMED}

    def of(self, kind: str, name: str) -> int:
        """The number of a name, given on first use."""
        known = self._numbers[kind]
        return known.setdefault(name, len(known))

    def find(self, kind: str, name: str) -> int | None:
        """The number of a name, None for one never seen."""
        return self._numbers[kind].get(name)

    def names(self, kind: str) -> list[str]:
        """All names of a kind in the order of their numbers."""
        return list(self._numbers[kind])


class Evidence:
    """Facts of all partitions; each partition's may be put again."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self._facts: dict[int, Facts] = {}
        self._ledgers: dict[int, _Ledgers] = {}

    def put_ledgers(
        self, partition: int, records: Mapping[bytes, bytes], changed: Iterable[bytes] | None = None
    ) -> None:
        """The newest changelog records of a partition, without tombstones. Raises DurableError.

        changed: all keys whose records are new, other ones, or gone since they were put last; None: any may be.
        """
        ledgers = self._ledgers.pop(partition, None)
        if ledgers is None or changed is None:
            ledgers, changed = _Ledgers(partition, self.numbers), records.keys()
        ledgers.update(records, changed)
        self._ledgers[partition] = ledgers  # one that could not be read is read anew
        self._facts[partition] = ledgers.facts

    def put_events(
        self,
        partition: int,
        batches: Iterable[Decoded],
        day_at: Callable[[str, int], int],
        profiles: Iterable[Profile] = (),
        listed: Mapping[str, int] | None = None,
    ) -> None:
        """All accepted events of a partition, and profiles in the order of their topic. day_at: (shop, instant in ms) →
        day number in the shop's zone; listed: item → the day number of its listing.
        """
        days = {self.numbers.of("item", item): day for item, day in (listed or {}).items()}
        self._facts[partition] = _of_events(partition, batches, day_at, self.numbers, profiles)._replace(listed=days)

    @property
    def parts(self) -> Iterable[Facts]:
        """What each partition knows."""
        return self._facts.values()

    @property
    def cells(self) -> Array:
        """[n, 7] of all partitions."""
        return np.concatenate([np.zeros((0, N_CELL), np.int64), *(facts.cells for facts in self._facts.values())])

    @property
    def lines(self) -> Array:
        """[m, 10] of all partitions."""
        return np.concatenate([np.zeros((0, N_LINE), np.int64), *(facts.lines for facts in self._facts.values())])

    @property
    def profiles(self) -> dict[int, int]:
        """User → code of the profile, over all partitions."""
        return {user: code for facts in self._facts.values() for user, code in facts.profiles.items()}

    @property
    def listed(self) -> dict[int, dict[int, int]]:
        """Partition → item → the day number of its listing, as the partition has it."""
        return {partition: facts.listed for partition, facts in self._facts.items()}

    @property
    def zones(self) -> dict[str, str]:
        """Shop → zone, where it is known."""
        return {shop: zone for facts in self._facts.values() for shop, zone in facts.zones.items()}


# ---------------------------------------------------------------------- from ledgers


class _Dictionaries(NamedTuple):
    """A partition's own numbers → the evidence's."""

    named: dict[str, Array]
    products: Array
    """[p, 3] item, category, brand; already the evidence's numbers."""


class _Ledgers:
    """The facts of one partition's ledgers. A user of whom any segment has changed is read anew, the others stay."""

    def __init__(self, partition: int, numbers: Numbers) -> None:
        self.facts = Facts(np.zeros((0, N_CELL), np.int64), np.zeros((0, N_LINE), np.int64), {}, {}, {})
        self._partition = partition
        self._numbers = numbers
        self._users: dict[bytes, int] = {}
        self._segments: dict[int, tuple[bytes, ...]] = {}
        """User → the keys of their segments."""
        self._names: dict[str, dict[int, int]] = {
            kind: {n: numbers.of(kind, name.decode()) for n, name in enumerate(_FIRST_NAMES)} for kind in NAMED
        }
        self._triples: dict[int, tuple[int, ...]] = {0: (0, 0, 0), 1: (1, 1, 1)}
        self._listed: dict[int, Array] = {}
        """The first item of a record → their days of listing."""
        self._dictionaries = self._joined()

    def update(self, records: Mapping[bytes, bytes], changed: Iterable[bytes]) -> None:
        """Take in what has changed of the newest records. Raises DurableError."""
        zones, blocks, users = dict(self.facts.zones), [], set[int]()
        for key in changed:
            if key[:1] == bytes([KEY_PREFIX]):
                users.add(self._note_segment(key, is_there=key in records))
            elif key[:1] == PROFILE_PREFIX:
                self._note_profile(key, records.get(key))
            elif key[:1] == LISTED_PREFIX:
                first, days = decode_listed(key, records.get(key))
                self._listed[first] = np.frombuffer(days, "<i4").astype(np.int64)
            elif is_block(key) and key in records:
                blocks.append(decode_block(key, records[key]))
        for block in blocks:
            if block.kind == "product":
                triples = np.frombuffer(block.triples, "<i4").reshape(-1, 3).tolist()
                self._triples.update(enumerate(map(tuple, triples), block.first))
                continue
            numbers = (self._numbers.of(block.kind, name.decode()) for name in block.names)
            self._names[block.kind].update(enumerate(numbers, block.first))
            if block.zones:
                zones.update({name.decode(): zone for name, zone in zip(block.names, block.zones, strict=True)})
        if blocks:
            self._dictionaries = self._joined()
        cells, lines = self._read(users, records)
        read = np.array(sorted(users), np.int64)
        cells, lines = _replaced(self.facts.cells, read, cells), _replaced(self.facts.lines, read, lines)
        self.facts = Facts(cells, lines, zones, self.facts.profiles, self._days_listed())

    def _note_segment(self, key: bytes, *, is_there: bool) -> int:
        """Note that a segment is there or gone; returns the number of its user."""
        user = self._number(key[KEY_HEAD:])
        others = tuple(known for known in self._segments.get(user, ()) if known != key)
        self._segments[user] = (*others, key) if is_there else others
        return user

    def _note_profile(self, key: bytes, value: bytes | None) -> None:
        user = self._number(key[len(PROFILE_PREFIX) :])
        self.facts.profiles.pop(user, None)
        if value is not None:
            self.facts.profiles[user] = decode_durable(key, value).code

    def _days_listed(self) -> dict[int, int]:
        names = self._names["item"]
        return {
            names[first + i]: int(days[i])
            for first, days in self._listed.items()
            for i in np.flatnonzero(days).tolist()
        }

    def _number(self, name: bytes) -> int:
        """The number of a user, given on first use."""
        return (self._partition << _USER_SHIFT) | self._users.setdefault(name, len(self._users))

    def _joined(self) -> _Dictionaries:
        named = {kind: np.array([known[n] for n in range(len(known))], np.int64) for kind, known in self._names.items()}
        local = np.array([self._triples[n] for n in range(len(self._triples))], np.int64)
        products = np.stack([named[kind][local[:, i]] for i, kind in enumerate(("item", "category", "brand"))], axis=1)
        return _Dictionaries(named, products)

    def _read(self, users: Iterable[int], records: Mapping[bytes, bytes]) -> tuple[Array, Array]:
        """Rows of cells and of lines of these users."""
        cells: list[tuple[int, Array]] = []
        lines: list[tuple[int, Array]] = []
        refunds: dict[tuple[int, int, int], list[Array]] = {}
        for user in users:
            for key in self._segments[user]:
                words = _opened(key, records[key])
                n_cells, top = int(words[0]) >> 8, 2
                n_lines, n_refunds = int(words[1]) & 0xFFFFFFFF, int(words[1]) >> 32
                cells.append((user, words[top : top + 2 * n_cells].reshape(-1, 2)))
                versions = list(_versions(words, top + 2 * n_cells, n_lines + n_refunds))
                lines += [(user, line) for line in versions[:n_lines]]
                for refund in versions[n_lines:]:
                    refunds.setdefault((user, int(refund[2]), int(refund[3])), []).append(refund)
        return _cell_rows(cells, self._dictionaries), _line_rows(lines, refunds, self._dictionaries)


def _replaced(rows: Array, users: Array, by: Array) -> Array:
    """The rows with those of some users replaced."""
    return np.concatenate([rows[~np.isin(rows[:, USER], users)], by]) if len(rows) else by


def _opened(key: bytes, value: bytes) -> Array:
    """The words of a segment without its checksum."""
    if len(value) < 24 or len(value) % 8 or value[0] != VERSION:
        raise DurableError(f"the segment of period {int.from_bytes(key[1:KEY_HEAD], 'big')} of a user cannot be read")
    words = np.frombuffer(value, "<i8")
    if zlib.crc32(value[:-8]) != int(words[-1]):
        raise DurableError("a segment has a wrong checksum: restore the changelog topic")
    return words[:-1].astype(np.int64)


def _versions(words: Array, top: int, n: int) -> Iterator[Array]:
    """The fixed words of n lines or refunds; their event ids and bytes are passed over."""
    for _ in range(n):
        yield words[top : top + _FIXED]
        lengths = int(words[top + 7])
        top += _FIXED + ((lengths & 0xFFFF) + (lengths >> 16) + 7) // 8


def _cell_rows(cells: list[tuple[int, Array]], dictionaries: _Dictionaries) -> Array:
    joined = np.concatenate([np.zeros((0, 2), np.int64), *(words for _, words in cells)])
    users = np.repeat(np.array([user for user, _ in cells], np.int64), [len(words) for _, words in cells])
    return _places(users, joined[:, 0], joined[:, 1] & PRODUCT_MASK, dictionaries)


def _places(users: Array, places: Array, products: Array, dictionaries: _Dictionaries) -> Array:
    """[n, 7] of packed places and product numbers."""
    shops = dictionaries.named["shop"][places >> SHOP_SHIFT & SHOP_MASK]
    channels = dictionaries.named["channel"][places >> CHANNEL_SHIFT & CHANNEL_MASK]
    triples = dictionaries.products[products]
    return np.stack([users, places >> DAY_SHIFT, shops, *triples.T, channels], axis=1)


def _line_rows(
    lines: list[tuple[int, Array]], refunds: Mapping[tuple[int, int, int], list[Array]], dictionaries: _Dictionaries
) -> Array:
    rows = np.zeros((len(lines), N_LINE), np.int64)
    words = np.array([line for _, line in lines], np.int64).reshape(-1, _FIXED)
    users = np.array([user for user, _ in lines], np.int64)
    rows[:, :N_CELL] = _places(users, words[:, 2], words[:, 3] & PRODUCT_MASK, dictionaries)
    rows[:, AMOUNT : QUANTITY + 1] = words[:, 4:6]
    currencies = words[:, 3] >> CURRENCY_SHIFT
    rows[:, MONEY] = dictionaries.named["currency"][currencies]
    for i, (user, line) in enumerate(lines):
        known = refunds.get((user, int(line[0]), int(line[1])))
        if known:
            taken = [(int(r[4]), int(r[5]), int(r[8]) >> CURRENCY_SHIFT) for r in known]
            own = int(currencies[i])
            left = _net(int(line[4]), int(line[5]), [(a, q) for a, q, currency in taken if currency in (0, own)])
            rows[i, AMOUNT : QUANTITY + 1] = left
    return rows[rows[:, QUANTITY] > 0]


def _net(amount: int, quantity: int, refunds: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """What is left of a line after refunds given as (amount, quantity), -1 where absent: sums are clipped, not each.

    >>> _net(100, 2, [(-1, 1), (60, -1), (60, -1)]), _net(100, 2, [(-1, -1)]), _net(100, 2, [(10, 2)])
    ((0, 1), (0, 0), (0, 0))
    """
    line = amount, quantity
    for taken in refunds:
        whole = taken == (-1, -1)
        amount -= line[0] if whole else max(taken[0], 0)
        quantity -= line[1] if whole else max(taken[1], 0)
    return (max(amount, 0), quantity) if quantity > 0 else (0, 0)


# ---------------------------------------------------------------------- from events


class _Event(NamedTuple):
    """One accepted event, its texts taken out of the columns."""

    texts: list[bytes]
    action: int
    event_ms: int
    amount_minor: int
    quantity: int
    raw: bytes

    @property
    def version(self) -> tuple[int, bytes, bytes]:
        return self.event_ms, self.texts[EVENT_ID], self.raw

    @property
    def line(self) -> tuple[bytes, bytes, bytes, bytes]:
        return self.texts[USER_ID], self.texts[SHOP_ID], self.texts[ORDER_ID], self.texts[LINE_ID]


def _events(decoded: Decoded) -> Iterator[_Event]:
    text = decoded.buffer.tobytes()
    columns = (decoded.action, decoded.event_ms, decoded.amount_minor, decoded.quantity)
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    for spans, raw, (action, event_ms, amount, quantity) in zip(
        decoded.spans.tolist(), decoded.raw.tolist(), numbers, strict=True
    ):
        texts = [text[at : at + length] for at, length in spans]
        yield _Event(texts, action, event_ms, amount, quantity, text[raw[0] : raw[0] + raw[1]])


def _of_events(
    partition: int,
    batches: Iterable[Decoded],
    day_at: Callable[[str, int], int],
    numbers: Numbers,
    profiles: Iterable[Profile],
) -> Facts:
    users: dict[bytes, int] = {}
    cells: set[tuple[int, ...]] = set()
    purchases: dict[tuple[bytes, ...], _Event] = {}
    refunds: dict[tuple[bytes, bytes], _Event] = {}

    def place(event: _Event) -> tuple[int, ...]:
        user = (partition << _USER_SHIFT) | users.setdefault(event.texts[USER_ID], len(users))
        shop, item, category, brand, channel = (
            event.texts[column].decode() for column in (SHOP_ID, ITEM_ID, CATEGORY_ID, BRAND_ID, CHANNEL)
        )
        return (
            user, day_at(shop, event.event_ms), numbers.of("shop", shop), numbers.of("item", item),
            numbers.of("category", category), numbers.of("brand", brand), numbers.of("channel", channel),
        )  # fmt: skip

    for decoded in batches:
        for event in _events(decoded):
            if event.action < N_ACTIVE:
                cells.add(place(event))
            if event.action == Action.PURCHASE:
                former = purchases.setdefault(event.line, event)
                purchases[event.line] = max(former, event, key=lambda one: one.version)
            elif event.action == Action.REFUND:
                name = event.texts[USER_ID], event.texts[EVENT_ID]
                refunds[name] = max(refunds.get(name, event), event, key=lambda one: one.version)
    taken: dict[tuple[bytes, ...], list[_Event]] = {}
    for refund in refunds.values():
        taken.setdefault(refund.line, []).append(refund)
    lines = []
    for line, event in purchases.items():
        currency = event.texts[CURRENCY]
        same = [one for one in taken.get(line, ()) if one.texts[CURRENCY] in (b"", currency)]
        amount, quantity = _net(event.amount_minor, event.quantity, [(one.amount_minor, one.quantity) for one in same])
        if quantity > 0:
            lines.append((*place(event), amount, quantity, numbers.of("currency", currency.decode())))
    known = {name: code for name, code in _newest_codes(profiles).items() if name in users}
    codes = {(partition << _USER_SHIFT) | users[name]: code for name, code in known.items()}
    return Facts(
        np.array(list(cells), np.int64).reshape(-1, N_CELL),
        np.array(lines, np.int64).reshape(-1, N_LINE),
        {},
        codes,
        {},
    )


def _newest_codes(profiles: Iterable[Profile]) -> dict[bytes, int]:
    """User → code of the newest profile; one that deletes counts from its place in the topic on."""
    newest: dict[bytes, Profile] = {}
    for profile in profiles:
        known = newest.get(profile.user_id)
        if known is None or not profile.raw or profile[1:3] > known[1:3]:
            newest[profile.user_id] = profile
    return {user: profile.code for user, profile in newest.items()}
