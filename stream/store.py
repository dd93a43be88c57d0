"""Writes to the serving store without ever holding up the stream.

`show` only notes what is true now; a task of its own carries the notes to the store. A note not yet carried is
overwritten by a newer one, so what waits is bounded by what exists, however long the store is away.

The store is fenced by marks: who owns a partition writes only while the store bears its mark for it, checked in the
same transaction (WATCH). Where the mark is missing the store has lost its data; where it is another's, somebody else
owns the partition, or did for a moment. Either way the notes are dropped and everything is asked for once more
(`resync`). What comes then comes out of a new Kafka transaction, which only the true owner gets through: it sets its
mark and writes all of it anew. A former owner that wakes up with old notes in its hands changes nothing.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, WatchError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from schemas.metrics import STORE_ERRORS, STORE_PENDING, STORE_WRITES
from schemas.store import owner_key
from stream.metrics import Metrics

_BATCH_FIELDS: Final = 1_000
_TIMEOUT_S: Final = 5.0
_BACK_OFF_S_MAX: Final = 5.0
_PAUSE_S: Final = 0.1
"""Between two writes: the transactions of a round commit shortly after one another."""
_CHECK_S: Final = 5.0
"""With nothing to write, this often the store is asked whether it still bears our marks."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Hash:
    """What is noted of a hash."""

    fields: dict[str, bytes | None] = field(default_factory=dict)
    """Field → value; None takes the field away."""
    is_whole: bool = False
    """These are all the fields that it has: others go."""

    def update(self, newer: "Hash") -> None:
        """What a newer note says stands."""
        if newer.is_whole:
            self.fields, self.is_whole = dict(newer.fields), True
        else:
            self.fields.update(newer.fields)


class Notes:
    """What has to be written, newest values only, the longest waiting hash first. Pure."""

    def __init__(self) -> None:
        self.hashes: dict[str, Hash] = {}
        self.count = 0
        """Fields that wait."""

    def put(self, key: str, name: str, value: bytes | None) -> None:
        """Note that a field of a hash has a value now; None: that it is gone."""
        self._note(key, Hash({name: value}))

    def replace(self, key: str, fields: Mapping[str, bytes | None]) -> None:
        """Note all the fields that a hash has."""
        self._note(key, Hash(dict(fields), is_whole=True))

    def update(self, newer: "Notes") -> None:
        """Take over newer notes."""
        for key, hash_ in newer.hashes.items():
            self._note(key, hash_)

    def take(self, at_least: int) -> dict[str, Hash]:
        """Take out whole hashes until they have so many fields, or none is left."""
        taken: dict[str, Hash] = {}
        n = 0
        while self.hashes and n < at_least:
            key = next(iter(self.hashes))
            taken[key] = self.hashes.pop(key)
            n += len(taken[key].fields)
        self.count -= n
        return taken

    def put_back(self, taken: Mapping[str, Hash]) -> None:
        """Return what could not be written; what has been noted since then stands."""
        for key, older in taken.items():
            newer = self.hashes.pop(key, Hash())
            self.count -= len(newer.fields)
            older.update(newer)
            self._note(key, older)

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def _note(self, key: str, newer: Hash) -> None:
        noted = self.hashes.setdefault(key, Hash())
        self.count -= len(noted.fields)
        noted.update(newer)
        self.count += len(noted.fields)


@dataclass(slots=True)
class _Owned:
    """A partition whose scopes we show."""

    notes: Notes = field(default_factory=Notes)
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    is_marked: bool = False
    """The store bore our mark when it was last written."""


