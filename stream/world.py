"""What one worker holds: the partitions it owns, the clock, the shops; and what each transaction takes from them.

The `World` is the transport's `Committer` and the ledger table's `LedgerStore`. It moves chunks into the plain state
machines (`stream.source`, `stream.aggregator`), hands them the time, and gathers what they give into one transaction
per partition: ledgers, totals, dead letters, pages, the partition's report, and the figures of the scopes placed in
it.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import structlog

from processors.calendar import Zones, date_of
from processors.decode.murmur import partition_of
from processors.figures import Provenance
from processors.intraday.minutes import IntradayConfig
from processors.partition import CoreConfig, Partition, ring_days
from processors.waiting import SLICES
from schemas import metrics as m
from schemas.control import ShopRecord, decode_clock, decode_shop
from schemas.durable import (
    encode_published_before,
    encode_published_dates,
    encode_published_restatement,
    published_page_key,
)
from schemas.scopes import Scope, parse
from schemas.settings import Settings
from schemas.store import (
    CLOCK_KEY,
    PROMOTIONS_KEY,
    crossed_key,
    index_entry,
    live_field,
    live_key,
    minutes_key,
    pages_key,
    restated_key,
)
from schemas.topics import (
    CLOCK,
    FACTORS_LIVE,
    FACTORS_PAGES,
    FACTORS_RESTATEMENTS,
    INTRADAY_MINUTES,
    INTRADAY_PAGES,
    ITEMS,
    PROMOTIONS,
    SHOPS,
    changelog_topic,
)
from stream.aggregator import RECORDS_AT_A_TIME, PagePartition
from stream.catalogue import CatalogueLog, on_sale_fields
from stream.clock import SharedClock, latest_day
from stream.control import ControlRecord
from stream.guard import TooManyUndecodableError
from stream.metrics import Metrics
from stream.minutes import Hour, HourPartition, hour_key, is_history
from stream.pace import Allowance, Turns
from stream.promotions import PromotionLog
from stream.source import Changes, KeptOtherwiseError, MissingRecordsError, SourceOptions, SourcePartition, restated
from stream.store import Notes
from stream.transport import Bulk, Chunk, ExitCode, die
from stream.transport.committer import Outgoing, Pair, Records

PROFILES_AT_A_TIME = 100
"""So many profiles are taken in before live events have their turn again."""
FOLD_RECORDS = 4_096
"""So many records of a partition are folded at once, without waiting for more."""
FAR_BEHIND_RECORDS = 20_000
"""A worker that is so far behind in a partition plays hours in seconds: nobody watches its minutes."""
_SLOWER_MINUTES = 10
CROSSED_SCOPES_WAITING = 20_000
"""While so many crossed scopes wait for their figures to be published, no further pages of them are."""
HEARTBEAT_MS = 1_000
"""An idle partition reports so often that it has no lag (wall clock only)."""

log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where the newest figures go for others to read."""

    def show(self, partition: int, notes: Notes) -> None:
        """What a committed transaction of the partition says is true now. Never waits."""

    def forget(self, partition: int) -> None:
        """The partition is another's."""


class Progress(Protocol):
    """What the transport knows of offsets."""

    def is_caught_up(self, partition: int) -> bool:
        """Whether everything that the event topics hold of this partition has been acknowledged."""

    def is_within(self, partition: int, records: int) -> bool:
        """Whether no event topic of the partition has more records than this that are not acknowledged."""

    def has_read(self, topic: str, partition: int) -> bool:
        """Whether a topic that is read from its start has been acknowledged to its end."""


