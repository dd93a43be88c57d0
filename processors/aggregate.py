"""The figures of a scope over all partitions: the newest page of every partition, added up (docs/concepts/pages.md).

Every partition publishes absolute difference pages of its own, so a page that comes replaces its former version and
nothing is ever counted twice. An `Aggregate` keeps, for each scope, the values of all T that the pages reach, and
which of them have changed since they were last published: a live event changes today, a late one restates past T. It
knows no Kafka and no clock; today is handed in.

A state that is read again after a takeover is compared with what had been published (`settle`): whatever has changed
between the two, by whichever way, is published then.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from processors.calendar import date_of
from processors.counters import BASE_PAGE, N_COUNTS, N_MONEY, PAGE_DAYS, PAGE_SHIFT, PAID_LINES
from processors.figures import Provenance, record
from processors.kernels import inlined, kernel
from processors.pages import (
    EMPTY_PAGE,
    Page,
    add_lane,
    currencies_of,
    decode_page,
    encode_lanes,
    page_of,
    parse_page_key,
    total_series,
)
from processors.restated import Before, Restated
from schemas.durable import PublishedScope
from schemas.factors import NO_CURRENCY, FactorRecord, record_key
from schemas.scopes import is_crossed

_NO_MONEY: Final = np.zeros((0, 0), np.int64)


@kernel
def replace_lane(
    values: NDArray[np.int64],
    stale: NDArray[np.bool_],
    index: int,
    old: NDArray[np.uint8],
    old_start: int,
    old_end: int,
    new: NDArray[np.uint8],
    new_start: int,
    new_end: int,
    change: NDArray[np.int64],
    total: NDArray[np.int64],
) -> None:
    """Take a lane's old entries out of a scope's values and put the new ones in.

    values: [days, counters * windows], the values (not differences) of successive T; stale: [days, windows], set
    where a value changes; index: the row of the page's first day. change [PAGE_DAYS * counters * windows] and total
    [counters * windows] are zeros.
    """
    width = values.shape[1]
    windows = stale.shape[1]
    add_lane(old, old_start, old_end, -1, change)
    add_lane(new, new_start, new_end, 1, change)
    any_left = True
    for t in range(index, len(values)):
        day = t - index
        if day < PAGE_DAYS:
            for k in range(width):
                total[k] += change[day * width + k]
        elif day == PAGE_DAYS:
            any_left = False
            for k in range(width):
                any_left = any_left or total[k] != 0
        if not any_left:
            break
        for k in range(width):
            if total[k] != 0:
                values[t, k] += total[k]
                stale[t, k % windows] = True


@inlined
def _is_money(money: NDArray[np.int64], t: int, w: int, windows: int) -> bool:
    """Nothing negative, none without a line, and no part greater than the whole."""
    gmv, gmv_existing, lines = money[t, w], money[t, windows + w], money[t, PAID_LINES * windows + w]
    return 0 <= gmv_existing <= gmv and (lines > 0 or (lines == 0 and gmv == 0))


@inlined
def _is_count(counts: NDArray[np.int64], t: int, w: int, windows: int) -> bool:
    """None negative, and no part greater than the whole: B_existing ≤ B, and new users who buy ≤ new users."""
    for k in range(N_COUNTS):
        if counts[t, k * windows + w] < 0:
            return False
    s, s_existing = counts[t, w], counts[t, windows + w]
    b, b_existing = counts[t, 2 * windows + w], counts[t, 3 * windows + w]
    return b_existing <= b and b - b_existing <= s - s_existing


@inlined
def _are_buyers(counts: NDArray[np.int64], lines: NDArray[np.int64], t: int, w: int, windows: int) -> bool:
    """At least one counted line a buyer and day, none without a buyer; and a longer window has at least what the next
    shorter one has.
    """
    s, b, buyer_days, n = counts[t, w], counts[t, 2 * windows + w], counts[t, 5 * windows + w], lines[t, w]
    if buyer_days < b or n < buyer_days or (b == 0 and n > 0):
        return False
    return w == 0 or (s >= counts[t, w - 1] and b >= counts[t, 2 * windows + w - 1] and n >= lines[t, w - 1])


@kernel
def can_be(
    counts: NDArray[np.int64],
    money: NDArray[np.int64],
    lines: NDArray[np.int64],
    stale: NDArray[np.bool_],
    unpublished: int,
    end: int,
    is_last: bool,
) -> bool:
    """Whether figures can be anybody's; of a date that has been published, only where a window has changed since.

    To be called once for each currency, and once for a scope without one. counts, money: [days, counters * windows],
    money of one currency, without rows where there is none; lines: [days, windows], the counted lines of the
    currencies asked about before, zeros at first; this one's are added. stale: [days, windows]; unpublished: the first
    row that has not been published; end: rows from here on do not count; windows ascend. What holds over all
    currencies is looked at with the last one.
    """
    windows = stale.shape[1]
    for t in range(min(end, len(stale))):
        is_new = t >= unpublished
        for w in range(windows):
            is_new = is_new or stale[t, w]
        if not is_new:
            continue
        for w in range(windows):
            if len(money):
                if not _is_money(money, t, w, windows):
                    return False
                lines[t, w] += money[t, PAID_LINES * windows + w]
            if is_last and not (_is_count(counts, t, w, windows) and _are_buyers(counts, lines, t, w, windows)):
                return False
    return True


class _Base(NamedTuple):
    """What a partition says of the days before a floor."""

    floor: int
    page: Page


class _Scope:
    """Values of one scope; row i of every array is day `first` + i."""

    def __init__(self, first: int, windows: int) -> None:
        self.first = first
        self.windows = windows
        self.lanes: dict[str, NDArray[np.int64]] = {"": np.zeros((0, N_COUNTS * windows), np.int64)}
        self.stale = np.zeros((0, windows), np.bool_)
        self.pages: dict[tuple[int, int], Page] = {}
        """(partition, page number) → its newest version."""
        self.bases: dict[int, _Base] = {}
        self.unsaved: set[int] = set()
        """Numbers of the total pages that have changed since they were taken."""
        self.obsolete: list[int] = []
        """Numbers of total pages that were taken before and mean nothing any more."""
        self.dropped: list[int] = []
        """Days whose values have been dropped; their figures may still be published."""
        self.published_in: list[str] = []
        """The currencies of the records published last; with another set all of them are published anew."""
        self.has_dropped_stale = np.zeros(windows, np.bool_)
        """Windows of which stale figures have been dropped: their record of today still has to be told."""
        self.before = Before()

    def reach(self, end: int) -> None:
        """Let the arrays reach up to day `end` (exclusive) and the end of its page; without further pages every value
        stays as it is.

        No figure of the days that come with it has been published: what is not zero is stale.
        """
        end = (end + PAGE_DAYS - 1) & ~(PAGE_DAYS - 1)
        missing = end - self.first - len(self.stale)
        if missing > 0:
            for currency, lane in self.lanes.items():
                last = lane[-1:] if len(lane) else np.zeros((1, lane.shape[1]), np.int64)
                self.lanes[currency] = np.concatenate([lane, np.repeat(last, missing, axis=0)])
            counts = self.lanes[""][-1].reshape(N_COUNTS, self.windows)
            self.stale = np.concatenate([self.stale, np.repeat((counts != 0).any(axis=0)[None, :], missing, axis=0)])

    def lane(self, currency: str) -> NDArray[np.int64]:
        """The values of a currency ("" = counts), made on first use."""
        if currency not in self.lanes:
            self.lanes[currency] = np.zeros((len(self.stale), N_MONEY * self.windows), np.int64)
        return self.lanes[currency]

    def currencies(self) -> list[str]:
        """The currencies that count a line at any T: the longest window sees them all."""
        return sorted(
            currency for currency, lane in self.lanes.items() if currency and _counts_lines(lane, self.windows)
        )

    def drop(self) -> None:
        """Forget the rows before the floors of all partitions that still count anything: nothing keeps them up any
        more. The first total page is from zero on, so it changes.

        A partition whose users have all left the scope has an empty base, which may be of an old floor for ever.
        """
        floors = [base.floor for base in self.bases.values() if base.page.lanes]
        floors += [number << PAGE_SHIFT for _, number in self.pages]
        floor = min([max(base.floor for base in self.bases.values()), *floors]) & -PAGE_DAYS
        n = floor - self.first
        if n <= 0 or n >= len(self.stale):
            return
        self.lanes = {currency: lane[n:].copy() for currency, lane in self.lanes.items()}
        self.has_dropped_stale |= self.stale[:n].any(axis=0)
        self.stale = self.stale[n:].copy()
        self.dropped += range(self.first, floor)
        self.obsolete += range(page_of(self.first), page_of(floor))
        self.unsaved = {number for number in self.unsaved if number >= page_of(floor)} | {page_of(floor)}
        self.first = floor


def _counts_lines(lane: NDArray[np.int64], windows: int) -> bool:
    """Whether a currency's values [days, counters * windows] count a line."""
    return bool(lane[:, (PAID_LINES + 1) * windows - 1].any())


