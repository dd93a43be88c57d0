"""What the tests of the transport share: topics, a steady producer, worker processes, readers that check the books."""

# ruff: noqa: ASYNC109, ASYNC110 - what is waited for happens in other processes, each within a time of its own

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from collections import defaultdict
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition

ROOT = Path(__file__).parents[2]
COUNTING_APP = ROOT / "tests/transport/counting_app.py"
APPEND_TIME = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": "2097152"}
COMPACTED = {"cleanup.policy": "compact"}
PARTITIONS = 4


class Worker:
    """A counting worker in its own process; what it says on stdout is in `said`."""

    def __init__(self, process, name, log):
        self.process, self.name, self.log = process, name, log
        self.said = []
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self):
        async for line in self.process.stdout:
            with contextlib.suppress(ValueError):
                self.said.append(json.loads(line))
                self._news.set()
        self._news.set()

    async def until(self, what, *, timeout=25.0, after=0.0, **facts):
        """First thing said after `after` that is `what` and has these facts."""
        deadline = time.monotonic() + timeout
        while True:
            for line in self.said:
                if line["what"] == what and line["at"] >= after and facts.items() <= line.items():
                    return line
            if self.process.returncode is not None:
                raise AssertionError(f"worker {self.name} ended with {self.process.returncode}:\n{self.tail()}")
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise AssertionError(f"worker {self.name} never said {what} {facts}:\n{self.tail()}") from None

    def signal(self, number):
        self.process.send_signal(number)

    async def ended(self, timeout=20.0):
        return await asyncio.wait_for(self.process.wait(), timeout)

    async def stop(self):
        if self.process.returncode is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            await self.ended()
        return self.process.returncode

    def tail(self):
        return "\n".join(self.log.read_text().splitlines()[-40:])


class Rig:
    """One application with its topics on a real broker."""

    def __init__(self, brokers, folder):
        self.brokers, self.folder = brokers, folder
        self.name = "t" + uuid.uuid4().hex[:8]
        self.topic = f"{self.name}-in"
        self.sent = [0] * PARTITIONS
        self.workers = []
        self.triggers = folder / "triggers"

    async def __aenter__(self):
        self.triggers.mkdir(exist_ok=True)
        await self.create({
            self.topic: APPEND_TIME, f"{self.name}-counts-changelog": COMPACTED, f"{self.name}-out": {},
        })  # fmt: skip
        self.producer = AIOKafkaProducer(bootstrap_servers=self.brokers, linger_ms=10, enable_idempotence=True)
        await self.producer.start()
        return self

    async def __aexit__(self, *_error):
        for worker in self.workers:
            if worker.process.returncode is None:
                worker.process.kill()
                await worker.ended()
            await worker._reader
        await self.producer.stop()

    async def create(self, topics, partitions=PARTITIONS):
        admin = AIOKafkaAdminClient(bootstrap_servers=self.brokers)
        await admin.start()
        try:
            await admin.create_topics(
                [NewTopic(topic, partitions, 1, topic_configs=config) for topic, config in topics.items()]
            )
            # creation is asynchronous: a producer that comes too early is told that it found no leader
            async with asyncio.timeout(10):
                while any(found["error_code"] for found in await admin.describe_topics(list(topics))):
                    await asyncio.sleep(0.05)
        finally:
            await admin.close()

    async def worker(self, name, session_timeout_ms=4000, **environment):
        log = self.folder / f"{name}.log"
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(COUNTING_APP), self.name, self.brokers, self.topic, str(PARTITIONS), name,
                str(session_timeout_ms),
                env={**os.environ, "PYTHONPATH": str(ROOT), "TRIGGERS": str(self.triggers), **environment},
                stdout=asyncio.subprocess.PIPE, stderr=stderr,
            )  # fmt: skip
        worker = Worker(process, name, log)
        self.workers.append(worker)
        return worker

    def trigger(self, what):
        (self.triggers / what).touch()

    async def send(self, per_partition):
        """Put `per_partition` records into each partition; wait until the broker has them."""
        await asyncio.gather(
            *[
                await self.producer.send(self.topic, b"x" * 100, key=b"k%d" % (n % 20), partition=partition)
                for n in range(per_partition)
                for partition in range(PARTITIONS)
            ]
        )
        for partition in range(PARTITIONS):
            self.sent[partition] += per_partition

    @contextlib.asynccontextmanager
    async def traffic(self, per_second=2000):
        """Send steadily while the block runs."""
        going = True

        async def run():
            while going:
                await self.send(per_second // PARTITIONS // 20)
                await asyncio.sleep(0.05)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            going = False
            await task

    async def eventually(self, condition, timeout=10.0):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async def all_committed(self, timeout=20.0):
        """Wait until the group has committed everything that was sent."""
        tps = [TopicPartition(self.topic, partition) for partition in range(PARTITIONS)]
        async with self._consumer(group_id=self.name) as consumer:
            deadline = time.monotonic() + timeout
            while True:
                committed = [await consumer.committed(tp) or 0 for tp in tps]
                if committed == self.sent:
                    return
                assert time.monotonic() < deadline, f"sent {self.sent}, committed {committed}"
                assert all(have <= want for have, want in zip(committed, self.sent, strict=True))
                await asyncio.sleep(0.1)

    @contextlib.asynccontextmanager
    async def _consumer(self, **options):
        consumer = AIOKafkaConsumer(bootstrap_servers=self.brokers, enable_auto_commit=False, **options)
        await consumer.start()
        try:
            yield consumer
        finally:
            await consumer.stop()

    async def read(self, topic, isolation_level="read_committed"):
        """All records of a topic in the order of each partition."""
        tps = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        records = []
        async with self._consumer(isolation_level=isolation_level, auto_offset_reset="earliest") as consumer:
            consumer.assign(tps)
            ends = await consumer.end_offsets(tps)
            await consumer.seek_to_beginning(*tps)
            async with asyncio.timeout(20):
                while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                    for found in (await consumer.getmany(timeout_ms=100)).values():
                        records += found
        return records

    async def check_books(self):
        """The changelog counts exactly what was sent, and no count ever went back."""
        best, stale = defaultdict(int), 0
        for record in await self.read(f"{self.name}-counts-changelog"):
            key = (record.partition, record.key)
            value = int(record.value)
            stale += value < best[key]
            best[key] = max(best[key], value)
        counted = [
            sum(value for (at, key), value in best.items() if at == partition and key[:1] == b"c")
            for partition in range(PARTITIONS)
        ]
        assert stale == 0, f"{stale} stale records were published"
        assert counted == self.sent, f"counted {counted}, sent {self.sent}"
