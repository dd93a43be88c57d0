"""One owned partition of the event topics: chunks in, what has to be published out. A plain state machine without I/O.

Chunks wait until there are enough of them, or until the next transaction: a fold costs about as much for ten records as
for a hundred, and when little comes in, it comes in small pieces. `read` decodes and `fold` applies all that waits;
`collect` gives everything that changed since the last call, for one transaction. The totals remember which offsets have
been applied, so chunks delivered again after a crash change nothing, not even a total.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple, cast

import msgspec
import numpy as np

from processors.calendar import DAY_MS
from processors.counters import EVERYBODY
from processors.decode import Decoded, decode
from processors.decode.fields import RefusedError
from processors.decode.profiles import decode_profile
from processors.decode.reference import Place
from processors.pages import page_of
from processors.partition import Partition
from processors.waiting import SLICES
from schemas.control import ClockRecord
from schemas.durable import (
    INTRADAY_KEY,
    PUBLISHED_PREFIX,
    TOTALS_KEY,
    PublishedFigures,
    TopicTotals,
    Totals,
    decode_intraday,
    decode_totals,
    encode_intraday,
    encode_totals,
    is_published,
)
from schemas.errors import SmartError
from schemas.profile import Profile
from schemas.refusals import UNDECODABLE, Refusal, dead_letter_headers
from schemas.topics import dead_letter_topic
from stream.guard import UndecodableGuard
from stream.transport.chunk import Chunk
from stream.transport.committer import Outgoing, Pair

_NOT_LEDGERS: Final = frozenset({TOTALS_KEY, PUBLISHED_PREFIX, INTRADAY_KEY})


class MissingRecordsError(SmartError):
    """Records between what has been taken in and a chunk have never come: going on would lose them."""


class KeptOtherwiseError(SmartError):
    """The durable state was made with settings that these cannot go on from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """What decides over records, besides their content."""

    application_id: str
    partitions: int
    partitioner: str
    is_wall_clock: bool
    undecodable_ratio_max: float = 0.9
    undecodable_window_records: int = 10_000
    undecodable_run_records_max: int = 5_000


class Part(NamedTuple):
    """A chunk among those that are decoded together."""

    chunk: Chunk
    skipped: int
    """Records at the chunk's beginning that had been applied before."""
    first: int
    """Which of the decoded records is the chunk's first."""

    @property
    def records(self) -> int:
        """How many of its records count."""
        return len(self.chunk) - self.skipped


class Read(NamedTuple):
    """Chunks, decoded."""

    parts: list[Part]
    decoded: Decoded

    def part_of(self, record: int) -> Part:
        """The part that a decoded record is of."""
        return self.parts[bisect_right(self.parts, record, key=lambda part: part.first) - 1]

    def accepted(self) -> Counter[str]:
        """Topic → how many of its records were accepted."""
        accepted: Counter[str] = Counter()
        for part in self.parts:
            accepted[part.chunk.topic] += part.records
        for refusal in self.decoded.refusals:
            accepted[self.part_of(refusal.record).chunk.topic] -= 1
        return accepted


@dataclass(slots=True)
class Changes:
    """What one transaction of the partition has to hold."""

    changelog: list[Pair] = field(default_factory=list)
    pages: list[tuple[bytes, Pair]] = field(default_factory=list)
    """(scope, record), to be placed by scope."""
    hours: list[tuple[bytes, Pair]] = field(default_factory=list)
    """The same of pages of hours."""
    dead_letters: list[Outgoing] = field(default_factory=list)
    report: ClockRecord | None = None


