"""One worker process: the product's own shell on simulated edges.

Real are `World` with all it holds, the consumer's commit, delivery, seek and rebalance (`ChunkConsumer`), ownership and
offsets, and the line of steps of a takeover (`LedgerRecovery`). Simulated are the edges: the group's membership, what
is fetched, the producers' requests, threads and timers.
"""

import asyncio
import weakref
from collections import deque
from contextlib import contextmanager
from types import SimpleNamespace

from faust.types import TP
from faust.types.tuples import TP as _TP  # noqa: F401  # the tuple that Faust and the product share

from schemas.settings import Settings
from schemas.topics import CLOCK, FACTORS_PAGES, INTRADAY_PAGES, ITEMS, PROFILES, SHOPS, SOURCE_TOPICS, changelog_topic
from stream import world as world_module
from stream.control import ControlRecord
from stream.tables.ledgers import LedgerTable
from stream.transport import consumer as consumer_module
from stream.transport import recovery as recovery_module
from stream.transport.consumer import ChunkConsumer
from stream.transport.exits import ExitCode
from stream.transport.ownership import Ownership
from stream.transport.producer import _by_destination
from stream.transport.recovery import LedgerRecovery
from stream.worker import ConsumerProgress, _publish_early
from stream.world import World
from tests.simulation.broker import CommitRefusedError, FencedError
from tests.simulation.loop import ProcessLoop

SOURCES = (*SOURCE_TOPICS, FACTORS_PAGES, INTRADAY_PAGES)


class DiedError(BaseException):
    """What `die` raises here: no handler of the product may hold it up."""

    def __init__(self, code, reason, error):
        super().__init__(code, reason)
        self.code, self.reason, self.error = code, reason, error


def _die(code, reason, error=None):
    process = asyncio.get_running_loop().process
    process.died(code, reason, error)
    raise DiedError(code, reason, error)


async def _read_changelog(topic, partitions, *, finished, brokers, auth):
    """Up to the ends as they are now, in pieces; `brokers` is the process that reads."""
    process, simulation = brokers, brokers.simulation
    logs = {partition: simulation.broker.logs[topic, partition] for partition in sorted(partitions)}
    ends = {}
    for partition, log in logs.items():
        ends[partition] = await process.request("end of changelog", lambda log=log: log.stable_end)
    for partition, log in logs.items():
        first = 0
        while first < ends[partition]:
            end = min(first + simulation.read_size(), log.stable_end)
            chunk = await process.request(
                "read changelog", lambda p=partition, f=first, e=end: simulation.broker.chunk(topic, p, f, e)
            )
            first = end
            yield chunk
        finished(partition)


async def _start_fetcher(_app):
    pass


@contextmanager
def simulated_edges():
    """While the block runs, `die` ends a simulated process, and changelogs are read from the simulated broker."""
    patches = [
        (consumer_module, "die", _die),
        (recovery_module, "die", _die),
        (world_module, "die", _die),
        (world_module, "PROFILES_AT_A_TIME", 1),
        (recovery_module, "read_changelog", _read_changelog),
        (recovery_module, "start_fetcher", _start_fetcher),
    ]
    before = [getattr(module, name) for module, name, _ in patches]
    for module, name, value in patches:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(patches, before, strict=True):
            setattr(module, name, value)


class NoMetrics:
    def count(self, *_args, **_labels):
        pass

    set = observe = count

    def forget_partition(self, partition):
        pass


class Thread:
    """The consumer's thread: what it asks of the group."""

    def __init__(self, process):
        self._process = process

    async def commit(self, offsets):
        process = self._process
        if not offsets.keys() <= process.assigned:
            return False
        generation, wanted = process.generation, {(tp.topic, tp.partition): end for tp, end in offsets.items()}
        try:
            await process.request(
                "commit offsets", lambda: process.simulation.broker.group.commit(process, generation, wanted)
            )
        except CommitRefusedError:
            return False
        return True

    async def committed_offsets(self, tps):
        offsets = self._process.simulation.broker.group.offsets
        return await self._process.request(
            "committed offsets", lambda: {tp: offsets.get((tp.topic, tp.partition)) for tp in tps}
        )

    def end_of(self, tp):
        return (
            self._process.simulation.broker.logs[tp.topic, tp.partition].end if tp in self._process.assigned else None
        )

    async def seek_to(self, targets):
        self._process.positions = {tp: offset or 0 for tp, offset in targets.items()}
        self._process.fetches += 1


