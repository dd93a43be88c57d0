"""A model of Kafka: logs with transactions and compaction, fencing by epoch, a consumer group with generations.

It models what the worker relies on, no more: records of an open transaction hold back what follows them for readers of
committed records; starting a producer raises the epoch of its transactional id, and aborts what its former holder left
open; markers take offsets and reach each partition in their own time; a member that is silent for too long is put out
of the group, and a generation begins when all that are left have joined.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from schemas.topics import CLOCK, FACTORS_PAGES
from stream.transport.chunk import Chunk

HOUR_MS = 3_600_000
OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"


class FencedError(Exception):
    """Another producer has been started with this transactional id."""


class RetryError(Exception):
    """Not now: the request is to be sent again."""


class CommitRefusedError(Exception):
    """The group has moved on without this member."""


@dataclass(eq=False, slots=True)
class Transaction:
    transactional_id: str
    epoch: int
    state: str = OPEN
    touched: dict = field(default_factory=dict)
    """(topic, partition) → offset of the first record, until the marker is written."""


class Entry(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple
    timestamp_ms: int
    transaction: Transaction | None
    is_marker: bool = False

    @property
    def is_committed(self):
        return not self.is_marker and (self.transaction is None or self.transaction.state == COMMITTED)


class Log:
    """One partition of one topic."""

    def __init__(self):
        self.entries: list[Entry] = []
        self.history: list[Entry] = []
        """What has ever been appended, for the judge: no cleaner visits it."""
        self.end = 0
        self.open: dict[Transaction, int] = {}

    @property
    def stable_end(self):
        """Readers of committed records get to here."""
        return min(self.open.values(), default=self.end)

    def append(self, key, value, headers=(), timestamp_ms=0, transaction=None, *, is_marker=False):
        self.entries.append(Entry(self.end, key, value, tuple(headers), timestamp_ms, transaction, is_marker))
        self.history.append(self.entries[-1])
        self.end += 1
        return self.end - 1

    def committed(self, first=0, end=None):
        """The committed records at offsets first … end - 1."""
        low = bisect_left(self.entries, first, key=lambda entry: entry.offset)
        for entry in self.entries[low:]:
            if end is not None and entry.offset >= end:
                return
            if entry.is_committed:
                yield entry

    def newest(self):
        """Key → value of the newest committed record, as if compacted."""
        found = {}
        for entry in self.committed():
            found.pop(entry.key, None)
            if entry.value is not None:
                found[entry.key] = entry.value
        return found

    def compact(self, below, tombstones_below):
        """Keep the newest record of each key among those before offset `below`; take out what was aborted."""
        below = min(below, self.stable_end)
        last = {entry.key: entry.offset for entry in self.committed(0, below)}

        def stays(entry):
            if entry.offset >= below:
                return True
            if not entry.is_committed or last[entry.key] != entry.offset:
                return False
            return entry.value is not None or entry.offset >= tombstones_below

        self.entries = [entry for entry in self.entries if stays(entry)]


@dataclass
class Producer:
    epoch: int = 0
    transaction: Transaction | None = None


class Broker:
    """All logs, the transaction coordinator, and the group."""

    def __init__(self, simulation):
        self.simulation = simulation
        self.logs: dict[tuple[str, int], Log] = defaultdict(Log)
        self.producers: dict[object, Producer] = defaultdict(Producer)
        self.transactions: list[Transaction] = []
        """All of them, in the order in which they began."""
        self.group = Group(simulation)
        self.down_until_ms = 0.0
        self.is_fencing = True

    # --- plain records

    def produce(self, topic, partition, key, value, headers=()):
        """A record of somebody else, stamped with the time of arrival."""
        offset = self.logs[topic, partition].append(key, value, headers, self.simulation.wall_ms())
        self.simulation.poke(topic, partition)
        return offset

    def chunk(self, topic, partition, first, end):
        """What a reader of committed records gets of offsets first … end - 1."""
        entries = list(self.logs[topic, partition].committed(first, end))
        offsets = [entry.offset for entry in entries]
        is_dense = bool(offsets) and offsets[-1] - offsets[0] + 1 == len(offsets)
        return Chunk(
            topic,
            partition,
            first=first,
            last=end - 1,
            values=[entry.value for entry in entries],
            keys=[entry.key for entry in entries],
            offsets=range(offsets[0], offsets[-1] + 1) if is_dense else np.array(offsets, np.int64),
            timestamps_ms=np.array([entry.timestamp_ms for entry in entries], np.int64),
            headers={i: list(entry.headers) for i, entry in enumerate(entries) if entry.headers},
        )

    # --- transactions

    def start_producer(self, transactional_id):
        """The new epoch; whoever had the id before is fenced from now on."""
        if not self.is_fencing:
            self.producers[transactional_id].epoch += 1
            return self.producers[transactional_id].epoch
        producer = self.producers[transactional_id]
        if producer.transaction is not None:
            if producer.transaction.state == OPEN:
                producer.epoch += 1
                self._decide(producer, ABORTED)
            raise RetryError
        producer.epoch += 1
        return producer.epoch

    def send(self, transactional_id, epoch, groups):
        """Append records to the producer's transaction, which begins with its first record."""
        producer = self._producer(transactional_id, epoch)
        if producer.transaction is not None and producer.transaction.state != OPEN:
            raise RetryError
        if producer.transaction is None:
            producer.transaction = begun = Transaction(transactional_id, epoch)
            self.transactions.append(begun)
            self.simulation.timeline.later(
                self.simulation.transaction_timeout_ms, lambda: self._time_out(producer, begun)
            )
        transaction = producer.transaction
        for (topic, partition), records in groups:
            log = self.logs[topic, partition]
            transaction.touched.setdefault((topic, partition), log.end)
            log.open.setdefault(transaction, log.end)
            for record in records:
                if len(record) == 2:
                    log.append(*record, (), self.simulation.wall_ms(), transaction)
                else:
                    log.append(record.key, record.value, record.headers, record.timestamp_ms, transaction)

    def commit(self, transactional_id, epoch):
        """Decide the transaction; its markers follow."""
        producer = self._producer(transactional_id, epoch)
        if producer.transaction is None or producer.transaction.state != OPEN:
            return
        if epoch < self.producers[transactional_id].epoch:
            self.simulation.wrong(f"a transaction of {transactional_id} committed after its owner had been replaced")
        self._decide(producer, COMMITTED)

    def _producer(self, transactional_id, epoch):
        if not self.is_fencing:
            return self.producers[transactional_id, epoch]
        producer = self.producers[transactional_id]
        if epoch != producer.epoch:
            raise FencedError(transactional_id)
        return producer

    def _time_out(self, producer, transaction):
        if producer.transaction is transaction and transaction.state == OPEN:
            producer.epoch += 1
            self._decide(producer, ABORTED)

    def _decide(self, producer, state):
        transaction = producer.transaction
        transaction.state = state
        self.simulation.tell("broker", f"{state} {transaction.transactional_id} epoch {transaction.epoch}")
        for topic, partition in list(transaction.touched):
            delay_ms = self.simulation.latency_ms()
            self.simulation.timeline.later(
                delay_ms, lambda tp=(topic, partition): self._mark(producer, transaction, tp)
            )

    def _mark(self, producer, transaction, tp):
        log = self.logs[tp]
        log.append(None, None, (), self.simulation.wall_ms(), transaction, is_marker=True)
        del log.open[transaction], transaction.touched[tp]
        if not transaction.touched:
            producer.transaction = None
        self.simulation.poke(*tp)

    # --- upkeep

    def compact(self, random):
        """The cleaner visits a compacted log."""
        compacted = [
            (topic, partition) for topic, partition in sorted(self.logs) if self.simulation.is_compacted(topic)
        ]
        if not compacted:
            return
        topic, partition = random.choice(compacted)
        log = self.logs[topic, partition]
        # The segment that is written to is left alone, and another is begun after hours only.
        old_ms = self.simulation.wall_ms() - HOUR_MS
        old = [entry.offset for entry in log.entries if entry.timestamp_ms < old_ms]
        if not old:
            return
        below = random.choice([old[-1] + 1, random.randint(0, old[-1] + 1)])
        # Tombstones stay for a day: by then every reader has passed them.
        log.compact(below, below if topic in {FACTORS_PAGES, CLOCK} else 0)
        self.simulation.tell("broker", f"compacted {topic}-{partition} below {below}")


