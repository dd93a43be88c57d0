"""Reads topics to their committed ends, and makes of them what a running system knows and what it shows.

Only what is committed is read: the newest record of each key of changelog and figures, and all events where they are
what is counted from.
"""

import asyncio
import contextlib
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, Literal, Self

import aiokafka
import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from processors.audit import LIVE, Difference, Shown
from processors.calendar import Zones, day_of
from processors.decode import Decoded, decode
from processors.decode.fields import RefusedError
from processors.decode.items import day_listed, decode_item
from processors.decode.profiles import decode_profile
from processors.decode.reference import Place as Lay
from processors.evidence import Evidence
from processors.recount import Recount
from schemas.durable import TOTALS_KEY, DurableError, Totals, decode_totals, is_published
from schemas.errors import SmartError
from schemas.factors import FactorRecord, decode_record
from schemas.item import Item
from schemas.profile import Profile
from schemas.scopes import Scope
from schemas.settings import Settings
from schemas.topics import EVENT_TOPICS, FACTORS_LIVE, ITEMS, PROFILES, SOURCE_TOPICS, changelog_topic
from stream.transport.chunk import Chunk
from stream.transport.driver import install
from stream.transport.private import partition_counts
from stream.transport.unpack import ChunkFormat

SourceName = Literal["changelog", "events"]
Place = tuple[str, int]
"""(topic, partition)."""
_CHUNK_RECORDS: Final = 8192
_FETCH_BYTES: Final = 4 << 20
_POLL_MS: Final = 200


class VerifyError(SmartError):
    """The system cannot be verified; the message says why."""


class _EveryTopic(frozenset[str]):
    """A set of names that has them all: any topic may have holes."""

    __slots__ = ()

    def __contains__(self, _name: object) -> bool:
        return True