class SourcePartition:
    """State of one partition, and what of it has not been published yet."""

    def __init__(self, partition: Partition, options: SourceOptions) -> None:
        self.partition = partition
        self.options = options
        self.totals = Totals()
        self._published = PublishedFigures()
        self._waiting: list[Part] = []
        self._records_waiting = 0
        self._next_offsets: dict[str, int] = {}
        """Topic → the offset after the last that waits."""
        self._dead_letters: list[Outgoing] = []
        self._guards: dict[str, UndecodableGuard] = {}
        self._is_changed = False
        self._report: ClockRecord | None = None
        self._at_turns: deque[int] = deque(maxlen=SLICES)
        """Greatest event time applied before each of the last turns of crossed scopes."""

    # --- recovery

    def load(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Take in changelog records, in the order of the log."""
        others = [i for i, key in enumerate(keys) if key is None or key[:1] in _NOT_LEDGERS]
        for i in others:
            key, value = keys[i], values[i]
            if key == TOTALS_KEY and value is not None:
                self.totals = decode_totals(value)
            elif key == INTRADAY_KEY and value is not None:
                self.partition.intraday.state = decode_intraday(value)
            elif key is not None and is_published(key):
                self._published.load(key, value)
        if others:
            out = frozenset(others)
            keys = [key for i, key in enumerate(keys) if i not in out]
            values = [value for i, value in enumerate(values) if i not in out]
        self.partition.load(cast("Sequence[bytes]", keys), values)

    def finish(self, today: int) -> None:
        """All records are loaded: count anew, and go on towards `today`. Raises KeptOtherwiseError."""
        figures = self.partition.config.figures
        if self.totals.figures not in ("", figures):
            raise KeptOtherwiseError(
                f"figures were kept as {self.totals.figures}, the settings say {figures}: SMART_WINDOWS, "
                "SMART_SCOPES and SMART_DEFAULT_TIMEZONE cannot change without a rebuild"
            )
        self.partition.first_day = self.totals.first_day
        self.partition.rebuild(self.totals.today or today)
        self.partition.forget_pages(self.totals.published_through_page)

    def take_published(self) -> PublishedFigures:
        """What the changelog says has been published of the scopes placed in this partition; given away."""
        published, self._published = self._published, PublishedFigures()
        return published

    # --- events

    def goes_on_at(self, topic: str) -> int:
        """Offset of the first record of a topic that has not been taken in."""
        totals = self.totals.topics.get(topic)
        return self._next_offsets.get(topic, totals.next_offset if totals else 0)

    def take_in(self, chunk: Chunk) -> int:
        """Let a chunk wait for the next fold; returns how many records wait. Raises MissingRecordsError."""
        skipped = self._applied_of(chunk)
        if chunk.last >= self.goes_on_at(chunk.topic):
            self._waiting.append(Part(chunk, skipped, self._records_waiting))
            self._records_waiting += len(chunk) - skipped
            self._next_offsets[chunk.topic] = chunk.last + 1
        return self._records_waiting

    def _applied_of(self, chunk: Chunk) -> int:
        """How many of a chunk's records have been taken in before. Raises MissingRecordsError."""
        self.totals.topics.setdefault(chunk.topic, TopicTotals())
        next_offset = self.goes_on_at(chunk.topic)
        if chunk.first > next_offset:
            raise MissingRecordsError(
                f"{chunk.topic}: offsets {next_offset} to {chunk.first - 1} of the partition have not been delivered"
            )
        return int(np.searchsorted(np.asarray(chunk.offsets), next_offset)) if chunk.first < next_offset else 0

    def fold_profiles(self, chunk: Chunk, at_most: int) -> bool:
        """Apply the next profiles of a chunk, at once; tells whether it has more. Raises MissingRecordsError,
        TooManyUndecodableError.
        """
        first = self._applied_of(chunk)
        totals, end = self.totals.topics[chunk.topic], min(first + at_most, len(chunk))
        place = Place(self.partition.number, self.options.partitions, self.options.partitioner)
        profiles: list[Profile] = []
        refusals: list[Refusal] = []
        for i in range(first, end):
            try:
                profiles.append(decode_profile(chunk.values[i], chunk.keys[i], place))
            except RefusedError as error:
                refusals.append(Refusal(i, error.code, error.field))
        self._guard(chunk.topic).check(end - first, sum(one.code in UNDECODABLE for one in refusals))
        self.partition.fold_profiles(profiles)
        for refusal in refusals:
            self._refuse(chunk, refusal.record, refusal)
        totals.accepted += len(profiles)
        has_more = end < len(chunk)
        done = int(chunk.offsets[end]) if has_more else chunk.last + 1
        self._is_changed |= done > totals.next_offset
        totals.next_offset = max(totals.next_offset, done)
        return has_more

    def read(self) -> Read:
        """Decode what waits; it is to be folded at once. Raises TooManyUndecodableError."""
        parts, self._waiting, self._records_waiting = self._waiting, [], 0
        self._next_offsets.clear()
        options = self.options
        read = Read(
            parts,
            decode(
                list(chain.from_iterable(part.chunk.values[part.skipped :] for part in parts)),
                list(chain.from_iterable(part.chunk.keys[part.skipped :] for part in parts)),
                np.concatenate([part.chunk.timestamps_ms[part.skipped :] for part in parts]),
                partition=self.partition.number,
                partitions=options.partitions,
                partitioner=options.partitioner,
                wall_clock=options.is_wall_clock,
            ),
        )
        undecodable = Counter(
            read.part_of(one.record).first for one in read.decoded.refusals if one.code in UNDECODABLE
        )
        for part in parts:
            if part.records:
                self._guard(part.chunk.topic).check(part.records, undecodable[part.first])
        return read

    def fold(self, read: Read) -> None:
        """Apply what has been decoded: ledgers, counters, dead letters and totals."""
        decoded = read.decoded
        self.partition.fold(decoded)
        for part in read.parts:
            self.totals.topics[part.chunk.topic].next_offset = part.chunk.last + 1
        for topic, n in read.accepted().items():
            self.totals.topics[topic].accepted += n
        for refusal in decoded.refusals:
            part = read.part_of(refusal.record)
            self._refuse(part.chunk, part.skipped + refusal.record - part.first, refusal)
        if len(decoded):
            self.totals.watermark_ms = max(self.totals.watermark_ms, int(decoded.event_ms.max()))
            self.totals.first_day = self.partition.first_day
        self._is_changed = True

    @property
    def has_waiting(self) -> bool:
        """Whether anything has been taken in that has not been folded."""
        return bool(self._waiting)

    # --- what follows from them

    def collect(
        self,
        today: int,
        *,
        at_ms: int,
        caught_up: bool,
        heartbeat_ms: int | None,
        minute: int | None = None,
        crossed: bool | None = None,
    ) -> Changes:
        """Everything that changed since the last call.

        today: the latest day number of any zone; pages are published up to the day after, so that a new date finds
        them. heartbeat_ms: report so often, and not more often; None: every change is reported, and nothing else.
        minute: pages of hours are taken too, at this minute; None: they wait. crossed: whether it is the turn of a
        slice of the crossed scopes; None: they do not wait for turns.
        """
        changes = Changes()
        if today > self.partition.today:
            self.partition.advance(today)
        through = page_of(self.partition.today + 1)
        turn = EVERYBODY if crossed is None else self.partition.waiting.turn(is_due=crossed)
        changes.pages = [
            (scope, (key, value)) for scope, key, value in self.partition.take_pages(self.partition.today + 1, turn)
        ]
        waiting = self.partition.waiting.records
        self._note_turn(is_turn=crossed is not False, waiting=waiting)
        moved = through > self.totals.published_through_page or self.partition.today != self.totals.today
        intraday = self.partition.intraday
        if minute is not None:
            changes.hours = [(scope, (key, value)) for scope, key, value in intraday.take_pages(minute)]
        waits_otherwise = waiting != self.totals.waiting_records
        if self._is_changed or moved or changes.pages or changes.hours or waits_otherwise:
            self.totals.waiting_records = waiting
            self.totals.published_through_page = max(self.totals.published_through_page, through)
            self.totals.today = self.partition.today
            self.totals.figures = self.partition.config.figures
            changes.changelog = [*self.partition.take_records(), encode_totals(self.totals)]
            if intraday.is_kept:
                if minute is None:
                    intraday.note_pending()
                changes.changelog.append(encode_intraday(intraday.state))
            changes.dead_letters, self._dead_letters = self._dead_letters, []
        report = self._new_report(at_ms, caught_up=caught_up)
        last = self._report
        if last is None:
            is_due = True
        elif heartbeat_ms is not None:
            is_due = at_ms - last.at_ms >= heartbeat_ms
        else:
            is_due = msgspec.structs.replace(report, at_ms=last.at_ms) != last
        if is_due:
            self._report = changes.report = report
        self._is_changed = False
        return changes

    def note_change(self) -> None:
        """Something of the totals that is kept for others has changed: write them with the next transaction."""
        self._is_changed = True

    def _note_turn(self, *, is_turn: bool, waiting: int) -> None:
        """What the published pages of crossed scopes include by now."""
        if is_turn:
            self._at_turns.append(self.totals.watermark_ms)
        if not waiting:
            self.totals.crossed_ms = self.totals.watermark_ms
        elif len(self._at_turns) == SLICES:
            self.totals.crossed_ms = max(self.totals.crossed_ms, self._at_turns[0])

    def _new_report(self, at_ms: int, *, caught_up: bool) -> ClockRecord:
        watermark_ms = self.totals.watermark_ms if self.totals.watermark_ms >= 0 else None
        return ClockRecord(
            partition=self.partition.number,
            watermark_ms=watermark_ms,
            accepted_ms=watermark_ms,
            first_date=self.totals.first_day - 1 if self.totals.first_day else None,
            caught_up=caught_up,
            at_ms=at_ms,
            crossed_ms=max(self.totals.crossed_ms, 0) if self.totals.waiting_records else None,
        )

    def _refuse(self, chunk: Chunk, index: int, refusal: Refusal) -> None:
        """A record of a chunk goes to the dead letters, and is counted."""
        refused = self.totals.topics[chunk.topic].refused
        refused[refusal.code.value] = refused.get(refusal.code.value, 0) + 1
        self._dead_letters.append(self._dead_letter(chunk, index, refusal))

    def _dead_letter(self, chunk: Chunk, index: int, refusal: Refusal) -> Outgoing:
        headers = dead_letter_headers(
            refusal,
            topic=chunk.topic,
            partition=chunk.partition,
            offset=int(chunk.offsets[index]),
            connector_name=self.options.application_id,
            task_id=chunk.partition,
            original=[(name, value or b"") for name, value in chunk.headers.get(index, [])],
        )
        return Outgoing(
            dead_letter_topic(chunk.topic),
            chunk.partition,
            chunk.keys[index],
            chunk.values[index],
            headers,
            int(chunk.timestamps_ms[index]),
        )

    def _guard(self, topic: str) -> UndecodableGuard:
        if topic not in self._guards:
            options = self.options
            self._guards[topic] = UndecodableGuard(
                topic,
                ratio_max=options.undecodable_ratio_max,
                window_records=options.undecodable_window_records,
                run_max=options.undecodable_run_records_max,
            )
        return self._guards[topic]


def restated(decoded: Decoded, now_ms: int) -> int:
    """How many events of a batch are of a date before today, at least a day ago."""
    return int((decoded.event_ms < now_ms - DAY_MS).sum())
