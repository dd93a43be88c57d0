"""Dead letters as they lie in their topics: read to the end, counted, played in again.

A letter's code, field and place of origin are in its headers (schemas.refusals); its key, value and time are the
refused record's own.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappush, heappushpop
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError

from schemas.errors import SmartError
from schemas.refusals import HEADER_ERROR_CODE, HEADER_ERROR_FIELD, HEADER_NAMES, HEADER_OFFSET, HEADER_TOPIC
from schemas.topics import DEAD_LETTER_SUFFIX, WITH_DEAD_LETTERS

UNKNOWN: Final = "unknown"
"""Code of a letter that is not from us."""

_POLL_S: Final = 0.25
_POLL_RECORDS: Final = 5_000
_SILENCE_S: Final = 3.0


class DeadLetterError(SmartError):
    """The dead letters cannot be read."""


class Letter(NamedTuple):
    """One dead letter."""

    origin: str
    """The topic that the record lay in, or `file:` and the name of a file."""
    offset: int | None
    """The refused record's offset there; the row's number in a file."""
    code: str
    field: str
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    """The refused record's own ones."""

    @property
    def can_be_replayed(self) -> bool:
        """It was in a topic: a row of a file is no record."""
        return self.origin in WITH_DEAD_LETTERS


def letter_of(
    topic: str, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]
) -> Letter:
    """The letter that a record of a dead letter topic is."""
    all_headers = list(headers)
    ours = {name: text.decode("utf-8", "replace") for name, text in all_headers if name in HEADER_NAMES and text}
    offset = ours.get(HEADER_OFFSET, "")
    return Letter(
        origin=ours.get(HEADER_TOPIC) or topic.removesuffix(DEAD_LETTER_SUFFIX),
        offset=int(offset) if offset.isdecimal() else None,
        code=ours.get(HEADER_ERROR_CODE) or UNKNOWN,
        field=ours.get(HEADER_ERROR_FIELD, ""),
        timestamp_ms=timestamp_ms,
        key=key,
        value=value,
        headers=[(name, text) for name, text in all_headers if name not in HEADER_NAMES],
    )


def masked(key: bytes | None) -> str:
    """A stand-in for a user: the same for the same user, and telling nothing else.

    >>> masked(b"u1") == masked(b"u1") != masked(b"u2"), masked(None)
    (True, '-')
    """
    return "-" if key is None else blake2b(key, digest_size=4).hexdigest()


@dataclass(slots=True)
class Summary:
    """How many letters there are, and the newest of them."""

    newest_max: int
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(origin, code) → letters."""
    _newest: list[tuple[int, int, Letter]] = field(default_factory=list)

    def add(self, letter: Letter) -> None:
        """Count one more letter."""
        self.counts[letter.origin, letter.code] += 1
        if self.newest_max:
            entry = (letter.timestamp_ms, self.counts.total(), letter)
            (heappush if len(self._newest) < self.newest_max else heappushpop)(self._newest, entry)

    @property
    def newest(self) -> list[Letter]:
        """The newest letters, the newest first."""
        return [letter for _, _, letter in sorted(self._newest, reverse=True)]


async def read_letters(brokers: str, partitions: Mapping[str, int]) -> AsyncIterator[Letter]:
    """Every letter that was in the dead letter topics when the reading began. Raises DeadLetterError.

    `partitions`: the topics that exist, with their number of partitions.
    """
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=brokers,
        client_id="smart-dlq",
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    try:
        await consumer.start()
        async for record in _records(consumer, partitions):
            yield letter_of(record.topic, record.timestamp, record.key, record.value, record.headers)
    except KafkaConnectionError as error:
        raise DeadLetterError(
            f"no Kafka broker answers at {brokers}; start one with 'smart demo', or set SMART_BROKERS"
        ) from error
    except KafkaError as error:
        raise DeadLetterError(f"the dead letters at {brokers} cannot be read: {error}") from error
    finally:
        await consumer.stop()


async def _records(consumer: Any, partitions: Mapping[str, int]) -> AsyncIterator[Any]:
    places = [TopicPartition(topic, partition) for topic, n in partitions.items() for partition in range(n)]
    if not places:
        return
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends = await consumer.end_offsets(places)
    read = await consumer.beginning_offsets(places)
    idle_s = 0.0
    # A partition may end in transaction markers, which are no records: a silence ends the reading, too.
    while idle_s < _SILENCE_S and any(read[place] < ends[place] for place in places):
        polled = await consumer.getmany(timeout_ms=int(_POLL_S * 1_000), max_records=_POLL_RECORDS)
        idle_s = 0.0 if polled else idle_s + _POLL_S
        for place, records in polled.items():
            read[place] = records[-1].offset + 1
            for record in records:
                if record.offset < ends[place]:
                    yield record