class Aggregate:
    """Sums of the pages of all partitions, for the scopes placed in one partition of `factors.pages`."""

    def __init__(self, windows: Sequence[int], horizon_days: int) -> None:
        self.windows = tuple(windows)
        self.horizon_days = horizon_days
        self._scopes: dict[str, _Scope] = {}
        self._changed: tuple[dict[str, None], dict[str, None]] = {}, {}
        """Sets that keep their order: of shops and the market, and of what is crossed."""

    def __len__(self) -> int:
        return len(self._scopes)

    def apply(self, key: bytes, value: bytes | None) -> str:
        """Take in the newest version of a page; returns its scope. Raises PageError for one that cannot be read."""
        name, partition, number = parse_page_key(key)
        page, scope_name = decode_page(value, len(self.windows)), name.decode()
        scope = self._scopes.get(scope_name)
        if number == BASE_PAGE:
            if scope is None:
                scope = self._scopes.setdefault(scope_name, _Scope(page.floor, len(self.windows)))
            self._set_base(scope, partition, page)
        else:
            first = number << PAGE_SHIFT
            if scope is None:
                scope = self._scopes.setdefault(scope_name, _Scope(first, len(self.windows)))
            if partition not in scope.bases or first >= scope.bases[partition].floor:
                self._set_page(scope, partition, number, page)
        self._note_change(scope_name)
        return scope_name

    def scopes(self) -> list[str]:
        """All scopes that have a page here."""
        return list(self._scopes)

    def settle(self, published: Mapping[str, PublishedScope]) -> None:
        """Hold everything applied so far to what a former owner has published: what differs is stale."""
        for name, was in published.items():
            if name not in self._scopes:
                self._scopes[name] = _Scope(min(was.pages, default=page_of(was.day)) << PAGE_SHIFT, len(self.windows))
            scope = self._scopes[name]
            self._compare(scope, was)
            if scope.stale.any() or scope.unsaved or scope.obsolete:
                self._note_change(name)
            else:
                self._changed[is_crossed(name)].pop(name, None)

    def advance(self, scope: str, today: int, after: int) -> None:
        """The scope's date is `today`: every window that is not empty has new figures of each T after `after`
        (0: of each T that it has).
        """
        known = self._scopes[scope]
        known.reach(today + 1)
        start = max(after + 1 - known.first, 0)
        end = max(today + 1 - known.first, 0)
        counts = known.lanes[""][start:end].reshape(-1, N_COUNTS, len(self.windows))
        known.stale[start:end] |= (counts != 0).any(axis=1)
        if known.first <= after < today:
            # A window that has become empty says so, or its last figures would stand as the newest for ever.
            last = known.lanes[""][after - known.first].reshape(N_COUNTS, -1)
            known.stale[end - 1] |= (last != 0).any(axis=0)
        elif 0 < after < known.first <= today:
            known.stale[end - 1] = True  # what the last figures were has been dropped since
        self._note_change(scope)

    def is_consistent(self, scope: str, today: int) -> bool:
        """Whether the scope's counts and money up to today can be anybody's; what has been published was.

        A partition publishes all its pages of a moment in one transaction, but they come one after another. Between
        two of them somebody may leave a window before having entered it. And pages may be ahead of our clock.
        """
        known = self._scopes[scope]
        if any(base.floor > today for base in known.bases.values()):
            return False
        counts, lines = known.lanes[""], np.zeros(known.stale.shape, np.int64)
        money = [lane for currency, lane in known.lanes.items() if currency] or [_NO_MONEY]
        unpublished, end = known.before.through + 1 - known.first, today + 1 - known.first
        return all(
            can_be(counts, lane, lines, known.stale, unpublished, end, i == len(money))
            for i, lane in enumerate(money, 1)
        )

    def changed(self, *, crossed: bool) -> list[str]:
        """Scopes with figures that may have changed since they were taken, those that have waited longest first: shops
        and the market, or what is crossed.
        """
        return list(self._changed[crossed])

    def count_changed(self, *, crossed: bool) -> int:
        """How many scopes `changed` tells."""
        return len(self._changed[crossed])

    def take_pages(self, scope: str) -> Iterator[tuple[int, bytes | None]]:
        """(page number, record or None to delete it) of the scope's total pages that changed since the last take."""
        known = self._scopes[scope]
        yield from ((number, None) for number in known.obsolete)
        yield from self._total_pages(known, sorted(known.unsaved))
        known.unsaved.clear()
        known.obsolete.clear()

    def pages(self, scope: str) -> Iterator[tuple[int, bytes]]:
        """(page number, record) of all total pages of the scope."""
        known = self._scopes[scope]
        yield from self._total_pages(known, range(page_of(known.first), page_of(known.first + len(known.stale))))

    def newest(self, scope: str, today: int, provenance: Provenance) -> Iterator[FactorRecord]:
        """The scope's records of `today`, also of windows that have become empty."""
        known = self._scopes[scope]
        known.reach(today + 1)
        i = today - known.first
        if i >= 0:
            counts = known.lanes[""][: i + 1].reshape(i + 1, N_COUNTS, -1)
            for w in np.flatnonzero((counts != 0).any(axis=(0, 1))).tolist():
                yield from self._records(scope, i, w, known.published_in, provenance)

    def since(self, scope: str) -> int:
        """Day number of the first date that the scope has ever been given figures of; 0 without."""
        return self._scopes[scope].before.since

    def restated(self, scope: str, today: int) -> list[Restated]:
        """What has changed of the published figures since they were taken, for T in today − horizon … today − 1;
        to be asked before they are taken anew.
        """
        known = self._scopes[scope]
        rows = slice(max(known.before.first - known.first, 0), max(today - known.first, 0))
        if not known.stale[rows].any():
            return []
        currencies = known.currencies() or [NO_CURRENCY]
        gone = [currency for currency in known.published_in if currency not in currencies]
        dates = self._first_shown(known, today), today
        return list(known.before.restated(known.lanes, known.first, currencies, gone, dates, self.windows))

    def take(self, scope: str, today: int, provenance: Provenance) -> Iterator[tuple[str, FactorRecord | None]]:
        """(key, record or None to delete it) of the scope's stale figures with T in today − horizon … today.

        Where any T of a window is stale, its record of today comes along: it is the newest there is. Later T stay
        stale until their day has come.
        """
        self._changed[is_crossed(scope)].pop(scope, None)
        known = self._scopes[scope]
        known.reach(today + 1)
        first = self._first_shown(known, today) - known.first
        end = max(today + 1 - known.first, 0)
        nw = len(self.windows)
        currencies = known.currencies() or [NO_CURRENCY]
        gone = [currency for currency in known.published_in if currency not in currencies]
        if known.published_in != currencies:
            known.stale[:end] |= (known.lanes[""][:end].reshape(-1, N_COUNTS, nw) != 0).any(axis=1)
            known.published_in = currencies
            # What is zero now may have been published too, and so may dates that are not shown any more.
            told = known.stale[:end].copy()
            told[:first] = False
            for i, w in np.argwhere(~told).tolist() if gone else ():
                for currency in gone:
                    yield record_key(scope, self.windows[w], date_of(known.first + i).isoformat(), currency), None
        for day in known.dropped:
            for window in self.windows:
                yield from (
                    (record_key(scope, window, date_of(day).isoformat(), c), None) for c in {*currencies, *gone}
                )
        known.dropped.clear()
        known.stale[end - 1 : end] |= known.stale[:end].any(axis=0) | known.has_dropped_stale
        known.has_dropped_stale[:] = False
        days, windows = np.nonzero(known.stale[first:end])
        known.stale[:end] = False
        known.before.published(known.first + first + int(days[0]) if len(days) else 0, today)
        for i, w in zip((days + first).tolist(), windows.tolist(), strict=True):
            for currency in gone:
                yield record_key(scope, self.windows[w], date_of(known.first + i).isoformat(), currency), None
            yield from ((made.key, made) for made in self._records(scope, i, w, currencies, provenance))

    def series(self, scope: str, currency: str, first_day: int, last_day: int) -> NDArray[np.int64]:
        """[T, counters, windows] of a scope's counts (currency "") or money for T in first … last day; zeros where
        unknown.
        """
        n = N_MONEY if currency else N_COUNTS
        out = np.zeros((last_day - first_day + 1, n, len(self.windows)), np.int64)
        known = self._scopes.get(scope)
        if known is None or currency not in known.lanes:
            return out
        known.reach(last_day + 1)
        start = max(first_day, known.first)
        if start <= last_day:
            rows = known.lanes[currency][start - known.first : last_day + 1 - known.first]
            out[start - first_day :] = rows.reshape(len(rows), n, -1)
        return out

    def currencies(self, scope: str) -> list[str]:
        """The currencies of a scope's counted lines, ascending."""
        return self._scopes[scope].currencies()

    def _first_shown(self, known: _Scope, today: int) -> int:
        """The first T of which figures are published."""
        return max(today - self.horizon_days, *(base.floor for base in known.bases.values()), known.first)

    def _records(
        self, scope: str, i: int, w: int, currencies: Sequence[str], provenance: Provenance
    ) -> Iterator[FactorRecord]:
        """The records of row i and window w, one a currency."""
        known, nw = self._scopes[scope], len(self.windows)
        as_of, counts = date_of(known.first + i).isoformat(), known.lanes[""][i, w::nw].tolist()
        for currency in currencies:
            money = known.lanes[currency][i, w::nw].tolist()[:PAID_LINES] if currency in known.lanes else (0, 0)
            yield record(scope, self.windows[w], as_of, counts, currency, money, provenance)

    def _total_pages(self, scope: _Scope, numbers: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """Differences of all partitions added up, the first one from zero on, so that they need no base."""
        for number in numbers:
            first = (number << PAGE_SHIFT) - scope.first
            if first < 0:
                continue
            lanes = {}
            for currency, lane in scope.lanes.items():
                before = lane[first - 1 : first] if first else np.zeros((1, lane.shape[1]), np.int64)
                lanes[currency] = np.diff(lane[first : first + PAGE_DAYS], axis=0, prepend=before)
            yield number, encode_lanes(lanes, len(self.windows))

    def _compare(self, scope: _Scope, was: PublishedScope) -> None:
        """Mark what of a scope is not as it was published, up to the day for which it was."""
        nw = len(self.windows)
        first = min(was.pages, default=page_of(scope.first)) << PAGE_SHIFT
        lowest = max([first, *(base.floor & -PAGE_DAYS for base in scope.bases.values())])
        if lowest < scope.first:
            self._reach_back(scope, lowest)
        scope.reach(max(was.day, max(was.pages, default=0) << PAGE_SHIFT) + 1)
        days, at = len(scope.stale), first - scope.first
        scope.stale[:] = False
        scope.unsaved.clear()
        scope.published_in = []
        shown, is_other = dict[str, NDArray[np.int64]](), np.zeros(days, np.bool_)
        for currency in {"": None} | dict.fromkeys(currencies_of(was.pages.values(), nw)) | dict.fromkeys(scope.lanes):
            published = np.zeros((days, (N_MONEY if currency else N_COUNTS) * nw), np.int64)
            _, series = total_series(was.pages, nw, currency, scope.first + days - 1)
            series = series.reshape(len(series), published.shape[1])
            if len(series):
                published[max(at, 0) :] = series[max(-at, 0) :]
            if currency and _counts_lines(series, nw):
                scope.published_in.append(currency)
            differs = scope.lane(currency) - published
            scope.stale |= differs.reshape(days, -1, nw).any(axis=1)
            shown[currency] = published
            is_other |= differs.any(axis=1)
            moved = np.flatnonzero(
                np.diff(differs, axis=0, prepend=np.zeros((1, differs.shape[1]), np.int64)).any(axis=1)
            )
            scope.unsaved.update(page_of(scope.first + i) for i in moved.tolist())
        scope.published_in = sorted(scope.published_in) or [NO_CURRENCY]
        scope.stale[max(was.day + 1 - scope.first, 0) :] = False
        scope.before.published(was.since, was.day)
        scope.before.remember(shown, scope.first, is_other)
        scope.obsolete = [number for number in was.pages if number << PAGE_SHIFT < scope.first]
        if scope.obsolete:
            scope.unsaved.add(page_of(scope.first))
            scope.dropped += range(first, scope.first)

    def _note_change(self, scope: str) -> None:
        self._changed[is_crossed(scope)][scope] = None

    def _set_page(self, scope: _Scope, partition: int, number: int, page: Page) -> None:
        first = number << PAGE_SHIFT
        if first < scope.first:
            self._reach_back(scope, first)
        scope.reach(first + PAGE_DAYS)
        scope.before.keep(scope.lanes, scope.first, first)
        scope.unsaved.add(number)
        old = scope.pages.get((partition, number), EMPTY_PAGE)
        for currency in old.lanes.keys() | page.lanes.keys():
            lane = scope.lane(currency)
            width = lane.shape[1]
            replace_lane(
                lane,
                scope.stale,
                first - scope.first,
                old.text,
                *old.lanes.get(currency, (0, 0)),
                page.text,
                *page.lanes.get(currency, (0, 0)),
                np.zeros(PAGE_DAYS * width, np.int64),
                np.zeros(width, np.int64),
            )
        if page.lanes:
            scope.pages[partition, number] = page
        else:
            scope.pages.pop((partition, number), None)

    def _set_base(self, scope: _Scope, partition: int, page: Page) -> None:
        """A base takes the place of the former base and of the pages before its floor; usually nothing changes.

        Where something does (pages whose time had not come were never published), it is from the floor on: T before it
        keep the values that they had, and are published no more.
        """
        nw = len(self.windows)
        old = scope.bases.get(partition, _Base(0, EMPTY_PAGE))
        gone = [key for key in scope.pages if key[0] == partition and key[1] << PAGE_SHIFT < page.floor]
        replaced = [scope.pages.pop(key) for key in gone]
        # What a base adds must have its place, though no page has come yet, or only later ones.
        if page.lanes and page.floor < scope.first:
            self._reach_back(scope, page.floor)
        scope.reach(max(page.floor, scope.first) + 1)
        at = max(page.floor - scope.first, 0)
        scope.bases[partition] = _Base(page.floor, page)
        currencies = set(page.lanes).union(old.page.lanes, *(one.lanes for one in replaced))
        for currency in currencies:
            change = page.differences(currency, nw, base=True)[0] - old.page.differences(currency, nw, base=True)[0]
            for one in replaced:
                change -= one.differences(currency, nw, base=False).sum(axis=0)
            if change.any():
                scope.before.keep(scope.lanes, scope.first, scope.first + at)
                scope.lane(currency)[at:] += change.reshape(-1)
                scope.stale[at:] |= change.any(axis=0)
                scope.unsaved.add((scope.first + at) >> PAGE_SHIFT)
        scope.drop()

    def _reach_back(self, scope: _Scope, first: int) -> None:
        """A late event: let the arrays begin at an earlier day. Before the first page there are only bases."""
        missing = scope.first - first
        nw = len(self.windows)
        for currency, lane in scope.lanes.items():
            start = np.zeros(lane.shape[1], np.int64)
            for base in scope.bases.values():
                start += base.page.differences(currency, nw, base=True).reshape(-1)
            scope.lanes[currency] = np.concatenate([np.repeat(start[None, :], missing, axis=0), lane])
        scope.stale = np.concatenate([np.zeros((missing, nw), np.bool_), scope.stale])
        scope.unsaved.update(range(first >> PAGE_SHIFT, (scope.first >> PAGE_SHIFT) + 1))  # the former first one, too
        scope.first = first
