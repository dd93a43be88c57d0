"""Loading history: records that already exist are written at full speed, and followed until they are in the figures.

Loading is nothing else than sending: events are sets and lines, so what is loaded twice, or has come live already, is
counted once, and neither order nor live events that come meanwhile matter. What this module adds is to know the end.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiokafka
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from schemas.adapters.native import keyed
from schemas.errors import SmartError
from schemas.refusals import Code
from schemas.topics import EVENT_TOPICS, dead_letter_topic
from stream.cut import Tail
from stream.dead_letters import letter_of
from stream.replay import route
from stream.routing import Messages
from stream.transport.chunk import Chunk


class LoadError(SmartError):
    """Something could not be loaded, or not be followed; the message says what has been done until then."""


class Applied(NamedTuple):
    """How far the workers have come with what they have to do."""

    records: int
    of: int

    @property
    def is_all(self) -> bool:
        """Whether nothing is left."""
        return self.records >= self.of


class Backlog:
    """What lies in topics and has not been committed by the workers. An async context manager.

    It asks for the offsets of their group and never joins it. Ends are the very ends of the logs, records of open
    transactions included: what is behind them is behind all that was written before.
    """

    def __init__(self, brokers: str, application_id: str, partitions: int) -> None:
        self._brokers = brokers
        self._partitions = partitions
        self._group = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=brokers.split(","),
            client_id="smart-load",
            group_id=application_id,
            enable_auto_commit=False,
            isolation_level="read_uncommitted",
        )
        self._begun: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._group.start()
        except (KafkaError, OSError) as error:
            await self._group.stop()
            raise LoadError(
                f"no Kafka broker answers at {self._brokers}; start one with 'smart demo', or set SMART_BROKERS"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._group.stop()

    async def aim(self, topics: Iterable[str]) -> Applied:
        """From now on, the backlog is what lies in these topics at this moment. Raises LoadError, as does `look`."""
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(self._partitions)]
        self._group.assign(places)
        self._begun = await self._committed()
        self._ends = await self._group.end_offsets(places)
        return _applied(self._begun, self._begun, self._ends)

    async def look(self) -> Applied:
        """How much of it has been applied and committed since."""
        return _applied(self._begun, await self._committed(), self._ends)

    async def _committed(self) -> dict[TopicPartition, int]:
        places = sorted(self._group.assignment())
        try:
            offsets = await asyncio.gather(*map(self._group.committed, places))
        except KafkaError as error:
            raise LoadError(f"how far the workers are cannot be asked at {self._brokers}: {error}") from error
        return {place: offset or 0 for place, offset in zip(places, offsets, strict=True)}


def _applied(
    begun: dict[TopicPartition, int], committed: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> Applied:
    done = sum(min(committed[place], end) - min(begun[place], end) for place, end in ends.items())
    return Applied(done, sum(max(end - begun[place], 0) for place, end in ends.items()))


class WorkersRefusals:
    """Counts the events that workers refuse from a moment on, by code."""

    def __init__(self, tail: Tail, partitions: int) -> None:
        self._tail = tail
        self._places = [(dead_letter_topic(topic), n) for topic in EVENT_TOPICS for n in range(partitions)]

    async def begin(self) -> None:
        """Count from now on."""
        await self._tail.begin_at_ends(self._places)

    async def count(self) -> Counter[Code]:
        """What has been refused since; rows of files, which never were in a topic, are not among it."""
        refused: Counter[Code] = Counter()

        def note(chunk: Chunk) -> None:
            for n, key in enumerate(chunk.keys):
                headers: Any = chunk.headers.get(n, [])
                letter = letter_of(chunk.topic, 0, key, chunk.values[n], headers)
                if letter.origin in EVENT_TOPICS and letter.code in set(Code):
                    refused[Code(letter.code)] += 1

        await self._tail.catch_up(note)
        return refused


class ArchivedTopic:
    """Native events of a topic as they may lie anywhere: each goes to the topic of its action, under its own user."""

    def __init__(self, tail: Tail, topic: str) -> None:
        self._tail = tail
        self._topic = topic
        self.records_total = 0
        """Offsets between the first record and the end when the reading began."""
        self.records_read = 0

    async def begin(self) -> None:
        """Read from the first record to what is the end now. Raises LoadError where there is no such topic."""
        places = await self._tail.places_of(self._topic)
        if not places:
            raise LoadError(f"topic {self._topic} does not exist")
        starts = await self._tail.begin(places)
        ends = await self._tail.ends(places)
        self.records_total = sum(ends[place] - start for place, start in starts.items())

    async def messages(self) -> AsyncIterator[Messages]:
        """Its records in the order of each partition; tombstones are passed over."""
        async for chunk in self._tail.chunks():
            self.records_read += chunk.last - chunk.first + 1
            values = [value for value in chunk.values if value is not None]
            yield Messages([route(value)[0] for value in values], [keyed(value).key for value in values], values)
