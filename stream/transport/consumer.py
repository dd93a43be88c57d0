"""Faust's consumer, delivering chunks, and committing offsets only after the transaction that holds their effect.

The commit of one interval: (1) note what is acknowledged, (2) ask the committer for what each owned partition
publishes and send it in one transaction each, (3) commit the offsets noted. Offsets never overtake the state; a
failed offset commit is tried again at the next interval, a failed transaction ends the process.

At a rebalance everything acknowledged is committed before the partitions are given up. Sources stay paused until
recovery is done and each of them has been sought to where it goes on (`seek_sources`): a kept partition behind its
last acknowledged chunk, a topic that is read from the start at the beginning of its log, any other where the recovered
state says, or at the committed offset where it says nothing. Nothing is being fetched meanwhile: an answer that comes
between the seek and the end of the takeover would have moved the position, and be thrown away.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, cast

import aiokafka
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode import Service
from mode.services import WaitResults
from mode.utils.futures import notify

from stream.transport.chunk import Chunk
from stream.transport.committer import Records
from stream.transport.eager import Finished, begin
from stream.transport.exits import ExitCode, die
from stream.transport.offsets import Delivery, OffsetBook
from stream.transport.ownership import Assignment, Ownership
from stream.transport.private import ack_lock, driver, partition_counts, raise_group_errors
from stream.transport.reconnect import start_patiently
from stream.transport.topics import TopicsError, check_topics
from stream.transport.unpack import ChunkFormat

log = logging.getLogger(__name__)

WAIT_FOR_ROOM_S = 0.01
WAIT_FOR_RECORDS_S = 0.25
"""A seek waits for the fetch under way, so none may wait for long."""
WATCH_GROUP_S = 1.0
BEHIND_RECORDS = 20_000
BEHIND_FACTOR = 4
"""A worker that is so far behind in a partition commits so much less often: nobody sees its figures as they are made,
and what a commit costs goes by what has changed, which is nearly all of a shop's figures after a few thousand events.
"""


class ChunkMessage(ConsumerMessage):
    """Faust message whose value is a `Chunk` and whose offset is the chunk's `last`."""

    delivery: Delivery | None = None


class ChunkConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that holds the aiokafka consumer."""

    app: Any

    async def on_start(self) -> None:
        """Connect, waiting for a broker as long as it takes, and check the topics."""
        options = self.app.options
        self._consumer = await start_patiently(
            lambda: self._create_consumer(loop=self.thread_loop), what="consumer", brokers=options.brokers
        )
        self.time_started = monotonic()
        await self._check_topics(options.expected_topics)

    async def _check_topics(self, expected: Mapping[str, int]) -> None:
        try:
            check_topics(await partition_counts(self._ensure_consumer()), expected)
        except TopicsError as error:
            die(ExitCode.CONFIG, str(error))

    @Service.task
    async def _watch_group(self) -> None:
        """A consumer that its group refuses would wait for ever; the worker ends instead."""
        while not self.should_stop:
            await self.sleep(WATCH_GROUP_S)
            try:
                raise_group_errors(self._ensure_consumer())
            except KafkaError as error:
                die(ExitCode.CONFIG, "the consumer group refuses this worker", error)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf, options = self.app.conf, self.app.options
        self._assignor = self.app.assignor
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self._assignor],
            key_deserializer=ChunkFormat(options.max_chunk_records, frozenset(self.app.compacted_topics)),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            check_crcs=True,
            fetch_max_wait_ms=options.fetch_max_wait_ms,
            fetch_min_bytes=options.fetch_min_bytes,
            fetch_max_bytes=options.fetch_max_bytes,
            max_partition_fetch_bytes=options.partition_fetch_bytes,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        assigned = consumer.assignment()
        wanted = {TopicPartition(*tp): OffsetAndMetadata(end, "") for tp, end in offsets.items()}
        if not wanted.keys() <= assigned:
            return False
        try:
            await consumer.commit(wanted)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets not committed, the group is rebalancing: %s", error)
            return False
        except KafkaError as error:
            die(ExitCode.TRANSACTION, "offsets cannot be committed", error)
        return True

    async def committed_offsets(self, tps: set[TP]) -> dict[TP, int | None]:
        """Committed offset of each partition, None where there is none."""
        found: dict[TP, int | None] = await self.call_thread(self._committed_offsets, tps)
        return found

    async def _committed_offsets(self, tps: set[TP]) -> dict[TP, int | None]:
        consumer = self._ensure_consumer()
        ordered = sorted(tps)
        found = await asyncio.gather(*(consumer.committed(TopicPartition(*tp)) for tp in ordered))
        return dict(zip(ordered, found, strict=True))

    async def beginning_of(self, tp: TP) -> int:
        """Offset of the first record that the broker still has."""
        found: dict[TopicPartition, int] = await self.call_thread(
            self._ensure_consumer().beginning_offsets, [TopicPartition(*tp)]
        )
        return found[TopicPartition(*tp)]

    def end_of(self, tp: TP) -> int | None:
        """Where the log of an assigned partition ended at the last fetch."""
        consumer, partition = self._ensure_consumer(), TopicPartition(*tp)
        if partition not in consumer.assignment():
            return None
        end: int | None = consumer.highwater(partition)
        return end

    async def seek_to(self, targets: Mapping[TP, int | None]) -> None:
        """Go on reading at the given offsets; None = at the beginning of the log."""
        await self.call_thread(self._seek_to, targets)

    async def _seek_to(self, targets: Mapping[TP, int | None]) -> None:
        consumer = self._ensure_consumer()
        beginning = [TopicPartition(*tp) for tp, offset in targets.items() if offset is None]
        for tp, offset in targets.items():
            if offset is not None:
                consumer.seek(TopicPartition(*tp), offset)
        while beginning and not await consumer.seek_to_beginning(*beginning):
            log.warning("still looking up where %d partitions begin", len(beginning))


class ChunkConsumer(driver.Consumer):
    """The main loop's side of the consumer."""

    app: Any
    _thread: ChunkConsumerThread

    def __init__(self, transport: Any, callback: Any, *args: Any, **options: Any) -> None:
        self.ownership = Ownership()
        self._books: dict[TP, OffsetBook] = defaultdict(OffsetBook)
        self._is_publishing = False  # between recovery and the next rebalance
        self._rounds = asyncio.Lock()  # one commit at a time
        self._turns: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)  # a partition has one transaction at a time
        self._fetching = asyncio.Lock()  # positions move while it is held

        async def deliver(message: ConsumerMessage) -> None:
            if isinstance(message, ChunkMessage):
                skipped = self._note_delivery(message)
                if skipped > 0:
                    await self._account_for(message, skipped)
            await callback(message)

        super().__init__(transport, deliver, *args, **options)

    def _new_consumer_thread(self) -> ChunkConsumerThread:
        return ChunkConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # --- delivery ---

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's
        """As Faust does, but without its pauses of a second while agents are behind: it looks again soon."""
        if not self.flow_active:
            await self.wait(cast("Any", self.can_resume_flow))
        self.not_waiting_next_records.set()
        active = self._get_active_partitions()
        if not active:
            await self.sleep(WAIT_FOR_ROOM_S)
            return {}, active
        if self._buffered_partitions:  # one of these may have room again before any other has records
            timeout = min(timeout, WAIT_FOR_ROOM_S)
        return await self._getmany(active, timeout), active

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's
        try:
            async with self._fetching:
                return await super()._getmany(active_partitions, min(timeout, WAIT_FOR_RECORDS_S))
        except (asyncio.CancelledError, ConsumerStoppedError):
            raise
        except Exception as error:  # noqa: BLE001  # a batch that cannot be unpacked would be fetched again for ever
            die(ExitCode.DATA, "records cannot be read", error)

    async def wait_first(self, *waits: Any, timeout: Any = None) -> WaitResults:  # noqa: ASYNC109  # Faust's
        """Faust starts four tasks for each message it delivers. A delivery that has nothing to wait for needs none."""
        if waits and asyncio.iscoroutine(waits[0]):
            try:
                waits = (begin(waits[0]), *waits[1:])
            except Finished as finished:
                for other in waits[1:]:
                    other.close()
                return WaitResults([waits[0]], [finished.args[0]], stopped=False)
        return await super().wait_first(*waits, timeout=timeout)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        chunk: Chunk = record
        return ChunkMessage(
            topic=chunk.topic,
            partition=chunk.partition,
            offset=chunk.last,
            timestamp=chunk.newest_ms / 1000,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast("Any", chunk),
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=0,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    def _note_delivery(self, message: ChunkMessage) -> int:
        """Note the chunk; returns how many offsets before it have not been delivered."""
        chunk: Chunk = cast("Any", message.value)
        message.delivery, skipped = self._books[message.tp].deliver(chunk.first, chunk.last)
        if skipped < 0:
            log.warning("%s: read again from offset %d on", message.tp, chunk.first)
        return skipped

    async def _account_for(self, message: ChunkMessage, skipped: int) -> None:
        """What was not delivered has to be gone from the log, or the worker ends rather than pass it over."""
        chunk: Chunk = cast("Any", message.value)
        if await self._thread.beginning_of(message.tp) < chunk.first:
            die(ExitCode.SOFTWARE, f"{message.tp}: {skipped} records before offset {chunk.first} were passed over")
        log.error("%s: %d records before offset %d are gone, retention has cut them", message.tp, skipped, chunk.first)
        chunk.first -= skipped  # chunks tile the log: it is the one that was read over the hole

    def ack(self, message: Any) -> bool:
        """The effect of the message's chunk is in the state."""
        with ack_lock:
            if message.acked and message not in self._unacked_messages:
                return False
            message.acked = True
            self._unacked_messages.discard(message)
        if message.delivery is not None:
            self._books[message.tp].acknowledge(message.delivery)
        notify(self._waiting_for_ack)
        return True

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Chunks cover the holes before them."""

    def committed_offset(self, tp: TP) -> int | None:
        """Committed offset (next to read) of a source partition as this worker knows it; None when there is none."""
        return self._books[tp].committed

    # --- commit ---

    @Service.task
    async def _commit_handler(self) -> None:
        due = monotonic() + self.commit_interval
        while not self.should_stop:
            await self.sleep(max(0.0, due - monotonic()))
            await self.commit()
            # A slow commit delays the next one, it is not made up for.
            due = max(due + self.commit_interval * (BEHIND_FACTOR if self._is_behind() else 1), monotonic())

    def _is_behind(self) -> bool:
        sources = [tp for tp in self._books if tp.topic not in self.app.compacted_topics]
        return any((self.backlog(tp) or 0) > BEHIND_RECORDS for tp in sources)

    async def force_commit(self, *_args: Any, **_options: Any) -> bool:
        """One commit of everything; see the module.

        While nothing is published, nothing is committed either: what has been acknowledged since the last transaction
        is in none.
        """
        async with self._rounds:
            return await self._round() if self._is_publishing else False

    async def publish_early(self) -> None:
        """Publish what the committer gives between two commits (`collect_early`); commits no offsets."""
        await asyncio.gather(*(self._publish_early(partition) for partition in self.ownership.live))

    async def _round(self) -> bool:
        noted = {tp: end for tp, book in self._books.items() if (end := book.committable()) is not None}
        await asyncio.gather(*(self._publish(partition) for partition in self.ownership.live))
        if not noted or not await self._thread.commit(noted):
            return False
        for tp, end in noted.items():
            self._books[tp].commit(end)
        self.app.monitor.on_tp_commit(noted)
        return True

    async def _publish(self, partition: int) -> None:
        committer = self.app.committer
        async with self._turns[partition]:
            await self._transact(partition, committer.collect, committer.committed)

    async def _publish_early(self, partition: int) -> None:
        committer = self.app.committer
        async with self._turns[partition]:
            if self._is_publishing and partition in self.ownership.live:
                await self._transact(partition, committer.collect_early, committer.committed_early)

    async def _transact(
        self,
        partition: int,
        collect: Callable[[int], Awaitable[Records]],
        committed: Callable[[int], Awaitable[None]],
    ) -> None:
        try:
            records = await collect(partition)
        except Exception as error:  # noqa: BLE001  # what was taken for this transaction is lost
            die(ExitCode.SOFTWARE, f"collect of partition {partition} raised", error)
        if await self.app.producer.transactions.send(partition, records):
            await committed(partition)

    async def on_task_error(self, exc: BaseException) -> None:
        """An agent raised; the agent's own error handler ends the process."""

    def backlog(self, tp: TP) -> int | None:
        """Records between what is acknowledged and the end of the log; None while that is not known."""
        end = self._thread.end_of(tp)
        done = self._books[tp].done if tp in self._books else None
        return None if end is None or done is None else max(end - done, 0)

    def has_read(self, tp: TP) -> bool:
        """Whether everything that the log holds has been acknowledged, if it holds anything."""
        return self._thread.end_of(tp) == 0 or self.backlog(tp) == 0

    def lag(self, tp: TP) -> int | None:
        """Records between what is committed and the end of the log; None while that is not known."""
        end = self._thread.end_of(tp)
        return None if end is None or tp not in self._books else max(end - (self._books[tp].committed or 0), 0)

    # --- rebalance ---

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is acknowledged while the partitions are still ours, then give them up."""
        self.ownership.revoke()
        self.stop_flow()
        await self.maybe_wait_for_commit_to_finish()
        await self.commit()
        was_publishing, self._is_publishing = self._is_publishing, False
        for turn in list(self._turns.values()):
            async with turn:
                """What was published early since the commit is done with, too."""
        if was_publishing:
            await self.app.committer.revoked()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Note what is kept, gained and lost; recovery does the rest."""
        assignment = self.ownership.assign({tp.partition for tp in assigned}, generation_id)
        log.info(
            "generation %d: partitions kept %s, gained %s, lost %s", generation_id,
            *(sorted(part) for part in (assignment.kept, assignment.gained, assignment.lost)),
        )  # fmt: skip
        await super().on_partitions_assigned(assigned, generation_id)

    def forget(self, partitions: frozenset[int]) -> None:
        """The state of `partitions` is dropped: what had been acknowledged of them is in no state any more.

        Their positions must not outlive it, or a takeover that the next rebalance holds up after its recovery would let
        a partition that is then kept go on in the middle of the log.
        """
        for tp in [tp for tp in self._books if tp.partition in partitions]:
            del self._books[tp]

    async def perform_seek(self) -> None:
        """Faust seeks while its flow is stopped; the position is set once, when recovery is done (`seek_sources`)."""

    async def seek_sources(self, assignment: Assignment) -> None:
        """Set every source partition to where it goes on."""
        async with self._fetching:
            tps = self.assignment()
            committed = await self._thread.committed_offsets(tps)
            targets = {tp: self._goes_on_at(tp, assignment, committed[tp]) for tp in tps}
            await self._thread.seek_to(targets)
        for tp in list(self._books.keys() - tps):
            del self._books[tp]
        for tp in tps:
            self._books[tp].seek(targets[tp], committed[tp])
            self._read_offset[tp] = None
            self._committed_offset[tp] = committed[tp]

    def _goes_on_at(self, tp: TP, assignment: Assignment, committed: int | None) -> int | None:
        done = self._books[tp].done if tp in self._books and tp.partition in assignment.kept else None
        if done is not None:
            return done
        if tp.topic in self.app.from_start_topics:
            return None
        at: int | None = self.app.committer.goes_on_at(*tp)
        if at is None:
            return committed
        if at < (committed or 0):
            log.warning("%s: offset %s is committed, the state goes on at %d", tp, committed, at)
        return at

    def start_publishing(self) -> None:
        """The tables are recovered and the sources sought: from now on each commit publishes."""
        self._is_publishing = True

    async def verify_all_partitions_active(self) -> None:
        """Faust's livelock check knows nothing of chunks; lag is what to watch."""

    async def create_topic(self, *_args: Any, **_options: Any) -> None:
        """Topics are made by the administrator, never by a worker."""
