"""One partition's world: the ledgers of its users, the counters over them, and both as durable records.

A `Partition` is what a worker keeps for each source partition that it owns, and what a backtest keeps for all. It takes
decoded batches, in any order and any number of times, and answers with records: changed ledger segments, new dictionary
entries, changed difference pages. It does no I/O and reads no clock: the date that it works towards is handed in.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from processors.calendar import DAY_MS, Zones, date_of
from processors.catalogue import Catalogue
from processors.counters import (
    BASE_PAGE,
    BRAND,
    EVERYBODY,
    KEY_SHOP_SHIFT,
    KEY_VALUE_MASK,
    KIND_SHIFT,
    MARKET,
    MARKET_CATEGORY,
    N_COUNTS,
    N_KINDS,
    N_MONEY,
    PAGE_DAYS,
    PAID_LINES,
    SHOP,
    SHOP_AGE,
    SHOP_BRAND,
    SHOP_CATEGORY,
    SHOP_CHANNEL_1,
    SHOP_CHANNEL_2,
    SHOP_GENDER,
    SHOP_GROUP,
    SHOP_ITEM,
    SHOP_NEW,
    SHOP_POWER,
    Counters,
    Turn,
    dirty_count,
    find_row,
    floor_day,
    has_lines,
    new_counters,
    note_waiting,
    raise_floor,
    read_series,
    row_count,
    scope_key,
    take_dirty,
    with_room,
)
from processors.counting import Scratch, count_some, most_lines, recount, regrade
from processors.decode.columns import ORDER_ID, Decoded
from processors.facets import DICTIONARIES, Dictionaries
from processors.fold import Batch, fold_batch, note_lines
from processors.intraday.minutes import Intraday, IntradayConfig
from processors.ledger import (
    CELLS,
    LINES,
    MAX_CHANNELS,
    MAX_SHOPS,
    N_LISTS,
    PERIOD_SHIFT,
    REFUNDS,
    new_ledger,
    refunds_without_effect,
)
from processors.listings import Listings, users_concerned
from processors.pages import MAX_PAGE_BYTES, encode_pages, page_key, page_of
from processors.pool import PoolError, reserve
from processors.profiles import Profiles
from processors.segments import (
    BAD_CHECKSUM,
    BAD_KEY,
    BAD_VERSION,
    TRUNCATED,
    Records,
    encode_touched,
    line_identities,
    load_segments,
    trim,
)
from processors.waiting import CROSSED_KINDS, WaitingPages
from schemas.durable import (
    BLOCK_PREFIX,
    LISTED_PREFIX,
    MARKS_PREFIX,
    WAITING_PREFIX,
    DictionaryBlock,
    DurableError,
    decode_block,
    encode_block,
)
from schemas.profile import ATTRIBUTES, PROFILE_PREFIX, Profile
from schemas.scopes import Scope

KINDS = {
    "shop": (SHOP,),
    "category": (SHOP_CATEGORY,),
    "item": (SHOP_ITEM,),
    "brand": (SHOP_BRAND,),
    "channel": (SHOP_CHANNEL_1, SHOP_CHANNEL_2),
    "new": (SHOP_NEW,),
    "market": (MARKET,),
    "market-category": (MARKET_CATEGORY,),
    "brand-wide": (BRAND,),
    "group": (SHOP, SHOP_GROUP),
    "power": (SHOP, SHOP_POWER),
    "age": (SHOP, SHOP_AGE),
    "gender": (SHOP, SHOP_GENDER),
}
"""Words for what scopes are kept → kinds of counter rows. What is crossed with profiles is counted with its shop."""

_CROSSED_WITH = {
    SHOP_CATEGORY: "category",
    SHOP_ITEM: "item",
    SHOP_BRAND: "brand",
    SHOP_CHANNEL_1: "channel",
    SHOP_CHANNEL_2: "channel",
    SHOP_NEW: "new",
    BRAND: "brand",
    MARKET_CATEGORY: "category",
    SHOP_GROUP: "group",
    SHOP_POWER: "power",
    SHOP_AGE: "age",
    SHOP_GENDER: "gender",
}
_KIND_OF_SHOPS = {cross: kind for kind, cross in _CROSSED_WITH.items() if kind not in (BRAND, MARKET_CATEGORY)}
_DICTIONARY_OF = {"new": "channel"}
"""Whose names the values of a cross are, where they are not its own."""
_AHEAD_DAYS = 366 + 2 * PAGE_DAYS
"""A fact of today changes T up to a year ahead."""
_FACTS_AT_A_TIME = 100_000
_LAST_DAY = 47_483
"""Day number of 2100-01-01: no event is later."""
_REACH_DAYS = 446
"""Days of the ring besides the horizon: what lies ahead, and the step in which the floor rises."""
_FLOOR_STEP_DAYS = 64
"""The floor rises in steps, so that bases change a few times a year."""
_ROWS_FOR_NAMES = 7 / 8
"""Share of the rows from which on new names count under `_other`: the rest is for known names in other shops."""
_TRIM_USERS = 2_000
"""So many users are trimmed with one take of records: each is written then."""
_BLOCK = 4096
"""Names a dictionary record holds at most."""
_NOT_SEGMENTS = frozenset({BLOCK_PREFIX, PROFILE_PREFIX, MARKS_PREFIX, LISTED_PREFIX, WAITING_PREFIX})
_FAULTS = {
    TRUNCATED: "is cut off",
    BAD_VERSION: "has another version",
    BAD_CHECKSUM: "has a wrong checksum",
    BAD_KEY: "has a bad key",
}


@dataclass(frozen=True)
class CoreConfig:
    """What a partition keeps. Days, not dates: windows are at most 365."""

    windows: tuple[int, ...] = (1, 7, 30, 365)
    scopes: frozenset[str] = frozenset({"shop", "market"})
    default_zone: str = "Asia/Shanghai"
    horizon_days: int = 731
    """T from today − horizon on can be asked."""
    ring_days: int = 2048
    """Days that pages can cover at a time; a power of two above horizon + 446."""
    activity_days: int | None = 1096
    """Activity older than this is not kept; None keeps all."""
    purchase_days: int | None = 1460
    max_users: int = 1 << 22
    max_shops: int = MAX_SHOPS - 2
    max_channels: int = 1000
    max_names: int = 1 << 22
    max_products: int = 1 << 24
    max_rows: int = 1 << 20
    intraday: IntradayConfig = field(default_factory=IntradayConfig)

    def __post_init__(self) -> None:
        if not self.windows or not all(1 <= w <= 365 for w in self.windows):
            raise ValueError(f"windows must be 1 to 365 days, got {self.windows}")
        if self.ring_days & (self.ring_days - 1) or self.ring_days < min(self.horizon_days, _LAST_DAY) + _REACH_DAYS:
            raise ValueError(f"ring_days must be a power of two of at least horizon_days + {_REACH_DAYS}")
        unknown = self.scopes - KINDS.keys()
        if unknown:
            raise ValueError(f"unknown scopes {sorted(unknown)}: expected some of {', '.join(KINDS)}")
        if self.max_channels > MAX_CHANNELS - 2 or self.max_shops > MAX_SHOPS - 2:
            raise ValueError(f"at most {MAX_CHANNELS - 2} channels and {MAX_SHOPS - 2} shops fit a ledger cell")

    @property
    def figures(self) -> str:
        """What decides the content of counters and pages: with another, both have to be made anew."""
        return f"{self.windows} {sorted(self.scopes)} {self.default_zone}"

    @property
    def mask(self) -> int:
        """One bit a kept kind of counter rows."""
        return sum(1 << kind for kind in {kind for word in self.scopes for kind in KINDS[word]})

    @property
    def has_crosses(self) -> bool:
        """Whether anything is kept besides shops and the market."""
        return bool(self.mask & CROSSED_KINDS)

    @property
    def ledger_mask(self) -> int:
        """One bit a kept kind that the ledger alone decides."""
        return self.mask & ((1 << N_KINDS) - 1)


def ring_days(horizon_days: int) -> int:
    """Days that pages have to cover for a horizon: a power of two.

    >>> ring_days(731)
    2048
    """
    return max(1 << (horizon_days + _REACH_DAYS - 1).bit_length(), 2048)


class Sizes(NamedTuple):
    """How much a partition holds."""

    users: int
    cells: int
    lines: int
    refunds: int
    names: int
    rows: int
    bytes: int


class Partition:
    """Ledgers, dictionaries and counters of one partition.

    `zone_of` tells a shop's zone at its first event; it is fixed from then on. `catalogue` says since when items are
    listed; what it says otherwise later is taken in by `follow_catalogue`.
    """

    def __init__(
        self,
        config: CoreConfig,
        today: int,
        *,
        number: int = 0,
        zone_of: Callable[[str], str | None] | None = None,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.config = config
        self.number = number
        self.today = today
        """The day number towards which pages are kept; only rises."""
        self.first_day = 0
        """The first business day with data, 0 while there is none."""
        self.last_day = 0
        self.dictionaries = Dictionaries(
            users=config.max_users,
            shops=config.max_shops,
            channels=config.max_channels,
            names=config.max_names,
            products=config.max_products,
        )
        self.intraday = Intraday(config.intraday, self.dictionaries, number=number, max_users=config.max_users)
        self.zones = Zones()
        self._zone_of = zone_of or (lambda _shop: None)
        self._zone_names: dict[int, str] = {}
        self._shop_zone = np.zeros(64, np.int32)
        """[shops] number of a shop's zone; shop 0 stands for what spans shops."""
        self._shop_zone[0] = self.zones.number(config.default_zone)
        self._shops_zoned = 0
        self._ledger = new_ledger(config.max_users + 2, 1 << 33, 1 << 33)
        self._scratch = Scratch(
            np.zeros(64, np.int64),
            np.zeros(N_KINDS, np.int64),
            np.zeros(N_KINDS, np.int64),
            reserve((1 << 26, 6), np.int64),
            np.zeros(N_KINDS * len(config.windows), np.int64),
            np.zeros(64, np.int64),
            reserve((config.max_users + 2,), np.int32),
        )
        self._profiles = Profiles()
        self._catalogue = catalogue if catalogue is not None else Catalogue(1)
        self._listings = Listings(self.dictionaries.listed, self._catalogue)
        self.waiting = WaitingPages()
        self._trim_next = 0
        """The next user whose ledger is to be trimmed; 0 when all have been."""
        self._known_lines = 0
        self._counters = self._fresh_counters(self._floor_for(today))
        self._row_names: list[bytes] = [b""]
        self._written = {**dict.fromkeys(DICTIONARIES, 1), "product": 1}  # number 1, `_other`, is known everywhere
        self._room: Records | None = None
        self._page_room: NDArray[np.uint8] | None = None

    # ------------------------------------------------------------------ folding

    def fold(self, decoded: Decoded) -> None:
        """Join a batch of events. Idempotent; the order of events and the cuts between batches change nothing."""
        if not len(decoded):
            return
        if row_count(self._counters) > self.config.max_rows * _ROWS_FOR_NAMES:
            self.dictionaries.close()
        decoded.buffer = _frozen(decoded.buffer)
        names = self.dictionaries.intern(decoded)
        self._zone_new_shops()
        if self._keeps_new:
            self._listings.look_up(self.dictionaries.item)
        latest = int(decoded.event_ms.max()) // DAY_MS + 3
        if latest + _AHEAD_DAYS >= floor_day(self._counters) + self.config.ring_days:
            self.advance(latest)
        self._room_for_lines(int((decoded.spans[:, ORDER_ID, 1] > 0).sum()))
        self.intraday.expect(decoded, names, self._ledger.arena)
        marks, first = self._marks(), 0
        while first < len(decoded):
            piece = slice(first, first + self._room_for_rows(len(decoded) - first))
            batch = Batch(
                names.user[piece],
                names.shop[piece],
                names.product[piece],
                names.channel[piece],
                names.currency[piece],
                decoded.action[piece],
                decoded.event_ms[piece],
                decoded.quantity[piece],
                decoded.amount_minor[piece],
                decoded.spans[piece],
                decoded.raw[piece],
                decoded.buffer,
            )
            self._fold_piece(batch, marks)
            first = piece.stop
        self.first_day, self.last_day = int(marks[2]), int(marks[3])
        self.intraday.fold(decoded, names, self._ledger.arena, self.zones, self._shop_zone)

    def _fold_piece(self, batch: Batch, marks: NDArray[np.int64]) -> None:
        done = 0
        while True:
            done = fold_batch(
                self._counters,
                self._ledger,
                self.dictionaries.facets,
                self._scratch,
                self.zones.arrays,
                self._shop_zone,
                batch,
                done,
                self.config.ledger_mask,
                marks,
            )
            if done == len(batch.user):
                return
            self._grow_scratch(2 * len(self._scratch.day))

    def fold_profiles(self, profiles: Sequence[Profile]) -> None:
        """Join profiles of users, seen or not; the newest of each user counts, whatever order they come in."""
        known = self.dictionaries.users
        profiles = [profile for profile in profiles if profile.raw or known.get(profile.user_id)]
        users = self.dictionaries.intern_users([profile.user_id for profile in profiles])
        newer = self._profiles.join(zip(users, profiles, strict=True))
        moved = [(user, code) for user, code in newer.items() if code != self._scratch.profile[user]]
        self._regrade(np.array(moved, np.int64).reshape(-1, 2))

    def follow_catalogue(self) -> int:
        """Take in the listing dates that have changed; returns how many items have got another one.

        Everything that has changed is taken in at once: who has done something with one new item has mostly done so
        with others, and is counted only once for all of them.
        """
        if not self._keeps_new:
            return 0
        items, days = self._listings.changed(self.dictionaries.item)
        if len(items):
            self._relist(items, days)
        return len(items)

    def unknown_items(self) -> int:
        """How many of the items that events have named are not in the catalogue."""
        items = self.dictionaries.item
        return self._catalogue.unknown(items.table, 2, len(items) + 1) if len(items) > 1 else 0

    def advance(self, today: int) -> None:
        """The date has come: T older than the horizon are forgotten, in steps of 64 days."""
        self.today = max(self.today, today)
        floor = self._floor_for(self.today)
        if floor > floor_day(self._counters):
            raise_floor(self._counters, floor)
            self._trim_next = 1

    # ------------------------------------------------------------------ durable records

    def take_records(self) -> Iterator[tuple[bytes, bytes | None]]:
        """(key, value or None for a tombstone) of everything that changed since the last take.

        Dictionary entries come first, then listing dates, profiles, marks of minutes and ledger segments, each at most
        once.
        """
        yield from self._take_entries()
        yield from self._listings.take()
        yield from self._profiles.take()
        yield from self.intraday.take_records()
        yield from self.waiting.take()
        self._trim()
        touched = self._ledger.touched
        if not touched.count[0]:
            return
        if self._room is None:
            capacity = 1 << 16
            self._room = Records(
                reserve((capacity * 1024,), np.uint8),
                np.zeros(capacity + 1, np.int64),
                reserve((1 << 30,), np.int64),
                np.zeros(capacity + 1, np.int64),
            )
        while touched.count[0]:
            n = encode_touched(self._ledger, self.dictionaries.users.table, self.last_day >> PERIOD_SHIFT, self._room)
            yield from _cut(self._room, n)

    def take_pages(self, through_day: int, turn: Turn = EVERYBODY) -> Iterator[tuple[bytes, bytes, bytes | None]]:
        """(scope name, key, value or None) of every page changed since the last take whose first day has come.

        turn: what waits besides (`waiting.turn`); it is among the next records.
        """
        count = dirty_count(self._counters)
        scopes, pages = np.zeros(count, np.int64), np.zeros(count, np.int64)
        taken, told = take_dirty(self._counters, page_of(through_day), turn, scopes, pages)
        self.waiting.note(scopes[count - told :], pages[count - told :])
        if not taken:
            return
        # A base comes before the tombstones of the pages that it has taken in.
        order = np.argsort(pages[:taken] != BASE_PAGE, kind="stable")
        scopes, pages = scopes[order], pages[order]
        if self._page_room is None:
            self._page_room = reserve((MAX_PAGE_BYTES << 14,), np.uint8)
        currency = self.dictionaries.currency
        by_name = np.array([n for _, n in sorted((currency.name(n), n) for n in range(1, len(currency) + 1))], np.int64)
        step = 1024
        for i in range(0, taken, step):
            end = np.zeros(len(scopes[i : min(i + step, taken)]) + 1, np.int64)
            some, numbers = scopes[i : min(i + step, taken)], pages[i : min(i + step, taken)]
            encode_pages(self._counters, some, numbers, currency.table, by_name, self._page_room, end)
            encoded = self._page_room[: end[-1]].tobytes()
            ends = end.tolist()
            for k, (row, page) in enumerate(zip(some.tolist(), numbers.tolist(), strict=True)):
                name = self._name_of(row)
                value = encoded[ends[k] : ends[k + 1]]
                yield name, page_key(name, self.number, page), value or None

    def load(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Take in changelog records, in the order of the log. Raises DurableError for a record that cannot be read.

        Call `rebuild` when all are loaded.
        """
        others = [i for i, key in enumerate(keys) if key[:1] in _NOT_SEGMENTS]
        marks = [i for i in others if keys[i][:1] == MARKS_PREFIX]
        for i in sorted(frozenset(others).difference(marks)):
            self._load_other(keys[i], values[i])
        if marks:
            self._load_marks([keys[i] for i in marks], [values[i] for i in marks])
        if others:
            out = frozenset(others)
            keys = [key for i, key in enumerate(keys) if i not in out]
            values = [value for i, value in enumerate(values) if i not in out]
        if not keys:
            return
        text, key_end, words, value_end = _columns(keys, values)
        self.dictionaries.users.make_room(len(keys), len(text))
        at, verdict = load_segments(self._ledger, self.dictionaries.users.table, text, key_end, words, value_end)
        if verdict in _FAULTS:
            raise DurableError(f"changelog record {at} of {len(keys)} {_FAULTS[verdict]}: restore the changelog topic")
        starts = key_end[:-1][np.diff(value_end) > 0]
        if len(starts):
            periods = text[starts + 1].astype(np.int64) << 8 | text[starts + 2]
            self.last_day = max(self.last_day, ((int(periods.max()) + 1) << PERIOD_SHIFT) - 1)

    def forget_pages(self, through_page: int) -> None:
        """Take pages up to this number as published already, but for those that wait: a rebuild makes the very bytes
        that were.
        """
        count = dirty_count(self._counters)
        take_dirty(self._counters, through_page, EVERYBODY, np.zeros(count, np.int64), np.zeros(count, np.int64))
        keys, pages = self.waiting.take_loaded()
        self._counters = with_room(self._counters, len(keys))
        note_waiting(self._counters, keys, pages)

    def rebuild(self, today: int | None = None) -> None:
        """Counters, and what else follows from the ledgers, as they were kept towards `today`."""
        self.today = self.today if today is None else today
        users = len(self.dictionaries.users)
        self._grow_scratch(int(most_lines(self._ledger.arena, users)) + 2)
        self._note_lines(0)
        self._counters = self._fresh_counters(self._floor_for(self.today))
        self._row_names = [b""]
        self._load_profiles()
        self._listings.loaded(self.dictionaries.item)
        # Rows are made by the recount itself: at most two a kind and line or cell, far fewer in practice.
        self._recount(users)
        self._trim_next = 1
        self.intraday.rebuild(self._ledger.arena, self.zones, self._shop_zone)

    # ------------------------------------------------------------------ reading

    def scopes(self) -> Iterator[tuple[Scope, list[str]]]:
        """All scopes with a row, and the currencies of its counted lines."""
        rows = self._counters.rows
        for row in range(1, row_count(self._counters)):
            if rows.parent[row] == row:
                yield self._scope_of(row), self._currencies(row)

    def currencies(self, scope: Scope) -> list[str]:
        """The currencies of a scope's counted lines, ascending."""
        row = self._row_of(scope)
        return self._currencies(row) if row else []

    def counts(self, scope: Scope, first_day: int, last_day: int) -> NDArray[np.int64]:
        """[T, 6, windows] S, S_existing, B, B_existing, items, buyer days for every T in first … last day."""
        return self._series(self._row_of(scope), N_COUNTS, first_day, last_day)

    def money(self, scope: Scope, currency: str, first_day: int, last_day: int) -> NDArray[np.int64]:
        """[T, 2, windows] GMV and GMV_existing, minor units, for every T in first … last day."""
        row, number = self._row_of(scope), self.dictionaries.currency.get(currency.encode())
        money = 0
        if row and number:
            rows = self._counters.rows
            money = int(rows.next_money[row])
            while money and rows.key[money] != number:
                money = int(rows.next_money[money])
        return self._series(money, N_MONEY, first_day, last_day)[:, :PAID_LINES]

    def waiting_refunds(self) -> tuple[int, int]:
        """(refunds whose purchase is not known, refunds in another currency than their purchase)."""
        unknown, mismatched = refunds_without_effect(self._ledger.arena, len(self.dictionaries.users))
        return int(unknown), int(mismatched)

    @property
    def over_bound(self) -> dict[str, int]:
        """Events counted under `_other` since this object was made, by kind of name."""
        return self.dictionaries.over_bound

    def sizes(self) -> Sizes:
        """How much the partition holds; bytes are those in use by ledgers, blobs, counters and names."""
        users = len(self.dictionaries.users)
        counts = self._ledger.arena.users[: users + 1, N_LISTS : 2 * N_LISTS].sum(axis=0)
        names = sum(len(self.dictionaries.named(kind)) for kind in DICTIONARIES) + int(
            self.dictionaries.products.count[0]
        )
        used = int(self._ledger.arena.heads[0] + self._ledger.blobs.heads[0] + self._counters.control[2]) * 8
        used += int(self.dictionaries.users.table.start[users + 1])
        return Sizes(
            users,
            int(counts[CELLS]),
            int(counts[LINES]),
            int(counts[REFUNDS]),
            names,
            row_count(self._counters) - 1,
            used,
        )

    # ------------------------------------------------------------------ inside

    def _floor_for(self, today: int) -> int:
        return max(0, (today - self.config.horizon_days) // _FLOOR_STEP_DAYS * _FLOOR_STEP_DAYS)

    def _fresh_counters(self, floor: int) -> Counters:
        c = self.config
        # Twice the bound: nobody knows how many rows the facts of a single user need (`_room_for_facts`).
        return new_counters(c.windows, floor, c.ring_days, 2 * c.max_rows, 1 << 33, c.mask >> N_KINDS)

    def _trim(self) -> None:
        """Drop what no kept T can need from the ledgers of the next few users.

        The bounds go by the floor and not by today: a rebuilt base, the value at the day before the floor, has to equal
        the one that is kept.
        """
        c, users = self.config, len(self.dictionaries.users)
        if c.activity_days is None or c.purchase_days is None:
            self._trim_next = 0
            return
        if not self._trim_next:
            return
        before = floor_day(self._counters) - PAGE_DAYS + c.horizon_days
        end = min(self._trim_next + _TRIM_USERS, users + 1)
        activity, purchases = (max(0, before - days) >> PERIOD_SHIFT for days in (c.activity_days, c.purchase_days))
        trim(self._ledger, self._trim_next, end, activity, purchases)
        self._trim_next = end if end <= users else 0
        if not self._trim_next:
            self._note_lines(0)

    def _marks(self) -> NDArray[np.int64]:
        """First days kept of activity and of purchases, first and last day seen."""
        c = self.config
        return np.array(
            [
                0 if c.activity_days is None else self.today - c.activity_days,
                0 if c.purchase_days is None else self.today - c.purchase_days,
                self.first_day,
                self.last_day,
            ],
            np.int64,
        )

    def _grow_scratch(self, lines: int) -> None:
        if lines > len(self._scratch.day):
            self._scratch = self._scratch._replace(day=np.zeros(2 * lines, np.int64))

    def _room_for_rows(self, facts: int) -> int:
        """How many of so many facts can be counted at once, each making all the rows that it may. At least one.

        Raises PoolError where not even one can: a kernel writes no row past the bound.
        """
        each = 2 * self.config.mask.bit_count()
        count = row_count(self._counters)
        if not each:
            return facts
        room = min(facts, (self.config.max_rows - count) // each)
        if room < 1:
            raise PoolError(
                f"the bound of {self.config.max_rows:,} counter rows a partition is met: "
                "raise SMART_MAX_ROWS or keep fewer SMART_SCOPES"
            )
        self._counters = with_room(self._counters, each * room)
        return room

    def _room_for_lines(self, new: int) -> None:
        self._known_lines += new
        if 2 * self._known_lines > len(self._scratch.lines):
            self._note_lines(new)

    def _note_lines(self, new: int) -> None:
        """The set of known lines anew, with room for more: duplicates and lines that were dropped take none."""
        users = len(self.dictionaries.users)
        identities = np.zeros((int(self._ledger.arena.users[: users + 1, N_LISTS + LINES].sum()), 3), np.int64)
        line_identities(self._ledger.arena, users, identities)
        self._known_lines = len(identities) + new
        size = 1 << max(int(4 * self._known_lines).bit_length(), 6)
        self._scratch = self._scratch._replace(lines=np.zeros(size, np.int64))
        note_lines(self._scratch.lines, identities)

    def _zone_new_shops(self) -> None:
        shops = self.dictionaries.shop
        while self._shops_zoned < len(shops):
            self._shops_zoned += 1
            shop = self._shops_zoned
            if shop not in self._zone_names:
                self._zone_names[shop] = self._zone_of(shops.name(shop).decode()) or self.config.default_zone
            if shop >= len(self._shop_zone):
                self._shop_zone = np.resize(self._shop_zone, 2 * len(self._shop_zone))
            self._shop_zone[shop] = self.zones.number(self._zone_names[shop])

    def _take_entries(self) -> Iterator[tuple[bytes, bytes]]:
        for kind in DICTIONARIES:
            names, after = self.dictionaries.named(kind), self._written[kind]
            for first in range(after + 1, len(names) + 1, _BLOCK):
                end = min(first + _BLOCK, len(names) + 1)
                zones = [self._zone_names[n] for n in range(first, end)] if kind == "shop" else []
                yield encode_block(DictionaryBlock(kind, first, names.names(first, end), zones=zones))
            self._written[kind] = len(names)
        products, after = self.dictionaries.products, self._written["product"]
        count = int(products.count[0])
        for first in range(after + 1, count + 1, _BLOCK):
            triples = products.triple[first : min(first + _BLOCK, count + 1)].astype("<i4").tobytes()
            yield encode_block(DictionaryBlock("product", first, triples=triples))
        self._written["product"] = count

    def _regrade(self, moved: NDArray[np.int64]) -> None:
        """moved: [n, 2] user, new code of the profile."""
        if self.config.mask == self.config.ledger_mask:
            self._scratch.profile[moved[:, 0]] = moved[:, 1]
            return
        arena, first = self._ledger.arena, 0
        counts = arena.users[moved[:, 0], N_LISTS : N_LISTS + LINES + 1]
        if len(moved):
            self._grow_scratch(int(counts[:, LINES].max()) + 2)
        upto = np.cumsum(counts.sum(axis=1))
        while first < len(moved):
            end = first + self._room_for_facts(upto, first, len(moved))
            some = moved[first:end]
            regrade(
                self._counters, arena, self.dictionaries.facets, self._scratch,
                np.ascontiguousarray(some[:, 0]), np.ascontiguousarray(some[:, 1]),
            )  # fmt: skip
            first = end

    @property
    def _keeps_new(self) -> bool:
        return bool(self.config.mask >> SHOP_NEW & 1)

    def _relist(self, items: NDArray[np.int64], days: NDArray[np.int32]) -> None:
        """Count out by the former days whom it concerns that some items have others, and in again by these."""
        arena, facets = self._ledger.arena, self.dictionaries.facets
        concerned = np.zeros(len(self.dictionaries.users), np.int64)
        n = users_concerned(arena, facets, self._listings.after(items, days), len(concerned), concerned)
        self._count_new(concerned[:n], np.int64(-1))
        self._listings.set(items, days)
        self._count_new(concerned[:n], np.int64(1))

    def _count_new(self, users: NDArray[np.int64], sign: np.int64) -> None:
        """Add what users count for in scopes of new items, or take it out."""
        arena, first = self._ledger.arena, 0
        counts = arena.users[users, N_LISTS : N_LISTS + LINES + 1]
        if len(users):
            self._grow_scratch(int(counts[:, LINES].max()) + 2)
        upto = np.cumsum(counts.sum(axis=1))
        while first < len(users):
            end = first + self._room_for_facts(upto, first, len(users))
            facets, mask = self.dictionaries.facets, np.int64(1 << SHOP_NEW)
            count_some(self._counters, arena, facets, self._scratch, users[first:end], mask, sign)
            first = end

    def _load_other(self, key: bytes, value: bytes | None) -> None:
        if key[:1] == PROFILE_PREFIX:
            self._profiles.load(key, value)
        elif key[:1] == LISTED_PREFIX:
            self._listings.load(key, value)
        elif key[:1] == WAITING_PREFIX:
            self.waiting.load(key, value)
        elif value is not None:
            self._load_block(decode_block(key, value))

    def _load_profiles(self) -> None:
        """What has been loaded of profiles gets the numbers of its users, which are known by now or given here."""
        self._scratch.profile[: len(self.dictionaries.users) + 1] = 0
        loaded = self._profiles.take_loaded()
        users = self.dictionaries.intern_users([profile.user_id for profile in loaded])
        self._profiles.join(zip(users, loaded, strict=True), is_known=True)
        for user, code in self._profiles.codes():
            self._scratch.profile[user] = code

    def _load_block(self, block: DictionaryBlock) -> None:
        if block.kind == "product":
            last = self.dictionaries.add_products(np.frombuffer(block.triples, "<i4").reshape(-1, 3))
            expected = block.first + len(block.triples) // 12 - 1
        else:
            last = self.dictionaries.named(block.kind).add(block.names)
            expected = block.first + len(block.names) - 1
        if last != expected:
            raise DurableError(
                f"dictionary block {block.kind} {block.first} ends at number {last}, not {expected}: "
                "restore the changelog topic"
            )
        self._written[block.kind] = max(self._written[block.kind], last)
        for number, zone in enumerate(block.zones, block.first):
            self._zone_names[number] = zone
        if block.zones:
            self._zone_new_shops()

    def _load_marks(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        text, key_end, words, value_end = _columns(keys, values)
        self.dictionaries.users.make_room(len(keys), len(text))
        at, verdict = self.intraday.load(text, key_end, words, value_end)
        if verdict in _FAULTS:
            raise DurableError(f"record {at} of {len(keys)} of marks {_FAULTS[verdict]}: restore the changelog topic")

    def _recount(self, users: int) -> None:
        # The counters' hash table grows between slices of users, never inside the kernel.
        arena = self._ledger.arena
        facts = arena.users[: users + 1, N_LISTS + CELLS] + arena.users[: users + 1, N_LISTS + LINES]
        upto = np.cumsum(facts)
        first = 1
        while first <= users:
            end = first + self._room_for_facts(upto[1:], first - 1, users)
            recount(self._counters, arena, self.dictionaries.facets, self._scratch, first, end, self.config.ledger_mask)
            first = end

    def _room_for_facts(self, upto: NDArray[np.int64], first: int, end: int) -> int:
        """How many users from the first-th on can be counted at once; upto: facts of the users up to each. At least
        one.
        """
        before = int(upto[first - 1]) if first else 0
        room = self._room_for_rows(_FACTS_AT_A_TIME)
        n = int(np.searchsorted(upto[:end], before + room, "right")) - first
        if n:
            return n
        # A single user has more facts than that; its rows are fewer, but nobody knows how many.
        self._counters = with_room(self._counters, 2 * self.config.mask.bit_count() * (int(upto[first]) - before))
        return 1

    def _name_of(self, row: int) -> bytes:
        while len(self._row_names) <= row:
            number = len(self._row_names)
            own = self._counters.rows.parent[number] == number
            self._row_names.append(self._scope_of(number).name.encode() if own else b"")
        return self._row_names[row]

    def _scope_of(self, row: int) -> Scope:
        key = int(self._counters.rows.key[row])
        kind, shop, value = key >> KIND_SHIFT, key >> KEY_SHOP_SHIFT & MAX_SHOPS, key & KEY_VALUE_MASK
        cross = _CROSSED_WITH.get(kind, "")
        return Scope(
            self.dictionaries.shop.name(shop).decode() if shop else None,
            cross,
            ATTRIBUTES[cross][value] if cross in ATTRIBUTES else self._text_of(cross, value),
        )

    def _text_of(self, cross: str, value: int) -> str:
        return self.dictionaries.named(_DICTIONARY_OF.get(cross, cross)).name(value).decode() if cross else ""

    def _row_of(self, scope: Scope) -> int:
        shop = value = 0
        if scope.shop is not None:
            shop = self.dictionaries.shop.get(scope.shop.encode())
        if scope.kind in ATTRIBUTES:
            if scope.value not in ATTRIBUTES[scope.kind]:
                return 0
            value = ATTRIBUTES[scope.kind].index(scope.value)
        elif scope.kind:
            value = self.dictionaries.named(_DICTIONARY_OF.get(scope.kind, scope.kind)).get(scope.value.encode())
        if (scope.shop is not None and not shop) or (scope.kind and not value and scope.kind not in ATTRIBUTES):
            return 0
        return int(find_row(self._counters.rows, scope_key(_kind_of(scope), shop, value)))

    def _currencies(self, row: int) -> list[str]:
        rows, found = self._counters.rows, []
        money = int(rows.next_money[row])
        while money:
            if has_lines(self._counters, money):
                found.append(self.dictionaries.currency.name(int(rows.key[money])).decode())
            money = int(rows.next_money[money])
        return sorted(found)

    def _series(self, row: int, n: int, first_day: int, last_day: int) -> NDArray[np.int64]:
        floor = floor_day(self._counters)
        if first_day < floor - 1 or last_day >= floor + self.config.ring_days:
            last = date_of(floor + self.config.ring_days - 1)
            raise ValueError(f"T from {date_of(max(floor - 1, 1))} to {last} can be asked, not {first_day}…{last_day}")
        out = np.zeros((last_day - first_day + 1, n, len(self.config.windows)), np.int64)
        if row:
            base = self._counters.base[row, : n * len(self.config.windows)].copy()
            read_series(self._counters, row, n, first_day, last_day, base, out)
        return out


def _ends(texts: Sequence[bytes]) -> NDArray[np.int64]:
    """[n + 1] where each of the texts ends when they are joined, after a 0."""
    ends = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=ends[1:])
    return ends


def _columns(
    keys: Sequence[bytes], values: Sequence[bytes | None]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Records as kernels load them: the keys' bytes and ends, the values' words and ends."""
    bodies = [v or b"" for v in values] if None in values else cast("Sequence[bytes]", values)
    value_end = _ends(bodies)
    if (value_end & 7).any():  # whole words only; what is cut off is told as such by its checksum
        bodies = [v[: len(v) & ~7] for v in bodies]
        value_end = _ends(bodies)
    text = np.frombuffer(b"".join(keys), np.uint8)
    return text, _ends(keys), np.frombuffer(b"".join(bodies), np.int64), value_end >> 3


def _kind_of(scope: Scope) -> int:
    if scope.shop is None:
        return {"": MARKET, "brand": BRAND, "category": MARKET_CATEGORY}[scope.kind]
    if scope.kind == "channel":
        return SHOP_CHANNEL_2 if "/" in scope.value else SHOP_CHANNEL_1
    return _KIND_OF_SHOPS[scope.kind] if scope.kind else SHOP


def _frozen(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A view that cannot be written: kernels are compiled for one kind of array only."""
    view = buffer.view()
    view.flags.writeable = False
    return view


def _cut(room: Records, n: int) -> Iterable[tuple[bytes, bytes | None]]:
    """The first n encoded records as bytes."""
    key_end, value_end = room.key_end[: n + 1].tolist(), (room.value_end[: n + 1] * 8).tolist()
    keys, values = room.keys[: key_end[n]].tobytes(), room.words[: value_end[n] // 8].tobytes()
    return [(keys[key_end[i] : key_end[i + 1]], values[value_end[i] : value_end[i + 1]] or None) for i in range(n)]


__all__ = ["CoreConfig", "Partition", "Sizes"]
