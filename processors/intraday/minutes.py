"""What a partition keeps of the last days' minutes: marks and purchases of its users, and the counts of its scopes.

It takes the same batches as the ledger, after it, and answers with records: changed marks, and the pages of the hours
that changed. `SMART_INTRADAY_HOURS` back events restate their minute; what is older stands as it was published.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import Zones
from processors.decode import Decoded
from processors.facets import Dictionaries, Interned
from processors.intraday.counts import (
    CHANNEL,
    DIRTY,
    FLOOR,
    HOUR,
    ITEM,
    KIND_SHIFT,
    LATE,
    LONGEST,
    MARKET,
    REFUSED,
    ROWS,
    SHOP,
    SHOP_SHIFT,
    TOUCHED,
    VALUE_MASK,
    is_money,
    new_counts,
    raise_floor,
    reach_hour,
)
from processors.intraday.dates import Dates, dates_of
from processors.intraday.fold import Facts, fold_minutes, recount
from processors.intraday.lists import new_lists
from processors.intraday.marks import Names
from processors.intraday.pages import MAX_HOUR_BYTES, N_COLUMNS, encode_hours
from processors.intraday.records import count_marks, encode_marks, forget_old, load_marks
from processors.intraday.restating import Noted, note_lines, restate
from processors.ledger import SHOP_MASK, Arena
from processors.pages import page_key
from processors.pool import reserve
from processors.segments import Records
from schemas.durable import IntradayState
from schemas.scopes import Scope

KINDS: Final = {"shop": SHOP, "channel": CHANNEL, "item": ITEM, "market": MARKET}
"""Words for what scopes are kept → kinds of rows."""
_CROSSED_WITH: Final = {CHANNEL: "channel", ITEM: "item"}
AHEAD_MINUTES: Final = 5
"""Pages of an hour are published so long before it comes: nobody finds it empty."""
_SWEPT_AT_A_TIME: Final = 20_000
_RECORDS: Final = 1 << 15
_PAGES_AT_A_TIME: Final = 1_024


@dataclass(frozen=True)
class IntradayConfig:
    """What is kept of minutes; with no scopes, nothing."""

    scopes: frozenset[str] = frozenset()
    hours: int = 48
    max_items: int = 10_000
    max_rows: int = 65_536

    def __post_init__(self) -> None:
        unknown = self.scopes - KINDS.keys()
        if unknown:
            raise ValueError(f"unknown intraday scopes {sorted(unknown)}: expected some of {', '.join(KINDS)}")

    @property
    def mask(self) -> int:
        """One bit a kept kind of rows."""
        return sum(1 << KINDS[word] for word in self.scopes)


class IntradaySizes(NamedTuple):
    """How much is kept of minutes."""

    marks: int
    rows: int
    bytes: int


class Intraday:
    """The minutes of one partition."""

    def __init__(self, config: IntradayConfig, dictionaries: Dictionaries, *, number: int, max_users: int) -> None:
        self.config = config
        self.state = IntradayState()
        """What has to survive besides marks."""
        self._number = number
        self._dictionaries = dictionaries
        self._counts = new_counts(config.max_rows)
        self._facts = Facts(
            new_lists(max_users + 2, 1 << 33),
            new_lists(max_users + 2, 1 << 33),
            reserve((1 << 30,), np.int64),
            reserve((1 << 26,), np.int64),
        )
        self._noted = Noted(reserve((1 << 24, 3), np.int64), reserve((1 << 30,), np.int64), np.zeros(2, np.int64))
        self._dates: Dates | None = None
        self._dates_are_of = (-1, -1)
        """The floor, and the number of zones."""
        self._unswept = 0
        """Users from this one on may still have marks from before the floor; 0: none has."""
        self._room: Records | None = None
        self._row_names: list[bytes] = [b""]
        self._page_room: NDArray[np.uint8] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether anything is counted by the minute."""
        return bool(self.config.mask)

    # ------------------------------------------------------------------ folding

    def expect(self, decoded: Decoded, names: Interned, arena: Arena) -> None:
        """The ledger (`arena`) is about to take in a batch."""
        if self.config.mask:
            floor = int(self._counts.control[FLOOR])
            note_lines(self._noted, self._facts, arena, names.user, decoded.action, floor)

    def fold(self, decoded: Decoded, names: Interned, arena: Arena, zones: Zones, shop_zone: NDArray[np.int32]) -> None:
        """Join a batch that was expected and that the ledger has taken in.

        shop_zone: [shops] number of a shop's zone; that of shop 0 is the market's.
        """
        if not self.config.mask or not len(decoded):
            return
        self.advance(int(decoded.event_ms.max()) // 60_000)
        own, dates = self._names, self._dates_in(zones, shop_zone)
        restate(self._counts, self._facts, self._noted, own, dates, arena, self.config.mask)
        fold_minutes(
            self._counts,
            self._facts,
            own,
            dates,
            arena,
            names.user,
            names.shop,
            names.product,
            names.channel,
            decoded.action,
            decoded.event_ms,
            self.config.mask,
        )

    def advance(self, minute: int) -> None:
        """The minute has come: what is older than is kept is forgotten, in steps of a day."""
        floor = (minute - self.config.hours * HOUR - LONGEST) // LONGEST * LONGEST
        if floor > self._counts.control[FLOOR]:
            raise_floor(self._counts, floor)
            self._unswept = 1

    # ------------------------------------------------------------------ durable records

    def take_records(self) -> Iterator[tuple[bytes, bytes | None]]:
        """(key, value or None for a tombstone) of all marks that changed since the last take."""
        if self._unswept:
            users = len(self._dictionaries.users)
            end = min(self._unswept + _SWEPT_AT_A_TIME, users + 1)
            forget_old(self._counts, self._facts, self._unswept, end)
            self._unswept = end if end <= users else 0
        if not self._counts.control[TOUCHED]:
            return
        if self._room is None:
            self._room = Records(
                reserve((_RECORDS * 1024,), np.uint8),
                np.zeros(_RECORDS + 1, np.int64),
                reserve((1 << 28,), np.int64),
                np.zeros(_RECORDS + 1, np.int64),
            )
        room = self._room
        while self._counts.control[TOUCHED]:
            n = int(encode_marks(self._counts, self._facts, self._dictionaries.users.table, room))
            key_end, value_end = room.key_end[: n + 1].tolist(), (room.value_end[: n + 1] * 8).tolist()
            keys, values = room.keys[: key_end[n]].tobytes(), room.words[: value_end[n] // 8].tobytes()
            for i in range(n):
                yield keys[key_end[i] : key_end[i + 1]], values[value_end[i] : value_end[i + 1]] or None

    def load(
        self,
        keys: NDArray[np.uint8],
        key_end: NDArray[np.int64],
        words: NDArray[np.int64],
        value_end: NDArray[np.int64],
    ) -> tuple[int, int]:
        """Take in records of marks, as `records.load_marks` does; the dictionary of users must have room."""
        at, verdict = load_marks(self._facts.marks, self._dictionaries.users.table, keys, key_end, words, value_end)
        return int(at), int(verdict)

    def rebuild(self, arena: Arena, zones: Zones, shop_zone: NDArray[np.int32]) -> None:
        """Counts, and what else follows from marks and ledgers; pages that were not published yet will be."""
        users = len(self._dictionaries.users)
        self._counts = new_counts(self.config.max_rows)
        self._counts.control[FLOOR] = self.state.floor_minute
        self._facts = self._facts._replace(purchases=new_lists(len(self._facts.purchases.of), 1 << 33))
        self._row_names = [b""]
        if not self.config.mask:
            return
        dates = self._dates_in(zones, shop_zone)
        recount(self._counts, self._facts, self._names, dates, arena, users, self.config.mask)
        self._forget_dirty()
        for hour in range(max(self.state.pending_hour, self._first_hour), self.state.through_hour + 1):
            reach_hour(self._counts, hour)
        self._unswept = 1

    # ------------------------------------------------------------------ pages

    def take_pages(self, minute: int) -> Iterator[tuple[bytes, bytes, bytes | None]]:
        """(scope name, key, value or None) of every page that changed since the last take, at this minute."""
        counts, state = self._counts, self.state
        self.advance(minute)
        through = (minute + AHEAD_MINUTES) // HOUR
        if counts.control[ROWS] > 1:
            for hour in range(max(state.through_hour + 1, self._first_hour), through + 1):
                reach_hour(counts, hour)
        # Clocks of a takeover may stand earlier than the former owner's: hours that were reached once are reached.
        state.through_hour = through = max(state.through_hour, through)
        state.floor_minute = int(counts.control[FLOOR])
        state.pending_hour = NOTHING_PENDING
        dirty = counts.dirty[: int(counts.control[DIRTY])]
        first = np.maximum(counts.dirty_from[dirty], self._first_hour)
        last = np.minimum(counts.dirty_to[dirty], through)
        n = np.maximum(last - first + 1, 0)
        rows = np.repeat(dirty, n).astype(np.int64)
        hours = np.repeat(first, n) + np.arange(len(rows)) - np.repeat(np.cumsum(n) - n, n)
        self._forget_dirty()
        for at in range(0, len(rows), _PAGES_AT_A_TIME):
            yield from self._encoded(rows[at : at + _PAGES_AT_A_TIME], hours[at : at + _PAGES_AT_A_TIME])

    def note_pending(self) -> None:
        """Changes are made durable whose pages are not: whoever recovers publishes those from the pending hour on."""
        counts = self._counts
        rows = counts.dirty[: int(counts.control[DIRTY])]
        self.state.floor_minute = int(counts.control[FLOOR])
        self.state.pending_hour = int(counts.dirty_from[rows].min()) if len(rows) else NOTHING_PENDING

    # ------------------------------------------------------------------ looking at it

    def sizes(self) -> IntradaySizes:
        """Marks, rows, and the bytes in use by both and the minutes' lines."""
        users = len(self._dictionaries.users)
        pools = (self._facts.marks, self._facts.purchases, self._counts.lines, self._counts.existing)
        used = sum(int(lists.heads[0]) for lists in pools)
        return IntradaySizes(int(count_marks(self._facts.marks, users)), int(self._counts.control[ROWS]) - 1, 8 * used)

    def take_left_out(self) -> dict[str, int]:
        """Why events were not counted by the minute, with how many, since the last call."""
        left_out = {"late": int(self._counts.control[LATE]), "rows": int(self._counts.control[REFUSED])}
        self._counts.control[LATE] = self._counts.control[REFUSED] = 0
        return left_out

    # ------------------------------------------------------------------ inside

    @property
    def _first_hour(self) -> int:
        """The first hour that is exact still, and whose pages are published."""
        return (int(self._counts.control[FLOOR]) + LONGEST) // HOUR if self._counts.control[FLOOR] else 0

    @property
    def _names(self) -> Names:
        facets = self._dictionaries.facets
        return Names(facets.item, facets.parent, np.array([self.config.max_items], np.int64))

    def _dates_in(self, zones: Zones, shop_zone: NDArray[np.int32]) -> Dates:
        """The dates of the minutes that are kept and of the day after them."""
        floor = int(self._counts.control[FLOOR])
        if self._dates is None or self._dates_are_of != (floor, len(zones)):
            last = floor + self.config.hours * HOUR + 3 * LONGEST
            self._dates = dates_of(zones.names, shop_zone, floor, last)
            self._dates_are_of = (floor, len(zones))
        self._dates = self._dates._replace(zone_of=shop_zone)
        return self._dates

    def _forget_dirty(self) -> None:
        counts = self._counts
        counts.dirty_to[counts.dirty[: int(counts.control[DIRTY])]] = 0
        counts.control[DIRTY] = 0

    def _encoded(
        self, rows: NDArray[np.int64], hours: NDArray[np.int64]
    ) -> Iterator[tuple[bytes, bytes, bytes | None]]:
        if self._page_room is None:
            self._page_room = reserve((_PAGES_AT_A_TIME * MAX_HOUR_BYTES,), np.uint8)
        currency = self._dictionaries.currency
        by_name = np.array([n for _, n in sorted((currency.name(n), n) for n in range(1, len(currency) + 1))], np.int64)
        end, lane = np.zeros(len(rows) + 1, np.int64), np.zeros((HOUR, N_COLUMNS), np.int64)
        encode_hours(self._counts, rows, hours, currency.table, by_name, lane, self._page_room, end)
        encoded, ends = self._page_room[: end[-1]].tobytes(), end.tolist()
        for i, (row, hour) in enumerate(zip(rows.tolist(), hours.tolist(), strict=True)):
            name = self._name_of(row)
            yield name, page_key(name, self._number, hour), encoded[ends[i] : ends[i + 1]] or None

    def _name_of(self, row: int) -> bytes:
        while len(self._row_names) <= row:
            number = len(self._row_names)
            self._row_names.append(b"" if is_money(self._counts, number) else self._scope_of(number).name.encode())
        return self._row_names[row]

    def _scope_of(self, row: int) -> Scope:
        key = int(self._counts.key[row])
        kind, shop, value = key >> KIND_SHIFT, key >> SHOP_SHIFT & SHOP_MASK, key & VALUE_MASK
        cross = _CROSSED_WITH.get(kind, "")
        return Scope(
            self._dictionaries.shop.name(shop).decode() if shop else None,
            cross,
            self._dictionaries.named(cross).name(value).decode() if cross else "",
        )


NOTHING_PENDING: Final = 1 << 40
"""An hour that never comes."""