class FaustEnds(ChunkConsumer.__mro__[1]):
    """What Faust's consumer has and does, on the way from `ChunkConsumer` to the agents and the tables."""

    def __init__(self, process, _deliver):
        self.loop = process.loop
        self.app = process.app
        self._commit_fut = None
        self._thread = Thread(process)
        self._unacked_messages = weakref.WeakSet()
        self._waiting_for_ack = None
        self._read_offset = {}
        self._committed_offset = {}

    async def on_partitions_revoked(self, revoked):
        process = self.process
        process.agents_are_active = False
        process.reading.clear()
        process.waiting.clear()
        await asyncio.sleep(0)

    async def on_partitions_assigned(self, assigned, generation_id=0):
        process = self.process
        process.reading.clear()
        await asyncio.sleep(process.simulation.random.choice([0, 0, 0.05, 0.3]))
        await process.recovery.on_rebalance(assigned, set(), set(), generation_id)


class SimulatedConsumer(ChunkConsumer, FaustEnds):
    def __init__(self, process, ownership):
        self.process = process
        super().__init__(process, None)
        self.ownership = ownership

    def assignment(self):
        return set(self.process.assigned)

    def stop_flow(self):
        self.process.is_flowing = False

    def resume_flow(self):
        self.process.is_flowing = True
        self.process.fetch_all()

    def resume_partitions(self, tps):
        self.process.reading |= tps


class Table(LedgerTable):
    def __init__(self, world, simulation):
        self.ledger_store = world
        self.simulation = simulation
        self._recover_callbacks = set()

    @property
    def changelog_topic_name(self):
        return self.simulation.changelog

    @property
    def name(self):
        return "ledgers"

    async def call_recover_callbacks(self):
        pass


class Tables(dict):
    def on_actives_ready(self):
        pass

    on_standbys_ready = on_actives_ready


class SimulatedRecovery(LedgerRecovery):
    def __init__(self, process, world):
        self.app = process.app
        self.tables = Tables(ledgers=Table(world, process.simulation))
        self._signal_recovery_start = asyncio.Event()
        self._generation_id = 0
        self.in_recovery = False
        self._done = asyncio.Event()

    @property
    def completed(self):
        return self._done

    async def wait_for_stopped(self, event):
        await event.wait()
        return False

    async def wait_until_stopped(self):
        await asyncio.get_running_loop().create_future()


class Transactions:
    """The transactional producers of a process, as requests to the broker."""

    def __init__(self, process):
        self._process = process
        self._epochs = {}

    async def release(self, partitions):
        for partition in partitions:
            self._epochs.pop(partition, None)

    async def fence(self, partitions):
        async def start(partition):
            self._epochs[partition] = await self._process.request(
                "start producer", lambda: self._process.simulation.broker.start_producer(_id(partition))
            )

        await asyncio.gather(*(start(partition) for partition in sorted(partitions)))

    async def send(self, partition, records):
        """As `stream.transport.producer`: every record is with the broker before the commit is asked for."""
        process = self._process
        groups = list(_by_destination(records).items())
        if not groups:
            return 0
        epoch, broker = self._epochs[partition], process.simulation.broker
        cut = process.simulation.random.choice(
            [len(groups), len(groups), process.simulation.random.randint(0, len(groups))]
        )
        try:
            for some in (groups[:cut], groups[cut:]):
                if some:
                    await process.request("send records", lambda some=some: broker.send(_id(partition), epoch, some))
            await process.request("commit transaction", lambda: broker.commit(_id(partition), epoch))
        except FencedError as error:
            _die(ExitCode.FENCED, f"partition {partition} belongs to another worker", error)
        return sum(len(some) for _, some in groups)


def _id(partition):
    return f"smart-{partition}"


