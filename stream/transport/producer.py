"""One transactional producer per owned partition: whoever starts one fences everybody who had it before.

All that a worker publishes goes out in transactions of the partition it follows from. The broker keeps one producer
epoch per transactional id (`<application>-<partition>`): starting the producer raises the epoch and aborts what the
former owner left open, and from then on the broker refuses whatever the former owner still sends. So a worker that
was stopped or cut off and comes back can do no harm; its next transaction fails and it exits
(`exits.ExitCode.FENCED`).

A producer is never started again after an error with the state still in memory: the process ends and recovers.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiokafka.errors import InvalidProducerEpoch, InvalidProducerIdMapping, ProducerFenced

from stream.transport.committer import Bulk, Outgoing, Pair, Records
from stream.transport.exits import ExitCode, die
from stream.transport.private import AIOKafkaProducer, driver, sender_task, use_sender
from stream.transport.reconnect import PatientSender, start_patiently

log = logging.getLogger(__name__)

BATCH_BYTES = 900_000
REQUEST_BYTES = 8 << 20
STOP_WAIT_S = 2.0
FENCING_ERRORS = (ProducerFenced, InvalidProducerEpoch, InvalidProducerIdMapping)


class TransactionError(RuntimeError):
    """A transaction has failed; nothing is known of the partition any more."""


class Transactions:
    """The transactional producers of the partitions that this worker owns."""

    def __init__(self, make: Callable[[str], AIOKafkaProducer], application: str) -> None:
        """`make`: transactional id → producer, not started."""
        self._make = make
        self._application = application
        self._producers: dict[int, AIOKafkaProducer] = {}
        self.records = 0  # records in committed transactions
        self.transactions = 0
        self.seconds = 0.0  # time spent in transactions, over all partitions

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions that have a producer here."""
        return frozenset(self._producers)

    async def fence(self, partitions: Iterable[int]) -> None:
        """Start a producer for each partition; when it returns, no former owner can commit anything any more."""
        wanted = list(partitions)
        await self.release(wanted)
        started = time.monotonic()
        await asyncio.gather(*(self._start(partition) for partition in wanted))
        if wanted:
            log.info("fenced partitions %s in %.0f ms", sorted(wanted), (time.monotonic() - started) * 1e3)

    async def _start(self, partition: int) -> None:
        transactional_id = f"{self._application}-{partition}"

        def make() -> AIOKafkaProducer:
            producer = self._make(transactional_id)
            use_sender(producer, PatientSender)
            return producer

        self._producers[partition] = await start_patiently(
            make, what=f"producer {transactional_id}", brokers="the cluster"
        )

    async def release(self, partitions: Iterable[int]) -> None:
        """Stop the producers of `partitions`, as far as they have one here."""
        gone = [self._producers.pop(partition) for partition in list(partitions) if partition in self._producers]
        await asyncio.gather(*(_stop(producer) for producer in gone))

    async def stop(self) -> None:
        """Stop all producers."""
        await self.release(list(self._producers))

    async def send(self, partition: int, records: Records) -> int:
        """Put `records` into one transaction of `partition` and commit it; return their number (0 = no transaction).

        Any failure ends the process: with FENCED when another owner has started its producer, else with TRANSACTION.
        """
        started = time.monotonic()
        try:
            n = await self._transact(self._producers[partition], records)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # whatever it is, the partition's state on the broker is unknown
            fenced = is_fenced(error)
            die(
                ExitCode.FENCED if fenced else ExitCode.TRANSACTION,
                f"partition {partition} belongs to another worker"
                if fenced
                else f"transaction of partition {partition} failed",
                error,
            )
        if n:
            self.records += n
            self.transactions += 1
            self.seconds += time.monotonic() - started
        return n

    async def _transact(self, producer: AIOKafkaProducer, records: Records) -> int:
        groups = _by_destination(records)
        if not groups:
            return 0
        await _unless_sender_dies(producer, _publish(producer, groups))
        return sum(len(outgoing) for outgoing in groups.values())


