"""The product broken on purpose, one way each: a simulator that cannot see these would prove nothing."""

import asyncio

from schemas.durable import MARKS_PREFIX, PUBLISHED_PREFIX, TOTALS_KEY
from schemas.factors import NO_CURRENCY
from schemas.topics import FACTORS_LIVE, FACTORS_RESTATEMENTS, ITEMS
from stream.aggregator import PagePartition
from stream.transport import Bulk
from stream.transport.ownership import Ownership
from stream.world import World
from tests.simulation.shell import PlainVariant, SimulatedConsumer


class _CommitsFirst(SimulatedConsumer):
    async def force_commit(self, *_args, **_options):
        if not self._is_publishing:
            return False
        noted = {tp: end for tp, book in self._books.items() if (end := book.committable()) is not None}
        if not noted or not await self._thread.commit(noted):
            noted = {}
        await asyncio.gather(*(self._publish(partition) for partition in self.ownership.live))
        for tp, end in noted.items():
            self._books[tp].commit(end)
        return bool(noted)


class OffsetsBeforeTheTransaction(PlainVariant):
    """Offsets are committed, then the state that they stand for."""

    consumer = _CommitsFirst


class _CommitsWhileTakingOver(SimulatedConsumer):
    async def force_commit(self, *_args, **_options):
        if self._is_publishing:
            return await super().force_commit()
        noted = {tp: end for tp, book in self._books.items() if (end := book.committable()) is not None}
        if not noted or not await self._thread.commit(noted):
            return False
        for tp, end in noted.items():
            self._books[tp].commit(end)
        return True


class CommitsWithoutPublishing(PlainVariant):
    """Between a rebalance and the end of the takeover, offsets are committed though nothing is published."""

    consumer = _CommitsWhileTakingOver


class NoFencing(PlainVariant):
    """The broker lets a former owner's producer go on."""

    @staticmethod
    def prepare(simulation):
        simulation.broker.is_fencing = False


class _HoldsBack(World):
    async def collect(self, partition):
        """Some records of the changelog follow in the next transaction."""
        held = self.__dict__.setdefault("held", {})
        late, records = held.pop(partition, []), list(await super().collect(partition))
        for i, record in enumerate(records):
            if isinstance(record, Bulk) and record.topic == self._changelog:
                held.setdefault(partition, []).extend(pair for pair in record.records if self.is_late(pair[0]))
                records[i] = record._replace(records=[pair for pair in record.records if not self.is_late(pair[0])])
        return [*records, Bulk(self._changelog, partition, late)]


class _ForgetsTotals(_HoldsBack):
    def is_late(self, key):
        return key == TOTALS_KEY


class TotalsAfterTheTransaction(PlainVariant):
    """What has been applied is told one transaction later than what came of it."""

    world = _ForgetsTotals


class _ForgetsGenerations(Ownership):
    def assign(self, partitions, generation):
        if self._generation is not None:
            self._generation = generation - 1
        return super().assign(partitions, generation)


class KeptOverAMissedGeneration(PlainVariant):
    """A worker that missed a generation goes on with the state that it has."""

    ownership = _ForgetsGenerations


class KeptOverAMissedGenerationUnfenced(KeptOverAMissedGeneration):
    """The same, without the broker's fencing behind it."""

    prepare = NoFencing.prepare


class _KeepsPositions(SimulatedConsumer):
    def forget(self, partitions):
        pass

    def _goes_on_at(self, tp, assignment, committed):
        done = self._books[tp].done if tp in self._books else None
        return super()._goes_on_at(tp, assignment, committed) if done is None else done


class PositionsOutliveTheirState(PlainVariant):
    """A takeover leaves the positions of the state before it, and the sources go on there."""

    consumer = _KeepsPositions


class _HoldsAnything(Ownership):
    def holds(self, assignment):
        return True


class TakeoversGoOn(PlainVariant):
    """A takeover is not held up by the rebalance that begins in it."""

    ownership = _HoldsAnything


class _SettlesBlindly(PagePartition):
    def apply(self, chunk):
        if self._former is not None:
            self.published_before = max(self.published_before, chunk.last + 1)
        super().apply(chunk)

    def _settle(self):
        """All that the pages say now counts as published."""
        scopes = list(self._former.scopes) if self._former else []
        super()._settle()
        for name in scopes:
            scope = self.aggregate._scopes[name]
            scope.stale[:] = False
            scope.published_in = scope.currencies() or [NO_CURRENCY]


