"""Record batches to chunks, inside aiokafka's fetcher.

aiokafka unpacks a fetch answer into one Python object a record. `ChunkRecords` takes its place and yields `Chunk`s:
small batches are merged and large ones cut to `ChunkFormat.max_records`. A consumer asks for chunks by passing a
`ChunkFormat` as its `key_deserializer`; every other consumer of the process is served as before.

What a chunk never holds: records of aborted transactions (for a `read_committed` consumer), control records, records
below the position that was asked for. Their offsets are covered by `first` … `last` all the same, and an answer with
nothing else in it yields one empty chunk, so that a reader who waits for the end of the log gets there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.transport.chunk import Chunk, Header, Offsets, exact_offsets
from stream.transport.private import READ_COMMITTED, CorruptRecordException, PartitionRecords

APPEND_TIME = 1


@dataclass(frozen=True, slots=True)
class ChunkFormat:
    """How a consumer wants its chunks.

    max_records: at most so many records in a chunk.
    compacted: names of topics that may have holes inside a batch; their offsets are read one by one (0.1 µs a record).
    """

    max_records: int = 4096
    compacted: frozenset[str] = frozenset()

    def __call__(self, key: bytes) -> bytes:
        """Satisfy the consumer's check that a deserialiser can be called; never reached."""
        return key


@dataclass(slots=True)
class _Part:
    """The wanted records of one batch."""

    values: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    offsets: Offsets = range(0)
    timestamps_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    headers: dict[int, list[Header]] = field(default_factory=dict)


class ChunkRecords(PartitionRecords):  # type: ignore[misc]  # untyped in aiokafka
    """Iterator over the chunks of one fetch answer; keeps `next_fetch_offset` = last yielded `last` + 1."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[Any]:
        if isinstance(self._key_deserializer, ChunkFormat):
            return self._unpack_chunks(self._key_deserializer)
        unpacked: Iterator[Any] = super()._unpack_records()
        return unpacked

    def _unpack_chunks(self, chunk_format: ChunkFormat) -> Iterator[Chunk]:
        compacted = self._tp.topic in chunk_format.compacted
        limit = chunk_format.max_records
        pending: list[_Part] = []
        n_pending = 0
        position = self.next_fetch_offset  # everything below it has been read
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"wrong checksum in {self._tp} at offset {batch.base_offset}")
            part = None if self._is_unwanted(batch) else _read_batch(batch, self.next_fetch_offset, compacted=compacted)
            if part is not None and part.values:
                if pending and n_pending + len(part.values) > limit:
                    yield self._chunk(pending, position)
                    pending, n_pending = [], 0
                for piece in _cut(part, limit):
                    if pending and n_pending + len(piece.values) > limit:
                        yield self._chunk(pending, int(pending[-1].offsets[-1]) + 1)
                        pending, n_pending = [], 0
                    pending.append(piece)
                    n_pending += len(piece.values)
            position = max(position, batch.next_offset)
        if pending or position > self.next_fetch_offset:
            yield self._chunk(pending, position)

    def _is_unwanted(self, batch: Any) -> bool:
        """Control batches, and batches of aborted transactions when only committed ones are read."""
        if self._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _chunk(self, parts: list[_Part], end: int) -> Chunk:
        """Join `parts` into the chunk that covers `next_fetch_offset` … `end - 1`, and move on to `end`."""
        first = self.next_fetch_offset
        self.next_fetch_offset = end
        values, keys = (parts[0].values, parts[0].keys) if parts else ([], [])
        headers = parts[0].headers if parts else {}
        for part in parts[1:]:
            headers.update({len(values) + index: found for index, found in part.headers.items()})
            values += part.values
            keys += part.keys
        return Chunk(
            self._tp.topic,
            self._tp.partition,
            first=first,
            last=end - 1,
            values=values,
            keys=keys,
            offsets=exact_offsets([part.offsets for part in parts]),
            timestamps_ms=np.concatenate([part.timestamps_ms for part in parts]) if parts else np.empty(0, np.int64),
            headers=headers,
        )


def _read_batch(batch: Any, start: int, *, compacted: bool) -> _Part:
    """Records of `batch` at offset `start` or later, keeping no record object: that would cost three times as much."""
    if compacted or batch.base_offset < start or batch.magic < 2:
        return _read_one_by_one(batch, start)
    part = _Part()
    add_value, add_key = part.values.append, part.keys.append
    if batch.timestamp_type == APPEND_TIME:
        for record in batch:
            add_value(record.value)
            add_key(record.key)
            if record.headers:
                part.headers[len(part.values) - 1] = record.headers
        part.timestamps_ms = np.full(len(part.values), batch.max_timestamp, np.int64)
    else:
        timestamps: list[int] = []
        add_timestamp = timestamps.append
        for record in batch:
            add_value(record.value)
            add_key(record.key)
            add_timestamp(record.timestamp)
            if record.headers:
                part.headers[len(part.values) - 1] = record.headers
        part.timestamps_ms = np.array(timestamps, np.int64)
    if len(part.values) != batch.next_offset - batch.base_offset:
        raise CorruptRecordException(
            f"batch at offset {batch.base_offset} has holes: declare its topic as compacted when the topic is defined"
        )
    part.offsets = range(batch.base_offset, batch.next_offset)
    return part


def _read_one_by_one(batch: Any, start: int) -> _Part:
    """As `_read_batch`, with the offset of every record looked at."""
    part = _Part()
    offsets: list[int] = []
    timestamps: list[int] = []
    add_value, add_key, add_offset, add_timestamp = (
        part.values.append, part.keys.append, offsets.append, timestamps.append,
    )  # fmt: skip
    for record in batch:
        offset = record.offset
        if offset >= start:
            add_value(record.value)
            add_key(record.key)
            add_offset(offset)
            add_timestamp(record.timestamp)
            if record.headers:
                part.headers[len(offsets) - 1] = record.headers
    dense = bool(offsets) and offsets[-1] - offsets[0] + 1 == len(offsets)
    part.offsets = range(offsets[0], offsets[-1] + 1) if dense else np.array(offsets, np.int64)
    part.timestamps_ms = np.array(timestamps, np.int64)
    return part


def _cut(part: _Part, limit: int) -> Iterator[_Part]:
    """`part` itself, or its pieces of at most `limit` records."""
    n = len(part.values)
    if n <= limit:
        yield part
        return
    for start in range(0, n, limit):
        stop = min(start + limit, n)
        yield _Part(
            values=part.values[start:stop],
            keys=part.keys[start:stop],
            offsets=part.offsets[start:stop],
            timestamps_ms=part.timestamps_ms[start:stop],
            headers={index - start: found for index, found in part.headers.items() if start <= index < stop},
        )
