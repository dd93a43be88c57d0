"""A local stack of its own for a measurement: real broker, preloaded topics, one worker, and what came out of it."""

import asyncio
import datetime as dt
import logging
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from bench.machine import Sampler, cpu_s
from schemas.settings import Settings, load
from schemas.topics import EVENT_TOPICS, FACTORS_LIVE, FACTORS_PAGES, registry
from stream.admin import Admin
from stream.local.kafka import BrokerOptions
from stream.local.stack import BROKER, LocalStack
from stream.produce import BulkProducer
from stream.routing import Messages

WORK = Path(__file__).parent / "work"
WORKER = (sys.executable, "-m", "stream.cli", "worker")
POLL_S = 0.25
READY = "worker is ready"


@dataclass
class Rig:
    """A running stack whose topics exist; each run of a worker is an application id of its own."""

    stack: LocalStack
    partitions: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def brokers(self) -> str:
        """host:port of the broker."""
        return self.stack.bootstrap_servers

    @property
    def settings(self) -> Settings:
        """The settings of the worker."""
        named = {name.removeprefix("SMART_").lower(): value for name, value in self.worker_environment().items()}
        return load(**named)

    def worker_environment(self) -> dict[str, str]:
        """What the worker is told."""
        return {"SMART_PARTITIONS": str(self.partitions), **self.stack.environment(), **self.environment}

    def start_worker(self) -> str:
        """Start one worker and wait until it serves its metrics; returns its name."""
        name = self.stack.add_worker(env=self.worker_environment(), argv=WORKER)
        self.stack.wait_ready(name)
        return name

    def cpu_of_broker_s(self) -> float:
        """CPU seconds that the broker has used."""
        return cpu_s(self.stack.pid(BROKER))


@contextmanager
def running(name: str, *, partitions: int = 8, **environment: str) -> Iterator[Rig]:
    """A fresh stack in `bench/work/<name>`, with all topics; `environment` goes to its workers. Stopped at the end."""
    for client in ("aiokafka", "kafka"):
        logging.getLogger(client).setLevel(logging.CRITICAL)
    folder = WORK / name
    folder.parent.mkdir(exist_ok=True)
    with LocalStack(folder, fresh=True, broker=BrokerOptions(quick_start=False)) as stack:
        rig = Rig(stack, partitions, environment)
        make_topics(rig)
        yield rig


def make_topics(rig: Rig) -> None:
    """Create what is missing of the topics."""
    topics = registry(partitions=rig.partitions, application_id=rig.settings.application_id)
    with Admin(rig.brokers) as admin:
        admin.create(topics, 1)


def preload(rig: Rig, batches: Iterable[Messages], *, records_per_batch: int | None = None) -> int:
    """Put records into their topics, as fast as it goes; returns their number.

    records_per_batch: so many records lie in each batch of the log at most; None: as many as fit half a megabyte.
    """

    async def put() -> int:
        n = 0
        async with BulkProducer(rig.brokers, batch_records=records_per_batch) as producer:
            for batch in batches:
                await producer.send_mixed(batch.topics, batch.keys, batch.values)
                n += len(batch.values)
        return n

    return asyncio.run(put())


class Outcome:
    """Where a worker has come: committed offsets against the ends of the logs."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._group = rig.settings.application_id
        self._topics = (*EVENT_TOPICS, FACTORS_PAGES)
        self._tps = [TopicPartition(topic, p) for topic in self._topics for p in range(rig.partitions)]

    async def __aenter__(self) -> Self:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._rig.brokers)
        await self._admin.start()
        self._reader = AIOKafkaConsumer(bootstrap_servers=self._rig.brokers)
        await self._reader.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._admin.close()
        await self._reader.stop()

    async def open(self) -> int:
        """Records (markers included) of all topics that the worker reads which it has not committed."""
        try:
            committed = await self._admin.list_consumer_group_offsets(self._group)
        except GroupCoordinatorNotAvailableError:  # the broker is still making its topic of offsets
            committed = {}
        ends = await self._reader.end_offsets(self._tps)
        return sum(ends[tp] - max(committed[tp].offset if tp in committed else 0, 0) for tp in self._tps)


async def until_committed(rig: Rig, timeout_s: float = 600.0) -> float:
    """Wait until the worker has committed everything twice in a row; returns the instant it was first seen."""
    async with Outcome(rig) as outcome:
        deadline, first = time.time() + timeout_s, 0.0
        while time.time() < deadline:
            at = time.time()
            if await outcome.open():
                first = 0.0
            elif first and at - first > 4 * POLL_S:
                return first
            else:
                first = first or at
            await asyncio.sleep(POLL_S)
    raise TimeoutError(f"the worker has not come to the end of its topics in {timeout_s:.0f} s")


@dataclass
class Live:
    """What lies in factors.live."""

    newest: dict[bytes, dict[str, object]] = field(default_factory=dict)
    """Key → the newest record."""
    records: int = 0
    last_at: float = 0.0
    """When the last record was written, seconds since the epoch."""


async def read_live(rig: Rig) -> Live:
    """Everything that a reader of committed records finds."""
    live = Live()
    tps = [TopicPartition(FACTORS_LIVE, p) for p in range(rig.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=rig.brokers, isolation_level="read_committed")
    await consumer.start()
    try:
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for records in (await consumer.getmany(timeout_ms=200, max_records=5_000)).values():
                for record in records:
                    live.records += 1
                    live.last_at = max(live.last_at, record.timestamp / 1000)
                    if record.value is None:
                        live.newest.pop(record.key, None)
                    else:
                        live.newest[record.key] = orjson.loads(record.value)
    finally:
        await consumer.stop()
    return live


@dataclass
class Run:
    """A worker from its start until everything was committed."""

    started_at: float
    ready_at: float
    ended_at: float
    cpu_gross_s: float
    cpu_start_s: float
    broker_cpu_s: float
    peak_mib: float
    live: Live

    @property
    def cpu_net_s(self) -> float:
        """CPU without what was used until the worker was ready."""
        return self.cpu_gross_s - self.cpu_start_s

    @property
    def wall_s(self) -> float:
        """From ready to the end."""
        return self.ended_at - self.ready_at


def work_off(rig: Rig, timeout_s: float = 600.0) -> Run:
    """Start a worker on preloaded topics and measure it until factors.live is complete."""
    broker_before = rig.cpu_of_broker_s()
    name = rig.start_worker()
    pids = {"worker": rig.stack.pid(name), "broker": rig.stack.pid(BROKER)}
    with Sampler(pids) as sampler:
        committed_at = asyncio.run(until_committed(rig, timeout_s))
    live = asyncio.run(read_live(rig))
    ended_at = max(committed_at, live.last_at)
    ready_at = instant_of(rig.stack.log_since_start(name), READY)
    started_at = started_at_of(pids["worker"])
    broker_cpu_s = sampler.cpu_until("broker", ended_at) - broker_before
    run = Run(
        started_at, ready_at, ended_at, sampler.cpu_until("worker", ended_at), sampler.cpu_until("worker", ready_at),
        broker_cpu_s, sampler.peak_bytes("worker") / 2**20, live,
    )  # fmt: skip
    rig.stack.remove(name)
    return run


def instant_of(log: str, words: str) -> float:
    """Seconds since the epoch of the first log line with these words; 0 without one."""
    for line in log.splitlines():
        if words in line and line.startswith("{"):
            return dt.datetime.fromisoformat(orjson.loads(line)["at"]).timestamp()
    return 0.0


def started_at_of(pid: int) -> float:
    """When a process was started, seconds since the epoch."""
    return Path(f"/proc/{pid}").stat().st_ctime