class Process:
    """One life of a worker."""

    def __init__(self, simulation, name, variant):
        self.simulation = simulation
        self.name = name
        self.skew_ms = simulation.random.choice([0, 0, 0, 700, -900])
        self.loop = ProcessLoop(simulation.timeline, simulation.turn_ms, self._failed)
        self.loop.process = self
        self.rejoin = asyncio.Event()
        self.assigned: set[TP] = set()
        self.reading: set[TP] = set()
        """Those of the assigned partitions that are not held back."""
        self.generation = -1
        self.positions: dict[TP, int] = {}
        self.fetches = 0
        """Counts seeks: an answer to a fetch of before is thrown away."""
        self._fetching: set[TP] = set()
        self.is_flowing = False
        self.agents_are_active = False
        self.waiting = deque()
        self._inbox = []
        self._is_folding = False
        self._control_read_to = {SHOPS: 0, CLOCK: 0, ITEMS: 0}
        self._is_reading_control = False
        self.app = self._new_app()
        self.consumer = variant.consumer(self, variant.ownership())
        self.app.consumer = self.consumer
        self.progress = ConsumerProgress(self.app)
        self.world = variant.world(
            simulation.settings,
            NoMetrics(),
            simulation.store_of(self),
            self.progress,
            before_first=self._read_control_to_the_end,
            wall_ms=lambda: int(simulation.wall_ms() + self.skew_ms),
        )
        self.world.config = simulation.config
        self.world._options = simulation.source_options
        self.app.committer = self.world
        self.app.producer = SimpleNamespace(transactions=Transactions(self))
        self.recovery = SimulatedRecovery(self, self.world)
        for work in (self._membership, self._commit_timer, self._recover, self._publish_early):
            self.loop.create_task(self._supervised(work))

    def _new_app(self):
        async def send(*_args):
            pass

        def resume_agents():
            self.agents_are_active = True

        def nothing(*_args):
            pass

        return SimpleNamespace(
            consumer_generation_id=-1,
            in_recovery=False,
            client_only=False,
            should_stop=False,
            conf=SimpleNamespace(broker_credentials=None, ssl_context=None),
            options=SimpleNamespace(brokers=self),
            monitor=SimpleNamespace(on_tp_commit=nothing),
            from_start_topics=frozenset({FACTORS_PAGES, INTRADAY_PAGES}),
            on_rebalance_complete=SimpleNamespace(send=send),
            flow_control=SimpleNamespace(resume=resume_agents),
            on_rebalance_end=nothing,
        )

    @property
    def is_alive(self):
        return self.loop.is_alive

    # --- life

    async def _supervised(self, work):
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # told as a problem
            self.died(ExitCode.SOFTWARE, "an unexpected error", error)

    def _failed(self, context):
        error = context.get("exception")
        if not isinstance(error, DiedError):
            self.simulation.wrong(f"{self.name}: {context.get('message')}: {error!r}", error)

    def died(self, code, reason, error):
        """The product has ended the process. Faults are no reason to do so for an error of its own."""
        if self.is_alive:
            self.simulation.tell(self.name, f"exits with {code.name}: {reason}")
            if code is ExitCode.SOFTWARE:
                self.simulation.wrong(f"{self.name} ends: {reason}: {error!r}", error)
            self.loop.kill()
            self.simulation.ended(self, code, reason, error)

    def receive(self, act):
        """Something from outside: it waits while the process is paused."""
        if not self.is_alive:
            return
        if self.loop.is_paused:
            self._inbox.append(act)
        else:
            self.loop.call_soon(act)

    def pause(self):
        self.loop.pause()

    def resume(self):
        inbox, self._inbox = self._inbox, []
        self.loop.resume()
        for act in inbox:
            self.loop.call_soon(act)
        if self not in self.simulation.broker.group.members or self.simulation.broker.group.state == "preparing":
            self.loop.call_soon(self.rejoin.set)
        self.fetch_all()

    def request(self, what, serve):
        """The answer of the broker, as a future; may take a retry or an outage of the broker."""
        future = self.loop.create_future()
        if self.is_alive:
            self.simulation.send(self, what, serve, future)
        return future

    async def _membership(self):
        group = self.simulation.broker.group
        while True:
            await self.consumer.on_partitions_revoked(set(self.assigned))
            self.rejoin.clear()
            joined = self.loop.create_future()
            self.simulation.ask_to_join(self, joined)
            self.generation, partitions = await joined
            self.assigned = {TP(topic, partition) for partition in partitions for topic in SOURCES}
            self.app.consumer_generation_id = self.generation
            self.simulation.tell(self.name, f"has partitions {list(partitions)} in generation {self.generation}")
            await self.consumer.on_partitions_assigned(set(self.assigned), self.generation)
            if self not in group.members:
                self.rejoin.set()
            await self.rejoin.wait()

    async def _publish_early(self):
        await _publish_early(self.app, self.world, self.progress)

    async def _recover(self):
        await LedgerRecovery._restart_recovery(self.recovery)

    async def _commit_timer(self):
        while True:
            await asyncio.sleep(self.simulation.commit_interval_s)
            await self.consumer.commit()

    async def leave(self):
        """An orderly stop."""
        await self.consumer.commit()
        if self.is_alive:
            self.simulation.broker.group.remove(self)
            self.loop.kill()
            self.simulation.ended(self, None, "stopped", None)

    # --- control topics

    async def _read_control_to_the_end(self):
        await self._read_control()
        self._follows = True

    _follows = False

    async def _read_control(self):
        def read():
            found = []
            for topic in (SHOPS, CLOCK, ITEMS):
                log = self.simulation.broker.logs[topic, 0]
                found += [(topic, entry) for entry in log.committed(self._control_read_to[topic], log.stable_end)]
                ends[topic] = log.stable_end
            return found

        ends = {}
        records = await self.request("read control topics", read)
        self._control_read_to = ends
        self.world.note_control(
            [
                ControlRecord(topic, entry.key, entry.value, entry.offset, entry.timestamp_ms, entry.headers)
                for topic, entry in records
            ]
        )
        self.world.items.catalogue.complete()

    def follow_control(self):
        """A control topic has grown."""
        if self._follows and not self._is_reading_control and self.is_alive:
            self._is_reading_control = True

            self.simulation.timeline.later(
                self.simulation.random.choice([5, 20, 100, 1500]),
                lambda: self.receive(lambda: self.loop.create_task(self._supervised(self._read_on))),
            )

    async def _read_on(self):
        await self._read_control()
        self._is_reading_control = False
        if any(self._control_read_to[t] < self.simulation.broker.logs[t, 0].stable_end for t in (CLOCK, ITEMS)):
            self.follow_control()

    # --- fetching and agents

    def fetch_all(self):
        for tp in sorted(self.reading):
            self.fetch(tp)

    def fetch(self, tp):
        """Fetch from where the consumer stands, unless that is under way or there is nothing."""
        if not self.is_flowing or tp in self._fetching or tp not in self.reading & self.assigned or not self.is_alive:
            return
        simulation = self.simulation
        position, fetch, generation = self.positions[tp], self.fetches, self.generation
        log = simulation.broker.logs[tp.topic, tp.partition]
        if log.stable_end <= position:
            return
        self._fetching.add(tp)

        def serve():
            end = min(log.stable_end, position + simulation.chunk_size())
            return simulation.broker.chunk(tp.topic, tp.partition, position, end) if end > position else None

        def take(future):
            self._fetching.discard(tp)
            chunk = future.result()
            if chunk is not None and fetch == self.fetches and generation == self.generation and tp in self.reading:
                self.positions[tp] = chunk.last + 1
                message = self.consumer._to_message(tp, chunk)
                self.consumer._note_delivery(message)
                self.waiting.append(message)
                self._let_agents_work()
            self.fetch(tp)

        self.request("fetch", serve).add_done_callback(take)

    def _let_agents_work(self):
        if not self._is_folding and self.waiting:
            self._is_folding = True
            self.simulation.timeline.later(self.simulation.agent_ms(), lambda: self.receive(self._work))

    def _work(self):
        """An agent takes a chunk: as `stream.agents`."""
        self._is_folding = False
        if self.waiting:
            topics = sorted({message.tp.topic for message in self.waiting})
            topic = self.simulation.random.choice(topics)
            message = next(message for message in self.waiting if message.tp.topic == topic)
            self.waiting.remove(message)
            if self.agents_are_active and message.generation_id == self.app.consumer_generation_id:
                self._handle(message)
        self._let_agents_work()

    def _handle(self, message):
        chunk = message.value
        try:
            if chunk.topic == FACTORS_PAGES:
                self.world.add_pages(chunk)
            elif chunk.topic == PROFILES:
                if self.world.fold_profiles(chunk):  # the others have their turn before it goes on
                    self.waiting.appendleft(message)
                    return
            elif chunk.topic == INTRADAY_PAGES:
                self.world.add_hours(chunk)
            else:
                self.world.take_in(chunk)
        except Exception as error:  # noqa: BLE001  # told as a problem
            self.died(ExitCode.SOFTWARE, f"an agent raised on {chunk}", error)
            return
        self.simulation.tell(self.name, f"has taken in {chunk}")
        self.simulation.at_boundary(self, "folded")
        self.consumer.ack(message)


class PlainVariant:
    """The product as it is."""

    consumer = SimulatedConsumer
    ownership = Ownership
    world = World


__all__ = ["ChunkConsumer", "Process", "Settings", "changelog_topic"]