class Group:
    """The coordinator of the consumer group."""

    def __init__(self, simulation):
        self.simulation = simulation
        self.generation = 0
        self.state = "empty"
        self.members: dict = {}
        """Process → the partitions it was given last."""
        self._joined: dict = {}
        self._rebalances = 0
        self.offsets: dict[tuple[str, int], int] = {}

    def join(self, process, answer):
        """Answered, with (generation, partitions), when the generation begins."""
        self.members.setdefault(process, ())
        self._joined[process] = answer
        if self.state != "preparing":
            self.rebalance(but=process)
        self._complete_if_all_are_here()

    def rebalance(self, but=None):
        """Every member has to join again."""
        if self.state == "preparing" or not self.members:
            return
        self.state = "preparing"
        self._rebalances += 1
        number = self._rebalances
        for process in self.members:
            if process is not but:
                self._notify(process)
        self.simulation.timeline.later(self.simulation.rebalance_timeout_ms, lambda: self._give_up_waiting(number))

    def remove(self, process):
        """It left, or was silent for too long."""
        if process not in self.members:
            return
        del self.members[process]
        self._joined.pop(process, None)
        self.simulation.tell("broker", f"{process.name} is out of the group")
        self._notify(process)
        if not self.members:
            self.state = "empty"
        elif self.state == "preparing":
            self._complete_if_all_are_here()
        else:
            self.rebalance()

    def commit(self, process, generation, offsets):
        """Take offsets over. Raises CommitRefusedError."""
        if process not in self.members or generation != self.generation or self.state == "completing":
            raise CommitRefusedError
        self.offsets.update(offsets)
        self.simulation.check_offsets(offsets)

    def _notify(self, process):
        """The next heartbeat is answered with an error."""
        self.simulation.timeline.later(
            self.simulation.random.uniform(0, self.simulation.heartbeat_ms), lambda: process.receive(process.rejoin.set)
        )

    def _give_up_waiting(self, number):
        if self.state == "preparing" and number == self._rebalances:
            for process in [process for process in self.members if process not in self._joined]:
                self.remove(process)

    def _complete_if_all_are_here(self):
        if self.state != "preparing" or self.members.keys() != self._joined.keys():
            return
        self.state = "completing"
        self.generation += 1
        owned = self.simulation.assign(dict(self.members))
        self.members = owned
        answers, self._joined = self._joined, {}
        told = ", ".join(f"{process.name}: {list(partitions)}" for process, partitions in owned.items())
        self.simulation.tell("broker", f"generation {self.generation}: {told}")
        generation = self.generation
        for process, answer in answers.items():
            answer((generation, owned[process]))
        self.simulation.timeline.later(self.simulation.latency_ms(), lambda: self._sync(generation))

    def _sync(self, generation):
        if self.state == "completing" and generation == self.generation:
            self.state = "stable"