class World:
    """All state of a worker. `wall_ms` is the only clock that it reads."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        store: Store,
        progress: Progress,
        *,
        before_first: Callable[[], Any],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """before_first: awaited before the first partition is taken over; it must have read the control topics."""
        self._settings = settings
        self._metrics = metrics
        self._store = store
        self._unshown: dict[int, Notes] = {}
        """What the transaction under way says, for the store to show once it has committed."""
        self._progress = progress
        self._before_first = before_first
        self._wall_ms = wall_ms
        self._is_first = True
        self.config = core_config(settings)
        self._options = source_options(settings)
        self.clock = SharedClock(settings.clock, settings.partitions)
        self.shops: dict[str, ShopRecord] = {}
        self.sources: dict[int, SourcePartition] = {}
        self.pages: dict[int, PagePartition] = {}
        self.hours: dict[int, HourPartition] = {}
        self._hours_are_whole: set[int] = set()
        """Partitions of which all pages of hours have been read."""
        self._minutes = Turns(settings.intraday_interval_ms, settings.partitions)
        self._crosses = Turns(settings.crosses_interval_ms / SLICES, settings.partitions)
        self._crossed_figures = Allowance(settings.crossed_figures_per_second)
        self._folded: set[int] = set()
        """Partitions that have taken in events since their last transaction."""
        self.promotions = PromotionLog(settings.application_id)
        self.items = CatalogueLog(settings.application_id, settings.max_names)
        self._catalogue_at_ms: dict[int, int] = {}
        """Partition → when it last looked at what has changed in the catalogue, by the wall."""
        self.pages_came = asyncio.Event()
        """Pages have been added up since it was cleared."""
        self._zones = Zones()
        self._days: dict[str, int] = {}
        """Zone → day number at `_days_at_ms`."""
        self._days_at_ms = -1
        self._shop_of = lru_cache(maxsize=1 << 16)(lambda scope: parse(scope).shop)
        self._taken_over_at: dict[int, float] = {}
        self._collected_at: dict[int, float] = {}
        self._oldest_append_ms: dict[int, int] = {}
        self._placed = lru_cache(maxsize=1 << 16)(lambda scope: partition_of(scope, settings.partitions))
        self._changelog = changelog_topic(settings.application_id)

    # --- events and pages

    def take_in(self, chunk: Chunk) -> None:
        """Take in a chunk of an event topic; with enough of them they are folded, otherwise at the next transaction."""
        source = self.sources[chunk.partition]
        try:
            waiting = source.take_in(chunk)
        except MissingRecordsError as error:
            die(ExitCode.SOFTWARE, f"partition {chunk.partition}: {error}")
        if waiting >= FOLD_RECORDS:
            self._fold(chunk.partition, source)
        self._metrics.observe(m.CHUNK_RECORDS, len(chunk))
        self._metrics.count(m.EVENTS_CONSUMED, len(chunk), topic=chunk.topic)
        if len(chunk):
            oldest = int(chunk.timestamps_ms.min())
            self._oldest_append_ms[chunk.partition] = min(oldest, self._oldest_append_ms.get(chunk.partition, oldest))

    async def take_in_profiles(self, chunk: Chunk) -> None:
        """Take in a chunk of profiles, behind the live events: a few at a time, at the rate of the settings.

        What the chunk still holds is left where the partition is taken away meanwhile.
        """
        source = self.sources.get(chunk.partition)
        while source is not None and self.sources.get(chunk.partition) is source:
            if not self.fold_profiles(chunk):
                return
            await asyncio.sleep(PROFILES_AT_A_TIME / self._settings.profiles_per_second)

    def fold_profiles(self, chunk: Chunk) -> bool:
        """Take in the next few profiles of a chunk; tells whether it has more."""
        totals = self.sources[chunk.partition].totals.topics
        before = totals[chunk.topic].accepted if chunk.topic in totals else 0
        began = time.perf_counter()
        try:
            has_more = self.sources[chunk.partition].fold_profiles(chunk, PROFILES_AT_A_TIME)
        except MissingRecordsError as error:
            die(ExitCode.SOFTWARE, f"partition {chunk.partition}: {error}")
        except TooManyUndecodableError as error:
            die(ExitCode.DATA, f"partition {chunk.partition}: {error}")
        self._metrics.observe(m.CHUNK_SECONDS, time.perf_counter() - began, stage="profiles")
        self._metrics.count(m.PROFILES, totals[chunk.topic].accepted - before)
        return has_more

    def _fold(self, partition: int, source: SourcePartition) -> None:
        """Decode and apply all that waits. Records that are no events at all, one after the other, end the worker."""
        started = time.perf_counter()
        try:
            read = source.read()
        except TooManyUndecodableError as error:
            die(ExitCode.DATA, f"partition {partition}: {error}")
        decoded_at = time.perf_counter()
        source.fold(read)
        folded_at = time.perf_counter()
        decoded, count = read.decoded, self._metrics.count
        self._metrics.observe(m.CHUNK_SECONDS, decoded_at - started, stage="decode")
        self._metrics.observe(m.CHUNK_SECONDS, folded_at - decoded_at, stage="fold")
        for part in read.parts:
            if part.skipped:
                count(m.EVENTS_SKIPPED, part.skipped, topic=part.chunk.topic)
        for refusal in decoded.refusals:
            topic = read.part_of(refusal.record).chunk.topic
            count(m.EVENTS_REFUSED, 1, topic=topic, code=refusal.code.value)
        for topic, n in read.accepted().items():
            count(m.EVENTS_ACCEPTED, n, topic=topic)
        if len(decoded):
            self._folded.add(partition)
            self.clock.note_event(source.totals.watermark_ms)
            count(m.RESTATEMENTS, restated(decoded, self.now_ms()))
        if partition in self._taken_over_at:
            self._metrics.observe(m.RECOVERY_SECONDS, time.monotonic() - self._taken_over_at.pop(partition))

    def add_pages(self, chunk: Chunk) -> None:
        """Apply a chunk of the pages topic."""
        pages = self._pages_of(chunk.partition)
        unreadable = pages.unreadable
        pages.apply(chunk)
        if len(chunk):
            self.pages_came.set()
        if pages.unreadable > unreadable:
            log.error(
                "pages cannot be read and are left out", partition=chunk.partition, pages=pages.unreadable - unreadable
            )

    def add_hours(self, chunk: Chunk) -> None:
        """Apply a chunk of the topic of pages of hours."""
        hours = self._hours_of(chunk.partition)
        unreadable = hours.unreadable
        hours.apply(chunk)
        if hours.unreadable > unreadable:
            log.error(
                "pages of hours cannot be read and are left out",
                partition=chunk.partition,
                pages=hours.unreadable - unreadable,
            )

    def note_control(self, records: Sequence[ControlRecord]) -> None:
        """Take in control records; one that is wrong leaves the former version in force."""
        for record in records:
            try:
                if record.topic == CLOCK and record.value is not None:
                    self.clock.note(decode_clock(record.value))
                elif record.topic == PROMOTIONS:
                    self.promotions.note(record)
                elif record.topic == ITEMS:
                    self.items.note(record)
                elif record.topic == SHOPS and record.key is not None:
                    self._note_shop(record.key.decode(), record.value)
            except ValueError as error:
                log.warning(
                    "a control record is wrong, the former one stays in force", topic=record.topic, reason=str(error)
                )

    def now_ms(self) -> int:
        """The instant that figures are of."""
        return self.clock.now_ms(self._wall_ms())

    def refresh_store(self, partition: int) -> None:
        """Show all figures placed in a partition once more: the store has lost them."""
        if partition in self.pages:
            self.pages[partition].refresh()
        if partition in self.hours:
            self.hours[partition].refresh()
        if partition == 0:
            self.promotions.refresh()
            self.items.catalogue.refresh()

    # --- the table's store

    def begin(self, partition: int) -> None:
        """Make room for a partition that is being taken over."""
        self._taken_over_at[partition] = time.monotonic()
        state = Partition(
            self.config,
            self._today() or 1,
            number=partition,
            zone_of=self._zone_of,
            catalogue=self.items.catalogue,
        )
        self.sources[partition] = SourcePartition(state, self._options)

    def load(self, partition: int, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Take in changelog records."""
        self.sources[partition].load(keys, values)

    async def finish(self, partition: int) -> None:
        """Count anew; in a thread, since kernels let others run meanwhile."""
        source = self.sources[partition]
        try:
            await asyncio.to_thread(source.finish, self._today() or 1)
        except KeptOtherwiseError as error:
            die(ExitCode.CONFIG, str(error))
        if source.totals.watermark_ms >= 0:
            self.clock.note_event(source.totals.watermark_ms)

    def drop(self, partition: int) -> None:
        """Forget a partition."""
        self.sources.pop(partition, None)
        self.pages.pop(partition, None)
        self.hours.pop(partition, None)
        self._hours_are_whole.discard(partition)
        for paced in (self._minutes, self._crosses, self._crossed_figures):
            paced.forget(partition)
        self._folded.discard(partition)
        self._catalogue_at_ms.pop(partition, None)
        if partition == 0:
            self.promotions.refresh()
            self.items.catalogue.refresh()
        self._unshown.pop(partition, None)
        self._store.forget(partition)
        self._oldest_append_ms.pop(partition, None)
        self._taken_over_at.pop(partition, None)
        self._metrics.forget_partition(partition)

    # --- the committer

    async def assigned(self, partitions: frozenset[int], kept: frozenset[int]) -> None:  # noqa: ARG002
        """A rebalance is done."""
        if self._is_first:
            await self._before_first()
            self._is_first = False
        self._metrics.set(m.PARTITIONS_OWNED, len(partitions))

    async def revoked(self) -> None:
        """A rebalance has begun; what is kept stays as it is."""

    def goes_on_at(self, topic: str, partition: int) -> int | None:
        """Offset of the first record that is not in the partition's state."""
        source = self.sources.get(partition)
        return source.goes_on_at(topic) if source is not None else None

    async def collect(self, partition: int) -> Records:
        """Everything of a partition that changed, for one transaction."""
        self._collected_at[partition] = time.perf_counter()
        source = self.sources[partition]
        if source.has_waiting:
            self._fold(partition, source)
        now_ms = self.now_ms()
        figures = self._collect_figures(partition, now_ms, self._crossed_at_most(partition))
        if self._collect_whole(partition, now_ms):
            source.note_change()  # only a transaction proves that the partition is still ours
        with_minutes = self._are_minutes_due(partition, now_ms)
        if with_minutes:
            hours, shows_any = self._collect_hours(partition, now_ms)
            figures.append(hours)
            if shows_any:
                source.note_change()  # as above
        self._follow_catalogue(partition, source)
        control = [*self._collect_promotions(source), *self._collect_items(source)] if partition == 0 else []
        changes = source.collect(
            latest_day(now_ms) if now_ms else 0,
            at_ms=now_ms,
            caught_up=self._progress.is_caught_up(partition),
            heartbeat_ms=HEARTBEAT_MS if self.clock.is_wall else None,
            minute=now_ms // 60_000 if with_minutes else None,
            crossed=self._are_crosses_due(partition) if self.config.has_crosses else None,
        )
        records = self._transaction(partition, changes, figures)
        return records + control

    async def collect_early(self, partition: int) -> Records:
        """Figures alone, between two commits: pages that have come need not wait for the partition's own changes. What
        is crossed has waited for longer, and waits for the commit.
        """
        return self._collect_figures(partition, self.now_ms(), 0)

    async def committed(self, partition: int) -> None:
        """The transaction has committed: tell how long that took, and show what it says."""
        self._show(partition)
        self._metrics.count(m.COMMITS)
        self._metrics.observe(m.COMMIT_SECONDS, time.perf_counter() - self._collected_at[partition])
        oldest_ms = self._oldest_append_ms.pop(partition, None)
        if oldest_ms is not None:
            self._metrics.observe(m.APPEND_TO_COMMIT_SECONDS, max(self._wall_ms() - oldest_ms, 0) / 1000)

    async def committed_early(self, partition: int) -> None:
        """The transaction of figures alone has committed."""
        self._show(partition)

    # --- inside

    def _show(self, partition: int) -> None:
        """Only what has committed is shown: a worker that has lost its partitions without knowing it (it was frozen)
        gets no transaction through.
        """
        notes = self._unshown.pop(partition, None)
        if notes:
            self._store.show(partition, notes)

    def _collect_figures(self, partition: int, now_ms: int, crossed_at_most: int) -> list[Bulk]:
        """Figures that have changed, and what the partition's next owner has to know of them."""
        pages = self._pages_of(partition)
        notes = self._unshown.setdefault(partition, Notes())
        live: list[Pair] = []
        told: list[Pair] = []
        restated: list[Pair] = []
        before = pages.published_before
        for change in pages.collect(now_ms, self._provenances(now_ms), crossed_at_most=crossed_at_most):
            today = date_of(change.day).isoformat()
            for key, record in change.figures:
                value = record.encode() if record is not None else None
                live.append((key.encode(), value))
                _, window, as_of, currency = key.rsplit("|", 3)
                if as_of == today:
                    notes.put(live_key(change.scope), live_field(int(window), currency), value)
            for number, page in change.pages:
                told.append((published_page_key(change.scope, number), page))
                notes.put(pages_key(change.scope), str(number), page)
            if change.has_new_dates:
                told.append(encode_published_dates(change.scope, change.since, change.day))
            restated += [(one.key.encode(), one.encode()) for one in change.restated.records]
            for number, one in change.restated.kept:
                told.append(encode_published_restatement(change.scope, number, one))
                notes.put(restated_key(change.scope), str(number), one)
            self._metrics.count(m.FIGURES_RESTATED, sum(len(one.as_of) for one in change.restated.records))
            self._metrics.count(m.FIGURES_RESTATED_UNTOLD, change.restated.untold)
        if told and pages.published_before != before:
            told.append(encode_published_before(pages.published_before))
        self._metrics.count(m.LIVE_RECORDS, len(live))
        return [
            Bulk(FACTORS_LIVE, partition, live),
            Bulk(FACTORS_RESTATEMENTS, partition, restated),
            Bulk(self._changelog, partition, told),
        ]

    def _collect_whole(self, partition: int, now_ms: int) -> bool:
        """Scopes of which the store has to be given everything; tells whether there are any."""
        if now_ms <= 0:
            return False
        notes, n = self._unshown.setdefault(partition, Notes()), 0
        for whole in self._pages_of(partition).collect_whole(self._provenances(now_ms)):
            fields = {live_field(record.window_days, record.currency): record.encode() for record in whole.newest}
            notes.replace(live_key(whole.scope), fields)
            notes.replace(pages_key(whole.scope), {str(number): page for number, page in whole.pages})
            listed = index_entry(whole.scope)
            if listed is not None:
                notes.put(*listed, b"")
            notes.replace(restated_key(whole.scope), {str(number): one for number, one in whole.restatements})
            n += 1
        return n > 0

    def _collect_promotions(self, source: SourcePartition) -> list[Outgoing]:
        """The owner of partition 0 shows promotions and sends bad ones to the dead letters: each once, by its state."""
        judged = source.totals.control_offsets
        found = self.promotions.collect(judged.get(PROMOTIONS, 0))
        if found.next_offset > judged.get(PROMOTIONS, 0) or found.shown:
            judged[PROMOTIONS] = max(found.next_offset, judged.get(PROMOTIONS, 0))
            source.note_change()
        for name, value in found.shown.items():
            self._unshown[0].put(PROMOTIONS_KEY, name, value)
        return found.letters

    def _collect_items(self, source: SourcePartition) -> list[Outgoing]:
        """The same of the catalogue: dead letters, versions in force that go out again, numbers of items on sale."""
        judged = source.totals.control_offsets
        found = self.items.collect(judged.get(ITEMS, 0))
        if found.next_offset > judged.get(ITEMS, 0):
            judged[ITEMS] = found.next_offset
            source.note_change()
        for on_sale in self.items.catalogue.take_on_sale() if self.items.catalogue.is_whole else ():
            key, fields = on_sale_fields(on_sale)
            if on_sale.is_whole:
                self._unshown[0].replace(key, {name: value for name, value in fields.items() if value is not None})
            for name, value in () if on_sale.is_whole else fields.items():
                self._unshown[0].put(key, name, value)
            source.note_change()
        return found.letters + found.restored

    def _follow_catalogue(self, partition: int, source: SourcePartition) -> None:
        """Now and then, take in what the catalogue says otherwise: behind the events that have come."""
        wall_ms = self._wall_ms()
        last_ms = self._catalogue_at_ms.get(partition)
        if last_ms is not None and 0 <= wall_ms - last_ms < self._settings.catalogue_interval_ms:
            return
        self._catalogue_at_ms[partition] = wall_ms
        began = time.perf_counter()
        items = source.partition.follow_catalogue()
        if items:
            source.note_change()
            self._metrics.observe(m.CHUNK_SECONDS, time.perf_counter() - began, stage="catalogue")
            self._metrics.count(m.ITEMS_RELISTED, items)

    def _are_minutes_due(self, partition: int, now_ms: int) -> bool:
        """Minutes are published at a slower pace than other figures, and not of all partitions in one round.

        A worker that is behind plays days in seconds: it publishes an hour when it is over, not while it fills.
        """
        if not self.config.intraday.scopes or now_ms <= 0:
            return False
        is_far_behind = not self._progress.is_within(partition, FAR_BEHIND_RECORDS)
        return self._minutes.is_due(partition, self._wall_ms(), slower=_SLOWER_MINUTES if is_far_behind else 1)

    def _are_crosses_due(self, partition: int) -> bool:
        """Whether it is the turn of the next slice of crossed scopes: not while figures of earlier ones still wait."""
        waiting = sum(pages.aggregate.count_changed(crossed=True) for pages in self.pages.values())
        return waiting < CROSSED_SCOPES_WAITING and self._crosses.is_due(partition, self._wall_ms())

    def _crossed_at_most(self, partition: int) -> int:
        """How many figures of crossed scopes go out now: live events come first."""
        allowed = self._crossed_figures.take(partition, self._wall_ms(), partitions=max(len(self.pages), 1))
        if partition not in self._folded:
            return RECORDS_AT_A_TIME
        self._folded.discard(partition)
        return allowed

    def _collect_hours(self, partition: int, now_ms: int) -> tuple[Bulk, bool]:
        """Hours that have changed: all of them for the store, those of shops and the market for the topic.

        Also tells whether there is anything for the store.
        """
        hours = self._hours_of(partition)
        if partition not in self._hours_are_whole and self._progress.has_read(INTRADAY_PAGES, partition):
            self._hours_are_whole.add(partition)
        if partition not in self._hours_are_whole:
            return Bulk(INTRADAY_MINUTES, partition, []), False
        changed, lost = hours.collect(now_ms), hours.collect_lost()
        for one in (*changed, *lost):
            self._note_hour(partition, one)
        is_new_minute = hours.is_new_minute(now_ms // 60_000)
        if changed or lost or is_new_minute:
            self._unshown[partition].put(CLOCK_KEY, str(partition), str(now_ms).encode())
        told = [(hour_key(one.scope, one.hour), one.page) for one in changed if is_history(one.scope)]
        return Bulk(INTRADAY_MINUTES, partition, told), bool(changed or lost or is_new_minute)

    def _note_hour(self, partition: int, one: Hour) -> None:
        """What the store shall show of an hour; with a new one, what it shall forget."""
        hours, notes = self.hours[partition], self._unshown[partition]
        notes.put(minutes_key(one.scope), str(one.hour), one.page)
        if hours.is_new_hour(one.scope, one.hour):
            for gone in hours.gone_with(one.scope, one.hour):
                notes.put(minutes_key(one.scope), str(gone), None)
            scope = parse(one.scope)
            if scope.shop is not None and scope.kind:
                key = crossed_key(Scope(scope.shop).name, scope.kind)
                notes.put(key, one.scope, str(one.hour).encode())

    def _hours_of(self, partition: int) -> HourPartition:
        if partition not in self.hours:
            self.hours[partition] = HourPartition(
                kept_hours=self._settings.intraday_hours, history_hours=24 * self._settings.intraday_history_days
            )
        return self.hours[partition]

    def _transaction(self, partition: int, changes: Changes, figures: list[Bulk]) -> list[Any]:
        by_target: dict[int, list[Pair]] = {}
        for scope, pair in changes.pages:
            by_target.setdefault(self._placed(scope), []).append(pair)
        records: list[Any] = [Bulk(self._changelog, partition, changes.changelog), *figures]
        records += [Bulk(FACTORS_PAGES, target, pairs) for target, pairs in by_target.items()]
        hours_by_target: dict[int, list[Pair]] = {}
        for scope, pair in changes.hours:
            hours_by_target.setdefault(self._placed(scope), []).append(pair)
        records += [Bulk(INTRADAY_PAGES, target, pairs) for target, pairs in hours_by_target.items()]
        records += changes.dead_letters
        if changes.report is not None:
            records.append(Bulk(CLOCK, 0, [(changes.report.key(), changes.report.encode())]))
            self.clock.note(changes.report)
        self._metrics.count(m.CHANGELOG_RECORDS, len(changes.changelog))
        self._metrics.count(m.CHANGELOG_BYTES, sum(len(k or b"") + len(v or b"") for k, v in changes.changelog))
        self._metrics.count(m.PAGES_PUBLISHED, len(changes.pages))
        self._metrics.count(m.INTRADAY_PAGES_PUBLISHED, len(changes.hours))
        return records

    def _pages_of(self, partition: int) -> PagePartition:
        if partition not in self.pages:
            self.pages[partition] = PagePartition(
                self.config.windows,
                self.config.horizon_days,
                published=self.sources[partition].take_published(),
                day_in_zone=self._day_in_zone,
            )
        return self.pages[partition]

    def _provenances(self, now_ms: int) -> tuple[Provenance, Provenance]:
        """Of figures of shops and the market, and of what is crossed."""
        first = self.clock.first_date()
        plain = Provenance(
            date_of(first + 1).isoformat() if first is not None else None,
            _instant(self.clock.complete_through_ms()),
            _instant(now_ms),
        )
        if not self.config.has_crosses:
            return plain, plain
        return plain, plain._replace(complete_through=_instant(self.clock.complete_through_ms(crossed=True)))

    def _today(self) -> int:
        now_ms = self.now_ms()
        return latest_day(now_ms) if now_ms else 0

    def _day_in_zone(self, scope: str, now_ms: int) -> int:
        shop = self._shop_of(scope)
        zone = (self._zone_of(shop) if shop is not None else None) or self._settings.default_timezone
        if now_ms != self._days_at_ms:
            self._days.clear()
            self._days_at_ms = now_ms
        if zone not in self._days:
            self._days[zone] = self._zones.day_at(zone, now_ms)
        return self._days[zone]

    def _zone_of(self, shop: str) -> str | None:
        return self.shops[shop].zone if shop in self.shops else None

    def _note_shop(self, shop: str, value: bytes | None) -> None:
        if value is None:
            self.shops.pop(shop, None)
        else:
            self.shops[shop] = decode_shop(value)


def core_config(settings: Settings) -> CoreConfig:
    """What the settings say about the core."""
    return CoreConfig(
        windows=settings.windows,
        scopes=frozenset(settings.scopes),
        default_zone=settings.default_timezone,
        horizon_days=settings.horizon_days,
        ring_days=ring_days(settings.horizon_days),
        activity_days=settings.retention_activity_days,
        purchase_days=settings.retention_purchase_days,
        max_users=settings.max_users,
        max_shops=settings.max_shops,
        max_channels=settings.max_channels,
        max_names=settings.max_names,
        max_products=settings.max_products,
        max_rows=settings.max_rows,
        intraday=IntradayConfig(
            scopes=settings.minute_scopes,
            hours=settings.intraday_hours,
            max_items=settings.intraday_max_items,
            max_rows=settings.intraday_max_rows,
        ),
    )


def source_options(settings: Settings) -> SourceOptions:
    """What the settings say about records."""
    return SourceOptions(
        application_id=settings.application_id,
        partitions=settings.partitions,
        partitioner=settings.partitioner,
        is_wall_clock=settings.clock == "wall",
        undecodable_ratio_max=settings.undecodable_ratio_max,
        undecodable_window_records=settings.undecodable_window_records,
        undecodable_run_records_max=settings.undecodable_run_records_max,
    )


def instant(ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond.

    >>> instant(0)
    '1970-01-01T00:00:00.000Z'
    """
    text = dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _instant(ms: int | None) -> str | None:
    return instant(ms) if ms else None
