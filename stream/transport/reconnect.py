"""Brokers come and go: the worker waits for them, quietly and without giving up."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from aiokafka.errors import KafkaError

from stream.transport.private import AIOKafkaClient, Sender

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
REPEAT_S = 10.0
CHATTY_LOGGERS = (
    "aiokafka",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "aiokafka.producer.sender",
)


class Client(Protocol):
    """A Kafka client that is started and stopped."""

    async def start(self) -> None:
        """Connect; raises KafkaError or OSError when no broker answers."""

    async def stop(self) -> None:
        """Disconnect."""


AnyClient = TypeVar("AnyClient", bound=Client)


async def start_patiently(make: Callable[[], AnyClient], *, what: str, brokers: str) -> AnyClient:
    """Make and start a client; while no broker answers try again, with pauses that grow from 0.25 s to 5 s."""
    pause_s = FIRST_PAUSE_S
    while True:
        client = make()
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            await client.stop()
            log.warning("%s: no broker answers at %s (%s); trying again in %.2g s", what, brokers, error, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        except BaseException:
            await client.stop()
            raise
        else:
            return client


class PatientSender(Sender):  # type: ignore[misc]  # untyped in aiokafka
    """Asks again when a connection drops while the coordinator is looked up; aiokafka's own would end for good."""

    async def _find_coordinator(self, coordinator_type: Any, coordinator_key: Any) -> Any:
        while True:
            try:
                return await super()._find_coordinator(coordinator_type, coordinator_key)
            except KafkaError as error:
                if not getattr(error.__cause__, "retriable", False):
                    raise
                await asyncio.sleep(FIRST_PAUSE_S)


class SayOnce(logging.Filter):
    """Lets a message of the same form pass once in `REPEAT_S`: clients without a broker repeat themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is news."""
        form = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._said_at.get(form, -REPEAT_S) < REPEAT_S:
            return False
        self._said_at[form] = now
        return True


def say_once() -> None:
    """Thin out what aiokafka logs while a broker is away. May be called many times."""
    for name in CHATTY_LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, SayOnce) for present in logger.filters):
            logger.addFilter(SayOnce())


def pause_between_reconnects(pause_s: float = FIRST_PAUSE_S) -> None:
    """Make every aiokafka client of the process wait `pause_s` after a failed metadata update.

    While no broker answers, a failed connection schedules the next update at once: 1,700 log lines a second.
    """
    update: Callable[[Any, Any, Any], Awaitable[bool]] = AIOKafkaClient._metadata_update  # noqa: SLF001
    if getattr(update, "pauses", False):
        return

    async def update_with_pause(self: Any, cluster_metadata: Any, topics: Any) -> bool:
        done = await update(self, cluster_metadata, topics)
        if not done:
            await asyncio.sleep(pause_s)
        return done

    update_with_pause.pauses = True  # type: ignore[attr-defined]
    AIOKafkaClient._metadata_update = update_with_pause  # noqa: SLF001
