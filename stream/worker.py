"""The worker process: a Faust app on the batch transport, with one world, its agents, its metrics and the store's
writer.
"""

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import uvloop
from faust.types import TP

from processors.warm import warm
from schemas import metrics as m
from schemas.settings import Settings
from schemas.topics import (
    CLOCK,
    EVENT_TOPICS,
    FACTORS_PAGES,
    INTRADAY_PAGES,
    ITEMS,
    LEDGER_TABLE,
    PROFILES,
    PROMOTIONS,
    SHOPS,
    SOURCE_TOPICS,
    registry,
)
from stream import logs
from stream.agents.events import events_agent
from stream.agents.pages import pages_agent
from stream.agents.profiles import profiles_agent
from stream.control import ControlReader, ControlRecord
from stream.metrics import Metrics
from stream.store import StoreWriter
from stream.tables.ledgers import LedgerTable
from stream.transport import BatchApp, TransportOptions
from stream.world import World

GAUGES_EVERY_S = 1.0
SIZES_EVERY_S = 15.0
DRAIN_S = 5.0
GATHER_PAGES_S = 0.02
"""The pages of one round come in several transactions, shortly after one another."""
SWITCH_S = 0.0005
"""The thread that fetches waits so long for Python's lock, each time that bytes have come. Python's own 5 ms add up to
a quarter of a figure's age.
"""
NEARLY_CAUGHT_UP_RECORDS = 2_000

log = structlog.get_logger(__name__)


class ConsumerProgress:
    """What the app's consumer knows of offsets, as the world asks for it."""

    def __init__(self, app: BatchApp) -> None:
        self._app = app

    def is_caught_up(self, partition: int) -> bool:
        """Whether all event topics of the partition have been acknowledged to their ends."""
        return self.is_within(partition, 0)

    def is_within(self, partition: int, records: int) -> bool:
        """Whether no event topic of the partition has more records than this that are not acknowledged."""
        backlogs = (self._app.consumer.backlog(TP(topic, partition)) for topic in EVENT_TOPICS)
        return all(backlog is not None and backlog <= records for backlog in backlogs)

    def has_read(self, topic: str, partition: int) -> bool:
        """Whether a topic that is read from its start has been acknowledged to its end."""
        return self._app.consumer.has_read(TP(topic, partition))


def build(settings: Settings, metrics: Metrics, data_dir: Path) -> BatchApp:
    """The Faust app of a worker, ready to run."""
    app = BatchApp(settings.application_id, options=transport_options(settings), datadir=str(data_dir))

    def resync(partition: int) -> None:
        world.refresh_store(partition)

    def take_in(records: Sequence[ControlRecord]) -> None:
        world.note_control(records)

    store = StoreWriter(settings.redis_url.get_secret_value(), metrics, resync)
    control = ControlReader([SHOPS, PROMOTIONS, CLOCK], take_in, brokers=settings.brokers)
    items = ControlReader([ITEMS], take_in, brokers=settings.brokers)
    progress = ConsumerProgress(app)
    world = World(settings, metrics, store, progress, before_first=control.start)
    app.committer = world
    app.tables.add(LedgerTable(app, name=LEDGER_TABLE, ledger_store=world))
    for topic in EVENT_TOPICS:
        app.agent(app.chunk_topic(topic), name=f"events.{topic}")(events_agent(topic, world))
    app.agent(app.chunk_topic(PROFILES, compacted=True), name="profiles")(profiles_agent(world))
    pages = app.chunk_topic(FACTORS_PAGES, from_start=True, compacted=True)
    app.agent(pages, name="pages")(pages_agent(world.add_pages))
    hours = app.chunk_topic(INTRADAY_PAGES, from_start=True, compacted=True)
    app.agent(hours, name="hours")(pages_agent(world.add_hours))

    @app.task
    async def read_catalogue() -> None:
        # Nobody waits for a million records: partitions count by the dates that they know, and follow.
        await items.start()
        world.items.catalogue.complete()

    @app.task
    async def write_store() -> None:
        await store.run()

    @app.task
    async def publish_early() -> None:
        await _publish_early(app, world, progress)

    @app.task
    async def tell_gauges() -> None:
        await _tell_gauges(app, world, metrics)

    @app.on_before_shutdown.connect
    async def leave(*_args: Any, **_options: Any) -> None:
        await store.drain(DRAIN_S)
        await control.stop()
        await items.stop()

    return app