async def _publish(producer: AIOKafkaProducer, groups: Mapping[tuple[str, int], Sequence[Outgoing | Pair]]) -> None:
    """One transaction. All batches are handed over at once: the sender then adds all partitions to the transaction
    with one request, and sends all batches with the next.
    """
    await producer.begin_transaction()
    sent: list[asyncio.Future[Any]] = []
    for (topic, partition), outgoing in groups.items():
        sent += [await producer.send_batch(batch, topic, partition=partition) for batch in _batches(producer, outgoing)]
    # aiokafka commits even when a batch has failed: look at every one of them first
    await asyncio.gather(*sent)
    await producer.commit_transaction()


def _by_destination(records: Records) -> dict[tuple[str, int], list[Outgoing | tuple[bytes | None, bytes | None]]]:
    """(topic, partition) → its records in order; empty groups are left out."""
    groups: dict[tuple[str, int], list[Outgoing | tuple[bytes | None, bytes | None]]] = {}
    for entry in records:
        if isinstance(entry, Outgoing):
            groups.setdefault((entry.topic, entry.partition), []).append(entry)
        else:
            bulk = Bulk(*entry)
            if bulk.records:
                groups.setdefault((bulk.topic, bulk.partition), []).extend(bulk.records)
    return groups


def _batches(
    producer: AIOKafkaProducer, records: Iterable[Outgoing | tuple[bytes | None, bytes | None]]
) -> Iterable[Any]:
    """Closed batch builders of at most `BATCH_BYTES`, one record at least in each."""
    batch = producer.create_batch()
    for record in records:
        if _append(batch, record) is None:
            batch.close()
            yield batch
            batch = producer.create_batch()
            if _append(batch, record) is None:
                raise TransactionError(f"a record does not fit into a batch of {BATCH_BYTES} bytes")
    batch.close()
    yield batch


def _append(batch: Any, record: Outgoing | tuple[bytes | None, bytes | None]) -> Any:
    """Metadata of the record in `batch`, or None when the batch is full."""
    if isinstance(record, Outgoing):
        return batch.append(
            timestamp=record.timestamp_ms, key=record.key, value=record.value, headers=list(record.headers)
        )
    key, value = record
    return batch.append(timestamp=None, key=key, value=value)


async def _unless_sender_dies(producer: AIOKafkaProducer, work: Any) -> Any:
    """Result of `work`; raises when the producer's sender ends first, since then nothing would ever be answered."""
    waiting = asyncio.ensure_future(work)
    sender = sender_task(producer)
    await asyncio.wait({waiting, sender}, return_when=asyncio.FIRST_COMPLETED)
    if not waiting.done():
        waiting.cancel()
        error = sender.exception() if not sender.cancelled() else None
        raise TransactionError("the producer's sender has ended") from error
    return waiting.result()


def is_fenced(error: BaseException | None) -> bool:
    """Whether `error`, or what caused it, says that another producer has taken over."""
    while error is not None:
        if isinstance(error, FENCING_ERRORS):
            return True
        error = error.__cause__ or error.__context__
    return False


async def _stop(producer: AIOKafkaProducer) -> None:
    with contextlib.suppress(Exception):  # it is thrown away: whatever is wrong with it does not matter any more
        await asyncio.wait_for(producer.stop(), STOP_WAIT_S)


class BatchProducer(driver.Producer):
    """Faust's producer, whose own connection publishes nothing, with the `transactions` that publish everything."""

    app: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        self.transactions = Transactions(self._new_transactional, self.app.conf.id)

    def _new_transactional(self, transactional_id: str) -> AIOKafkaProducer:
        settings = {
            **self._settings_default(),
            **self._settings_auth(),
            "acks": "all",
            "linger_ms": 0,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": REQUEST_BYTES,
            "transactional_id": transactional_id,
            "transaction_timeout_ms": self.app.options.transaction_timeout_ms,
        }
        settings.pop("client_id")
        return AIOKafkaProducer(**settings, client_id=f"{self.client_id}-{transactional_id}")

    async def on_start(self) -> None:
        """Connect, waiting for a broker as long as it takes."""
        self._producer = await start_patiently(self._new_producer, what="producer", brokers=self.app.options.brokers)

    async def on_stop(self) -> None:
        """Stop the transactional producers, then Faust's own."""
        await self.transactions.stop()
        await super().on_stop()

    async def create_topic(self, *_args: Any, **_options: Any) -> None:
        """Topics are made by the administrator, never by a worker."""