class _NeverSettles(PagePartition):
    def _settle(self):
        pass


class _OfPages(World):
    page_partition = PagePartition

    def _pages_of(self, partition):
        known = partition in self.pages
        pages = super()._pages_of(partition)
        if not known:
            pages.__class__ = self.page_partition
        return pages


class _SettlesBlindlyWorld(_OfPages):
    page_partition = _SettlesBlindly


class _NeverSettlesWorld(_OfPages):
    page_partition = _NeverSettles


class SettlesWhatIsNew(PlainVariant):
    """After a takeover, pages count as published that nobody had published."""

    world = _SettlesBlindlyWorld


class NeverSettles(PlainVariant):
    """After a takeover, the pages are never read as far as they had been."""

    world = _NeverSettlesWorld


class _ForgetsPublished(_HoldsBack):
    def is_late(self, key):
        return key.startswith(PUBLISHED_PREFIX)


class PublishedAfterTheTransaction(PlainVariant):
    """What has been published is told one transaction later than it was."""

    world = _ForgetsPublished


class _LosesLive(World):
    async def collect(self, partition):
        """Leaves some figures out."""
        records = list(await super().collect(partition))
        return [record for record in records if not _is_one_figure(record)]


def _is_one_figure(record):
    return isinstance(record, Bulk) and record.topic == FACTORS_LIVE and len(record.records) == 1


class LosesSingleFigures(PlainVariant):
    """A transaction of one figure leaves it out."""

    world = _LosesLive


class _TellsLater(World):
    async def collect(self, partition):
        """Restatements follow in the next transaction."""
        held = self.__dict__.setdefault("held", {})
        late, records = held.pop(partition, []), []
        for record in await super().collect(partition):
            if isinstance(record, Bulk) and record.topic == FACTORS_RESTATEMENTS:
                held.setdefault(partition, []).extend(record.records)
            else:
                records.append(record)
        return [*records, Bulk(FACTORS_RESTATEMENTS, partition, late)]


class RestatesAfterTheTransaction(PlainVariant):
    """What has been restated is told one transaction later than it was."""

    world = _TellsLater


class _ForgetsBefore(PagePartition):
    def _settle(self):
        super()._settle()
        for name in self.aggregate.scopes():
            before = self.aggregate._scopes[name].before
            before.__init__()


class _ForgetsBeforeWorld(_OfPages):
    page_partition = _ForgetsBefore


class TakeoversTellNoRestatements(PlainVariant):
    """What a former owner had published is forgotten: what has changed since then is not told."""

    world = _ForgetsBeforeWorld


class _ForgetsMarks(_HoldsBack):
    def is_late(self, key):
        return key.startswith(MARKS_PREFIX)


class MarksAfterTheTransaction(PlainVariant):
    """Marks of minutes are written one transaction later than the events are counted as applied."""

    world = _ForgetsMarks


class _NothingPending(World):
    def begin(self, partition):
        super().begin(partition)
        self.sources[partition].partition.intraday.note_pending = lambda: None


class ForgetsPendingMinutes(PlainVariant):
    """A new owner does not know which minutes had not been published."""

    world = _NothingPending


class NoCompaction(PlainVariant):
    """The product as it is, on a broker whose cleaner never comes: to look into a seed."""

    @staticmethod
    def prepare(simulation):
        simulation.broker.compact = lambda _random: None


class _SendsBadItemsTwice(World):
    def _collect_items(self, source):
        source.totals.control_offsets.pop(ITEMS, None)
        return super()._collect_items(source)


class BadItemsTwice(PlainVariant):
    """Nothing remembers up to where the catalogue's records have been judged."""

    world = _SendsBadItemsTwice


MUTANTS = (
    OffsetsBeforeTheTransaction,
    CommitsWithoutPublishing,
    NoFencing,
    TotalsAfterTheTransaction,
    KeptOverAMissedGenerationUnfenced,
    PositionsOutliveTheirState,
    SettlesWhatIsNew,
    NeverSettles,
    PublishedAfterTheTransaction,
    LosesSingleFigures,
    RestatesAfterTheTransaction,
    TakeoversTellNoRestatements,
    MarksAfterTheTransaction,
    ForgetsPendingMinutes,
    BadItemsTwice,
)