def transport_options(settings: Settings) -> TransportOptions:
    """What the settings say about the transport."""
    topics = registry(partitions=settings.partitions, application_id=settings.application_id)
    return TransportOptions(
        brokers=settings.brokers,
        expected_topics={topic.name: topic.partitions for topic in topics},
        commit_interval_ms=settings.commit_interval_ms,
        max_chunk_records=settings.max_chunk_records,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        fetch_min_bytes=settings.fetch_min_bytes,
        fetch_max_bytes=settings.fetch_max_bytes,
        session_timeout_ms=settings.session_timeout_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        reconnect_pause_ms=settings.reconnect_pause_ms,
    )


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop; does not return (exit codes: `stream.transport.exits`)."""
    logs.configure(settings.log_level, settings.log_format)
    metrics = Metrics(m.WORKER_METRICS)
    # Kernels that are not in the cache would be compiled within the first chunk, for longer than a session lasts.
    warm()
    _spare_collections()
    sys.setswitchinterval(SWITCH_S)
    uvloop.install()
    with metrics.served(settings.metrics_host, settings.metrics_port) as port, tempfile.TemporaryDirectory() as folder:
        log.info("metrics are served", host=settings.metrics_host, port=port)
        app = build(settings, metrics, Path(folder) / "faust")
        worker = app.Worker(override_logging=False, loglevel=settings.log_level, quiet=True, redirect_stdouts=False)
        worker.execute_from_commandline()


def _spare_collections() -> None:
    """Let the garbage collector leave alone what lives as long as the process: compiled kernels and modules are half a
    million objects, and a full collection that visits them stops everything for a quarter of a second.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


async def _publish_early(app: BatchApp, world: World, progress: ConsumerProgress) -> None:
    """Publish figures as soon as the pages of a round have come, while the worker keeps up with the events.

    Otherwise they would wait for the next commit, most of an interval on average. A worker that is behind has no use
    for more transactions.
    """
    while not app.should_stop:
        await world.pages_came.wait()
        await asyncio.sleep(GATHER_PAGES_S)
        world.pages_came.clear()
        if all(progress.is_within(partition, NEARLY_CAUGHT_UP_RECORDS) for partition in world.sources):
            await app.consumer.publish_early()


async def _tell_gauges(app: BatchApp, world: World, metrics: Metrics) -> None:
    """Set the gauges: what moves every second, sizes of one partition after the other."""
    sized_at: dict[int, float] = {}
    while not app.should_stop:
        await asyncio.sleep(GAUGES_EVERY_S)
        now_ms, complete_ms = world.now_ms(), world.clock.complete_through_ms()
        metrics.set(m.CLOCK_SECONDS, now_ms / 1000)
        metrics.set(m.CATALOGUE_ITEMS, len(world.items.catalogue))
        if complete_ms is not None:
            metrics.set(m.COMPLETE_THROUGH_SECONDS, complete_ms / 1000)
        for partition, source in list(world.sources.items()):
            metrics.set(m.WATERMARK_SECONDS, max(source.totals.watermark_ms, 0) / 1000, partition=partition)
            for topic in SOURCE_TOPICS:
                lag = app.consumer.lag(TP(topic, partition))
                if lag is not None:
                    metrics.set(m.LAG_RECORDS, lag, topic=topic, partition=partition)
            if partition in world.pages:
                metrics.set(m.AGGREGATED_SCOPES, len(world.pages[partition].aggregate), partition=partition)
            if partition in world.hours:
                metrics.set(m.INTRADAY_TOTALS_BYTES, world.hours[partition].bytes, partition=partition)
        due = [p for p in world.sources if time.monotonic() - sized_at.get(p, -SIZES_EVERY_S) >= SIZES_EVERY_S]
        if due:
            _tell_sizes(due[0], world, metrics)
            sized_at[due[0]] = time.monotonic()


def _tell_sizes(partition: int, world: World, metrics: Metrics) -> None:
    state = world.sources[partition].partition
    sizes = state.sizes()
    minutes = state.intraday.sizes()
    unknown, mismatched = state.waiting_refunds()
    for metric, value in (
        (m.STATE_USERS, sizes.users),
        (m.STATE_CELLS, sizes.cells),
        (m.STATE_LINES, sizes.lines),
        (m.STATE_REFUNDS, sizes.refunds),
        (m.STATE_NAMES, sizes.names),
        (m.STATE_ROWS, sizes.rows),
        (m.STATE_BYTES, sizes.bytes),
        (m.ITEMS_UNKNOWN, state.unknown_items()),
        (m.INTRADAY_MARKS, minutes.marks),
        (m.INTRADAY_ROWS, minutes.rows),
        (m.INTRADAY_BYTES, minutes.bytes),
        (m.REFUNDS_UNMATCHED, unknown),
        (m.REFUND_CURRENCY_MISMATCHES, mismatched),
    ):
        metrics.set(metric, value, partition=partition)
    for kind, events in state.over_bound.items():
        metrics.count(m.NAMES_OVER_BOUND, events, kind=kind)
    state.over_bound.clear()
    for kind, events in state.intraday.take_left_out().items():
        metrics.count(m.INTRADAY_LEFT_OUT, events, kind=kind)