class Tail:
    """Topics, read to their committed ends as often as asked. An async context manager."""

    def __init__(self, brokers: str, application_id: str) -> None:
        install()  # consumers can be given chunks from now on
        self._brokers = brokers
        shared: dict[str, Any] = {
            "bootstrap_servers": brokers.split(","),
            "client_id": "smart-verify",
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
        }
        self._consumer = aiokafka.AIOKafkaConsumer(
            **shared,
            group_id=None,
            key_deserializer=ChunkFormat(_CHUNK_RECORDS, _EveryTopic()),
            max_partition_fetch_bytes=_FETCH_BYTES,
            auto_offset_reset="earliest",
        )
        # It asks for the workers' offsets, and never joins their group.
        self._group = aiokafka.AIOKafkaConsumer(**shared, group_id=application_id)
        self._read: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            await self._group.start()
        except (KafkaError, OSError) as error:
            await self.__aexit__(None, None, None)
            raise VerifyError(
                f"no Kafka broker answers at {self._brokers}; start one with 'smart demo', or set SMART_BROKERS"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()
        await self._group.stop()

    async def begin(self, places: Iterable[Place]) -> dict[Place, int]:
        """Read these from their beginnings, which are returned."""
        return await self._begin(places, self._consumer.beginning_offsets)

    async def begin_at_ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Read of these what will come to them, from their present ends on, which are returned."""
        return await self._begin(places, self._consumer.end_offsets)

    async def _begin(self, places: Iterable[Place], offsets_of: Callable[..., Awaitable[Any]]) -> dict[Place, int]:
        wanted = [TopicPartition(*place) for place in places]
        self._consumer.assign(wanted)
        self._read = dict(await offsets_of(wanted))
        for place, offset in self._read.items():
            self._consumer.seek(place, offset)
        return {(place.topic, place.partition): offset for place, offset in self._read.items()}

    async def places_of(self, topic: str) -> list[Place]:
        """Every partition of a topic; none where it does not exist."""
        counts = await partition_counts(self._consumer)
        return [(topic, partition) for partition in range(counts.get(topic, 0))]

    async def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Where the committed part of each ends."""
        found = await self._consumer.end_offsets([TopicPartition(*place) for place in places])
        return {(place.topic, place.partition): end for place, end in found.items()}

    async def committed(self, places: Iterable[Place]) -> dict[Place, int]:
        """How far the workers have come with each."""
        wanted = [TopicPartition(*place) for place in places]
        self._group.assign(wanted)
        found = await asyncio.gather(*map(self._group.committed, wanted))
        return {(place.topic, place.partition): end or 0 for place, end in zip(wanted, found, strict=True)}

    async def catch_up(self, apply: Callable[[Chunk], None]) -> int:
        """Hand on everything up to the present ends; returns how many records that were."""
        n = 0
        async for chunk in self.chunks():
            apply(chunk)
            n += len(chunk)
        return n

    async def chunks(self) -> AsyncIterator[Chunk]:
        """Everything up to the present ends."""
        ends = await self._consumer.end_offsets(list(self._read))
        behind = {place for place, end in ends.items() if self._read[place] < end}
        while behind:
            polled = await self._consumer.getmany(*behind, timeout_ms=_POLL_MS, max_records=8)
            for place, chunks in polled.items():
                for chunk in chunks:
                    self._read[place] = chunk.last + 1
                    yield chunk
                if self._read[place] >= ends[place]:
                    behind.discard(place)


class Cut:
    """What has been read so far."""

    def __init__(self, settings: Settings, source: SourceName) -> None:
        self.source = source
        self.totals: dict[int, Totals] = {}
        """Partition → its durable book-keeping."""
        self.accepted: Counter[Place] = Counter()
        self.refused: Counter[tuple[str, int, str]] = Counter()
        """(topic, partition, code) → records; these two only where events are the source."""
        self._settings = settings
        self._changelog = changelog_topic(settings.application_id)
        self._newest: dict[int, dict[bytes, bytes]] = {}
        """Partition → the newest records of its changelog, but for what tells of figures."""
        self._live: dict[str, dict[bytes, bytes]] = {}
        """Scope → its newest records in the topic."""
        self._events: dict[Place, list[Chunk]] = {}
        self._changed: dict[int, set[bytes]] = {}
        """Partition → the keys of its changelog that have been written since it was counted last."""
        self._evidence = Evidence()
        self._zones, self._zone_names = Zones(), dict[str, str]()

    def places(self) -> list[Place]:
        """What has to be read."""
        topics = [self._changelog, FACTORS_LIVE, *(SOURCE_TOPICS if self.source == "events" else ())]
        places = [(topic, partition) for topic in topics for partition in range(self._settings.partitions)]
        return [*places, (ITEMS, 0)] if self.source == "events" else places

    def apply(self, chunk: Chunk) -> None:
        """Take in records."""
        if chunk.topic == FACTORS_LIVE:
            for key, value in zip(chunk.keys, chunk.values, strict=True):
                scope = (key or b"").rsplit(b"|", 3)[0].decode(errors="replace")
                _put(self._live.setdefault(scope, {}), key or b"", value)
            return
        if chunk.topic == ITEMS:  # whatever partition an item is in
            for partition in range(self._settings.partitions):
                self._changed.setdefault(partition, set())
            self._events.setdefault((ITEMS, 0), []).append(chunk)
            return
        changed = self._changed.setdefault(chunk.partition, set())
        if chunk.topic in SOURCE_TOPICS:
            self._events.setdefault((chunk.topic, chunk.partition), []).append(chunk)
            return
        newest = self._newest.setdefault(chunk.partition, {})
        for key, value in zip(chunk.keys, chunk.values, strict=True):
            if key is not None and not is_published(key):
                _put(newest, key, value)
                changed.add(key)

    def has_waiting(self) -> bool:
        """Whether what has been read says of changed pages that they wait for their turn to be published."""
        newest = (records.get(TOTALS_KEY) for records in self._newest.values())
        return any(decode_totals(value).waiting_records for value in newest if value is not None)

    def count(self) -> None:
        """Let all that has been read be counted in `recount`. Raises VerifyError for what cannot be read."""
        for partition, keys in sorted(self._changed.items()):
            records = self._newest.get(partition, {})
            try:
                if TOTALS_KEY in records:
                    self.totals[partition] = decode_totals(records[TOTALS_KEY])
                self._evidence.put_ledgers(partition, records, keys)
            except DurableError as error:
                raise VerifyError(f"changelog of partition {partition}: {error}") from error
            # The zones in which dates were taken are in the ledgers' dictionaries, whatever is counted from.
            self._zone_names.update(self._evidence.zones)
        if self.source == "events":
            listed = self._listed()
            for partition in sorted(self._changed):
                decoded, profiles = self._decoded(partition), self._profiles(partition)
                self._evidence.put_events(partition, decoded, self._day_at, profiles, listed)
        self._changed.clear()

    def recount(self, only: Iterable[Scope] | None = None) -> Recount:
        """The figures of what has been counted, of these scopes or of all."""
        return Recount(self._evidence, only)

    def shown_scopes(self) -> list[str]:
        """The scopes that have records in the topic."""
        return [scope for scope, records in self._live.items() if records]

    def shown_days(self, scope: str) -> set[int]:
        """The day numbers of which a scope has records in the topic."""
        days = set()
        for as_of in {key.rsplit(b"|", 2)[1] for key in self._live.get(scope, ()) if key.count(b"|") >= 3}:
            with contextlib.suppress(ValueError):
                days.add(day_of(dt.date.fromisoformat(as_of.decode(errors="replace"))))
        return days

    def shown(self, scope: str) -> tuple[Shown, list[Difference]]:
        """The newest records of a scope in the topic, and those that are none."""
        found: Shown = {}
        unreadable = []
        for key, value in self._live.get(scope, {}).items():
            try:
                record = decode_record(value)
            except msgspec.DecodeError as error:
                unreadable.append(Difference(LIVE, key.decode(errors="replace"), str(error)))
            else:
                found[_shown_at(record)] = record
        return found, unreadable

    def today(self, scope: Scope, wall_ms: int) -> int:
        """The scope's day number; 0 while no time has passed."""
        now_ms = wall_ms
        if self._settings.clock == "event":
            now_ms = max((totals.watermark_ms for totals in self.totals.values()), default=-1)
        return self._day_at(scope.shop or "", now_ms) if now_ms >= 0 else 0

    def _day_at(self, shop: str, instant_ms: int) -> int:
        return self._zones.day_at(self._zone_names.get(shop, self._settings.default_timezone), instant_ms)

    def _decoded(self, partition: int) -> Iterable[Decoded]:
        """What the totals say has been applied of a partition's events, decided upon anew."""
        settings = self._settings
        for topic in EVENT_TOPICS:
            upto = self._applied(topic, partition)
            self.accepted[topic, partition] = 0
            for key in [key for key in self.refused if key[:2] == (topic, partition)]:
                del self.refused[key]
            for chunk in self._events.get((topic, partition), ()):
                n = len(chunk) if chunk.last < upto else sum(offset < upto for offset in chunk.offsets)
                decoded = decode(
                    chunk.values[:n],
                    chunk.keys[:n],
                    chunk.timestamps_ms[:n],
                    partition=partition,
                    partitions=settings.partitions,
                    partitioner=settings.partitioner,
                    wall_clock=settings.clock == "wall",
                )
                self.accepted[topic, partition] += len(decoded)
                self.refused.update((topic, partition, refusal.code.value) for refusal in decoded.refusals)
                yield decoded

    def _applied(self, topic: str, partition: int) -> int:
        """The first offset that the totals do not include."""
        known = self.totals.get(partition, Totals()).topics.get(topic)
        return known.next_offset if known else 0

    def _profiles(self, partition: int) -> Iterable[Profile]:
        """What has been applied of a partition's profiles."""
        upto, settings = self._applied(PROFILES, partition), self._settings
        lay = Lay(partition, settings.partitions, settings.partitioner)
        for chunk in self._events.get((PROFILES, partition), ()):
            for offset, key, value in zip(chunk.offsets, chunk.keys, chunk.values, strict=True):
                if offset < upto:
                    with contextlib.suppress(RefusedError):
                        yield decode_profile(value, key, lay)

    def _listed(self) -> dict[str, int]:
        """Item → the day number of its listing, by the newest record of the catalogue."""
        newest: dict[bytes, Item] = {}
        deleted: set[bytes] = set()
        for chunk in self._events.get((ITEMS, 0), ()):
            for key, value in zip(chunk.keys, chunk.values, strict=True):
                if value is None:
                    deleted.add(key or b"")
                    continue
                with contextlib.suppress(RefusedError):
                    item = decode_item(value, key or b"")
                    known = newest.get(item.item_id)
                    is_later = known is None or item.updated_ms > known.updated_ms
                    if known is not None and item.updated_ms == known.updated_ms and item.item_id not in deleted:
                        is_later = item.digest() > known.digest()
                    if is_later:
                        newest[item.item_id] = item
                        deleted.discard(item.item_id)
        return {
            name.decode(): day_listed(one.listed_on)
            for name, one in newest.items()
            if one.listed_on is not None and name not in deleted
        }


def _put(newest: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        newest.pop(key, None)
    else:
        newest[key] = value


def _shown_at(record: FactorRecord) -> tuple[int, int, str]:
    return day_of(dt.date.fromisoformat(record.as_of)), record.window_days, record.currency
