"""Faust's table recovery, replaced: fence, read the changelogs in chunks, then let the sources go on.

Faust reads changelogs through its streams, one event a record, and swallows what goes wrong on the way. Here the steps
stand in one line (`_take_over`), an error ends the process, and a rebalance in the middle cancels the line and begins
it again with the new assignment. Order matters:

1. the producers of the gained partitions start: their former owner can commit nothing more, its open transaction is
aborted; 2. only then is the end of the changelog asked for, so nothing can be added behind it; 3. the changelog is
read (`read_committed`) into the tables' stores; 4. only then are the sources sought to where the recovered state goes
on.
"""

import asyncio
import logging
import time
from typing import Any, cast

from aiokafka.errors import IllegalStateError
from mode import Service

from stream.tables.ledgers import LedgerTable
from stream.transport.changelog import read_changelog
from stream.transport.exits import ExitCode, die
from stream.transport.ownership import Assignment
from stream.transport.private import Recovery, TableManager, driver, start_fetcher

log = logging.getLogger(__name__)


class LedgerRecovery(Recovery):
    """Takes over the partitions that a rebalance has brought."""

    app: Any

    async def on_rebalance(self, _assigned: Any, _revoked: Any, _newly_assigned: Any, generation_id: int = 0) -> None:
        """A rebalance is done: begin to take over, or begin again."""
        if generation_id == self.app.consumer_generation_id:
            self._generation_id = generation_id
            self.signal_recovery_start.set()

    @Service.task
    async def _restart_recovery(self) -> None:
        while not await self.wait_for_stopped(cast("Any", self.signal_recovery_start)):
            self.signal_recovery_start.clear()
            work = asyncio.ensure_future(self._take_over())
            signal = asyncio.ensure_future(self.signal_recovery_start.wait())
            stopped = asyncio.ensure_future(self.wait_until_stopped())
            await asyncio.wait({work, signal, stopped}, return_when=asyncio.FIRST_COMPLETED)
            signal.cancel()
            stopped.cancel()
            if not work.done():
                work.cancel()
            (error,) = await asyncio.gather(work, return_exceptions=True)
            if isinstance(error, IllegalStateError):
                log.info("the group rebalanced while partitions were taken over: %s", error)  # the next signal follows
            elif isinstance(error, Exception):
                die(ExitCode.SOFTWARE, "partitions could not be taken over", error)

    async def _take_over(self) -> None:
        app, consumer = self.app, self.app.consumer
        assignment: Assignment = consumer.ownership.current
        consumer.ownership.begin()
        self.in_recovery = app.in_recovery = True
        tables = [table for table in self.tables.values() if isinstance(table, LedgerTable)]
        for table in tables:
            table.drop(assignment.lost | assignment.gained)
        consumer.forget(assignment.lost | assignment.gained)
        transactions = app.producer.transactions
        await transactions.release(assignment.lost)
        await transactions.fence(assignment.gained)
        await app.committer.assigned(assignment.owned, assignment.kept)
        for table in tables:
            await self._recover(table, assignment.gained)
        if consumer.ownership.current is not assignment:
            return  # the next takeover begins them again
        for partition in assignment.gained:
            consumer.ownership.recovered(partition)
        self.in_recovery = app.in_recovery = False
        if consumer.ownership.holds(assignment):
            await self._let_go_on(assignment)

    async def _recover(self, table: LedgerTable, partitions: frozenset[int]) -> None:
        started = time.monotonic()
        n = 0
        auth = driver.credentials_to_aiokafka_auth(self.app.conf.broker_credentials, self.app.conf.ssl_context)
        finishing: list[asyncio.Future[None]] = []

        def finish(partition: int) -> None:
            finishing.append(asyncio.ensure_future(table.finish(partition)))

        table.begin(partitions)
        try:
            async for chunk in read_changelog(
                table.changelog_topic_name, partitions, finished=finish, brokers=self.app.options.brokers, auth=auth
            ):
                table.load(chunk)
                n += len(chunk)
            await asyncio.gather(*finishing)
        finally:
            for work in finishing:
                work.cancel()
        if partitions:
            seconds = time.monotonic() - started
            log.info("table %s: %d records of partitions %s in %.2f s", table.name, n, sorted(partitions), seconds)

    async def _let_go_on(self, assignment: Assignment) -> None:
        app, consumer = self.app, self.app.consumer
        await consumer.seek_sources(assignment)
        await app.on_rebalance_complete.send()
        for table in self.tables.values():
            await table.call_recover_callbacks()
        if not consumer.ownership.holds(assignment):
            return  # the group rebalances again: nothing may be read or published before that is done
        consumer.resume_partitions(consumer.assignment())
        consumer.start_publishing()
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await start_fetcher(app)
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()
        log.info("worker is ready, partitions %s", sorted(assignment.owned))

    @Service.task
    async def _slurp_changelogs(self) -> None:
        """Changelogs do not come through streams."""

    @Service.task
    async def _publish_stats(self) -> None:
        """Recovery logs its own progress."""


class LedgerTableManager(TableManager):
    """Faust's table manager, without changelogs in the consumer group: they are read by `LedgerRecovery`."""

    @property
    def recovery(self) -> LedgerRecovery:
        """The recovery service."""
        if self._recovery is None:
            self._recovery = LedgerRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return cast("LedgerRecovery", self._recovery)

    async def on_start(self) -> None:
        """Start tables and recovery."""
        await self._update_channels()
        await self.recovery.start()

    async def _update_channels(self) -> None:
        self._tables_finalized.set()
        for table in self.values():
            await table.maybe_start()
        self._tables_registered.set()