class StoreWriter:
    """Carries notes to the store. `show` from the loop's thread at any time; `run` as a task; `drain` before stopping.

    `resync` is called where the store has lost what was shown of a partition: all of it should be shown once more,
    after a Kafka transaction that proves that the partition is ours.
    """

    def __init__(self, redis_url: str, metrics: Metrics, resync: Callable[[int], None]) -> None:
        self._client: Any = Redis.from_url(  # its methods are typed as both sync and async
            redis_url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # the loop below retries, with newer values
        )
        self._metrics = metrics
        self._resync = resync
        self._owned: dict[int, _Owned] = {}
        self._has_notes = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.is_stale = False
        """The store cannot be written at the moment: what it shows is older than what we know."""

    @property
    def pending(self) -> int:
        """Fields that wait to be written."""
        return sum(owned.notes.count for owned in self._owned.values())

    def show(self, partition: int, notes: Notes) -> None:
        """What a committed transaction of the partition says is true now. Never waits."""
        if notes:
            self._owned.setdefault(partition, _Owned()).notes.update(notes)
            self._has_notes.set()
            self._is_idle.clear()

    def forget(self, partition: int) -> None:
        """The partition is another's: what has not been written is for its new owner to write."""
        self._owned.pop(partition, None)

    async def run(self) -> None:
        """Write what is noted, until cancelled. Failures are retried with back-off for as long as it takes."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((RedisError, OSError)),
            wait=wait_exponential_jitter(multiplier=0.1, max=_BACK_OFF_S_MAX, jitter=0.2),
            before_sleep=self._failed,
        )
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK_S):
                        await self._has_notes.wait()
                async for attempt in retrying:
                    with attempt:
                        await self._write_some()
                self._metrics.set(STORE_PENDING, self.pending)
                await asyncio.sleep(_PAUSE_S if self.pending < _BATCH_FIELDS else 0)
                if not any(owned.notes for owned in self._owned.values()):
                    self._has_notes.clear()
                    self._is_idle.set()
        finally:
            await self._client.aclose()

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything noted has been written, for at most so long; tells whether it has."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_idle.wait()
        except TimeoutError:
            return False
        return True

    async def _write_some(self) -> None:
        """Some notes of every partition, in one transaction. What it could not write is noted again."""
        if not self._owned:
            return
        async with self._client.pipeline(transaction=True) as pipeline:
            owned = await self._still_owned(pipeline)
            share = _BATCH_FIELDS // max(len(owned), 1) + 1
            taken = {partition: one.notes.take(share) for partition, one in owned.items()}
            pipeline.multi()
            for partition, hashes in taken.items():
                if hashes and not owned[partition].is_marked:
                    pipeline.set(owner_key(partition), owned[partition].mark)
                for key, noted in hashes.items():
                    _queue(pipeline, key, noted)
            try:
                await pipeline.execute()
            except BaseException:
                for partition, hashes in taken.items():
                    owned[partition].notes.put_back(hashes)
                raise
        for partition, hashes in taken.items():
            owned[partition].is_marked |= bool(hashes)
        self._metrics.count(STORE_WRITES, sum(len(one.fields) for hashes in taken.values() for one in hashes.values()))
        if self.is_stale:
            self.is_stale = False
            log.info("the serving store is written again", pending=self.pending)

    async def _still_owned(self, pipeline: Any) -> dict[int, _Owned]:
        """The partitions that are ours as far as the store knows; should that change, the transaction fails."""
        owned = dict(self._owned)
        keys = [owner_key(partition) for partition in owned]
        await pipeline.watch(*keys)
        for partition, found in zip(list(owned), await pipeline.mget(*keys), strict=True):
            if owned[partition].is_marked and found != owned[partition].mark.encode():
                self._lost(partition, is_gone=found is None)
                del owned[partition]
        return owned

    def _lost(self, partition: int, *, is_gone: bool) -> None:
        log.warning(
            "the serving store has lost its data; all of it is written again"
            if is_gone
            else "the serving store bears another's mark; if the partition is still ours, all of it is written again",
            partition=partition,
        )
        self._owned[partition] = _Owned()
        self._resync(partition)

    def _failed(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, WatchError):
            return  # a mark was set between our look and our write: the next look tells whose
        self._metrics.count(STORE_ERRORS)
        self._metrics.set(STORE_PENDING, self.pending)
        if not self.is_stale:
            self.is_stale = True
            log.warning("the serving store cannot be written", reason=str(error), pending=self.pending)


def _queue(pipeline: Any, key: str, noted: Hash) -> None:
    present = {name: value for name, value in noted.fields.items() if value is not None}
    absent = [name for name, value in noted.fields.items() if value is None]
    if noted.is_whole:
        pipeline.delete(key)
    elif absent:
        pipeline.hdel(key, *absent)
    if present:
        pipeline.hset(key, mapping=present)
