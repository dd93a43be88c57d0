"""The smallest honest user of the transport: counts records per key, exactly, over crashes, zombies and rebalances.

Run as a worker process by the tests: python counting_app.py NAME BROKERS TOPIC PARTITIONS WORKER [session timeout ms]
Changelog records: b"c" + key → count, b"o" + topic → next offset to apply. Every transaction also writes one record to
the topic <NAME>-out. A line of JSON on stdout tells of each step. Files in the folder $TRIGGERS make it fail:
stop-in-collect (SIGSTOP with the records in hand), kill-before-commit (SIGKILL with the records sent, not committed),
raise-in-agent, raise-in-collect.
"""

import asyncio
import json
import os
import pathlib
import signal
import sys
import time
from collections import defaultdict

from stream.tables.ledgers import LedgerTable
from stream.transport import BatchApp, Bulk, TransportOptions

STDOUT = sys.stdout  # Faust replaces it


def triggered(name):
    folder = os.environ.get("TRIGGERS")
    file = pathlib.Path(folder or "/nonexistent") / name
    if file.exists():
        file.unlink()
        return True
    return False


class Counts:
    """Counts of one partition, and the offsets they include."""

    def __init__(self):
        self.counts = defaultdict(int)
        self.applied = {}
        self.dirty = set()
        self.skipped = 0

    def fold(self, chunk):
        done = self.applied.get(chunk.topic, 0)
        for offset, key in zip(chunk.offsets, chunk.keys, strict=True):
            if offset < done:
                self.skipped += 1
                continue
            self.counts[key or b""] += 1
            self.dirty.add(key or b"")
        self.applied[chunk.topic] = max(done, chunk.last + 1)


class CountingCommitter:
    """Committer and LedgerStore in one."""

    def __init__(self, name, say):
        self.name = name
        self.say = say
        self.partitions = {}
        self.committed_to = {}

    # LedgerStore
    def begin(self, partition):
        self.partitions[partition] = Counts()

    def load(self, partition, keys, values):
        state = self.partitions[partition]
        for key, value in zip(keys, values, strict=True):
            if key[:1] == b"c":
                state.counts[key[1:]] = int(value)
            else:
                state.applied[key[1:].decode()] = int(value)

    async def finish(self, partition):
        state = self.partitions[partition]
        self.say("recovered", partition=partition, total=sum(state.counts.values()), applied=state.applied)

    def drop(self, partition):
        self.partitions.pop(partition, None)

    # Committer
    async def assigned(self, partitions, kept):
        self.say("assigned", partitions=sorted(partitions), kept=sorted(kept))

    async def revoked(self):
        self.say("revoked")

    def goes_on_at(self, topic, partition):
        return self.partitions[partition].applied.get(topic)

    async def collect(self, partition):
        state = self.partitions[partition]
        if state.applied == self.committed_to.get((partition, id(state))):
            return []
        self.committed_to[(partition, id(state))] = dict(state.applied)
        records = [(b"c" + key, b"%d" % state.counts[key]) for key in state.dirty]
        records += [(b"o" + topic.encode(), b"%d" % offset) for topic, offset in state.applied.items()]
        state.dirty.clear()
        if triggered("raise-in-collect"):
            raise RuntimeError("as asked")
        if triggered("stop-in-collect"):
            self.say("stopping")
            os.kill(os.getpid(), signal.SIGSTOP)
        return [
            Bulk(f"{self.name}-counts-changelog", partition, records),
            (f"{self.name}-out", partition, [(b"total", b"%d" % sum(state.counts.values()))]),
        ]

    async def committed(self, partition):
        if os.environ.get("SAY_COMMITS"):
            self.say("committed", partition=partition)


def make_app(name, brokers, topics, partitions, worker, session_timeout_ms=6000, **options):
    def say(what, **facts):
        print(
            json.dumps({"at": round(time.time(), 3), "worker": worker, "what": what, **facts}), file=STDOUT, flush=True
        )

    app = BatchApp(
        name,
        options=TransportOptions(
            brokers=brokers,
            expected_topics=dict.fromkeys([*topics, f"{name}-counts-changelog", f"{name}-out"], partitions),
            session_timeout_ms=session_timeout_ms,
            **json.loads(os.environ.get("OPTIONS", "{}")),
            **options,
        ),
        datadir=f"/tmp/counting-{os.getpid()}",
    )
    committer = app.committer = CountingCommitter(name, say)
    app.tables.add(LedgerTable(app, name="counts", ledger_store=committer))
    for topic in topics:
        channel = app.chunk_topic(topic, from_start=bool(os.environ.get("FROM_START")))
        app.agent(channel)(make_agent(app, topic, committer))

    @app.on_rebalance_complete.connect
    async def ready(*_args, **_options):
        await asyncio.sleep(float(os.environ.get("READY_TAKES_S", "0")))
        say("ready", partitions=sorted(committer.partitions))

    return app


def make_agent(app, topic, committer):
    async def fold(stream):
        async for event in stream.noack().events():
            if triggered("raise-in-agent"):
                raise RuntimeError("as asked")
            chunk = event.value
            if os.environ.get("SAY_CHUNKS"):
                committed = app.consumer.committed_offset(event.message.tp)
                committer.say(
                    "chunk", partition=chunk.partition, first=chunk.first, last=chunk.last, committed=committed
                )
            committer.partitions[chunk.partition].fold(chunk)
            event.ack()

    fold.__name__ = "fold_" + topic.replace(".", "_").replace("-", "_")
    return fold


def let_it_be_killed_before_a_commit():
    from aiokafka import AIOKafkaProducer

    commit_transaction = AIOKafkaProducer.commit_transaction

    async def commit(self):
        if triggered("kill-before-commit"):
            os.kill(os.getpid(), signal.SIGKILL)
        await commit_transaction(self)

    AIOKafkaProducer.commit_transaction = commit


if __name__ == "__main__":
    name, brokers, topics, partitions, worker, *rest = sys.argv[1:]
    sys.argv = [sys.argv[0], "worker", "-l", os.environ.get("LOG", "info"), "--without-web"]
    let_it_be_killed_before_a_commit()
    make_app(name, brokers, topics.split(","), int(partitions), worker, *map(int, rest)).main()
