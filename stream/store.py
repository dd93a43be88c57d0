"""Writes to the serving store without ever holding up the stream.

`put` only notes what is true now; a task of its own carries the notes to the store, in pipelines. A note not yet
carried is overwritten by a newer one, so what waits is bounded by what exists, however long the store is away. When it
comes back without its data, `resync` is asked for everything once more.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from schemas.metrics import STORE_ERRORS, STORE_PENDING, STORE_WRITES
from schemas.store import EPOCH_KEY
from stream.metrics import Metrics

_BATCH_FIELDS: Final = 1_000
_TIMEOUT_S: Final = 5.0
_BACK_OFF_S_MAX: Final = 5.0
_CHECK_S: Final = 5.0
"""With nothing to write, this often the store is asked whether it still has what was written."""

log = structlog.get_logger(__name__)

Hash = dict[str, bytes | None]
"""Field → value; None takes the field away."""


class Notes:
    """What has to be written, newest values only, the longest waiting hash first. Pure."""

    def __init__(self) -> None:
        self._hashes: dict[str, Hash] = {}
        self.count = 0
        """Fields that wait."""

    def put(self, key: str, field: str, value: bytes | None) -> None:
        """Note that a field of a hash has a value now; None: that it is gone."""
        fields = self._hashes.setdefault(key, {})
        self.count += field not in fields
        fields[field] = value

    def take(self, at_least: int) -> dict[str, Hash]:
        """Take out whole hashes until they have so many fields, or none is left."""
        taken: dict[str, Hash] = {}
        n = 0
        while self._hashes and n < at_least:
            key = next(iter(self._hashes))
            taken[key] = self._hashes.pop(key)
            n += len(taken[key])
        self.count -= n
        return taken

    def put_back(self, taken: dict[str, Hash]) -> None:
        """Return what could not be written; what has been noted since then stands."""
        for key, fields in taken.items():
            noted = self._hashes.setdefault(key, {})
            for field, value in fields.items():
                if field not in noted:
                    noted[field] = value
                    self.count += 1


class StoreWriter:
    """Carries notes to the store. `put` from the loop's thread at any time; `run` as a task; `drain` before stopping.

    `resync` is called where the store has lost its data (a fresh one, too): it should put everything that is true now.
    """

    def __init__(self, redis_url: str, metrics: Metrics, resync: Callable[[], None] = lambda: None) -> None:
        self._client: Any = Redis.from_url(  # its methods are typed as both sync and async
            redis_url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # the loop below retries, with newer values
        )
        self._metrics = metrics
        self._resync = resync
        self._notes = Notes()
        self._has_notes = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._epoch: bytes | None = None
        self.is_stale = False
        """The store cannot be written at the moment: what it shows is older than what we know."""

    @property
    def pending(self) -> int:
        """Fields that wait to be written."""
        return self._notes.count

    def put(self, key: str, field: str, value: bytes | None) -> None:
        """Field `field` of hash `key` is `value` now; None takes it away. Never waits."""
        self._notes.put(key, field, value)
        self._has_notes.set()
        self._is_idle.clear()

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
                if self._notes.count == 0:
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
        """One pipeline. What it could not write is noted again."""
        if self._epoch is None:
            await self._begin_epoch()
        taken = self._notes.take(_BATCH_FIELDS)
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                pipeline.get(EPOCH_KEY)
                for key, fields in taken.items():
                    present = {field: value for field, value in fields.items() if value is not None}
                    absent = [field for field, value in fields.items() if value is None]
                    if present:
                        pipeline.hset(key, mapping=present)
                    if absent:
                        pipeline.hdel(key, *absent)
                answers = await pipeline.execute()
        except BaseException:
            self._notes.put_back(taken)
            raise
        self._metrics.count(STORE_WRITES, sum(map(len, taken.values())))
        if self.is_stale:
            self.is_stale = False
            log.info("the serving store is written again", pending=self.pending)
        if answers[0] != self._epoch:
            log.warning("the serving store has lost its data; all of it is written again")
            await self._begin_epoch()

    async def _begin_epoch(self) -> None:
        """The store is new to us, or has lost what we wrote: everything has to be put once more."""
        await self._client.set(EPOCH_KEY, secrets.token_hex(8), nx=True)  # another worker may have set it by now
        self._epoch = await self._client.get(EPOCH_KEY)
        self._resync()

    def _failed(self, state: RetryCallState) -> None:
        self._metrics.count(STORE_ERRORS)
        self._metrics.set(STORE_PENDING, self.pending)
        if not self.is_stale:
            self.is_stale = True
            error = state.outcome.exception() if state.outcome else None
            log.warning("the serving store cannot be written", reason=str(error), pending=self.pending)
