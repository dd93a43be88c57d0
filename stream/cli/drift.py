"""`smart verify --every`: runs one after another beside a system that goes on, and what they find as metrics.

What a run has found is looked at again by the next one, whatever its share: so the metrics tell what is wrong now. A
difference of the store counts when two runs in a row have found it, since a takeover may hold the store up for longer
than a run waits for it.
"""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import structlog
from aiokafka.errors import KafkaError

from processors.audit import LIVE, PAGES, STORE, Difference
from processors.rotation import Turn
from schemas import metrics as m
from schemas.errors import SmartError
from schemas.settings import Settings
from serving.store import StoreReader
from stream.cli import stored
from stream.metrics import Metrics
from stream.verify import TOTALS, Options, Verified, Verifier, suspects_of

log = structlog.get_logger(__name__)

Said = Callable[[Verified], None]


class Rhythm(NamedTuple):
    """When runs begin, how much each compares, and how many there are."""

    every_s: float
    share: float
    runs: int | None


class Drift:
    """Counts what runs find. Pure but for the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._round_began_s: float | None = None
        self._unconfirmed: set[Difference] = set()
        self.suspects: list[Difference] = []
        """What the next run has to look at again."""

    def note(self, turn: Turn, found: Verified, began_s: float, ended_s: float, cpu_s: float) -> None:
        """A run has ended; of its differences in the store those stay that are found for the second time."""
        of_store = {one for one in found.differences if one.place in {STORE, PAGES}}
        confirmed = of_store & self._unconfirmed
        self._unconfirmed = of_store
        self.suspects = [*found.differences, *found.moving]
        found.moving += sorted(of_store - confirmed)
        found.differences = [one for one in found.differences if one not in of_store or one in confirmed]
        metrics, by_place = self._metrics, Counter(one.place for one in found.differences)
        metrics.count(m.VERIFY_RUNS)
        metrics.count(m.VERIFY_SCOPES, len(found.days))
        metrics.count(m.VERIFY_RECORDS, found.records)
        for place in (LIVE, STORE, PAGES, TOTALS):
            metrics.set(m.VERIFY_DIFFERENCES, by_place[place], place=place)
        metrics.set(m.VERIFY_UNJUDGED, len(found.moving))
        metrics.set(m.VERIFY_RUN_SECONDS, ended_s - began_s)
        metrics.set(m.VERIFY_CPU_SECONDS, cpu_s)
        metrics.set(m.VERIFY_RUN_TIMESTAMP, ended_s)
        if turn.begins_round:
            self._round_began_s = began_s
        if turn.ends_round and self._round_began_s is not None:
            metrics.set(m.VERIFY_ROUND_TIMESTAMP, self._round_began_s)

    def failed(self) -> None:
        """A run could not be done: its round does not count as whole."""
        self._metrics.count(m.VERIFY_FAILURES)
        self._round_began_s = None


async def follow(
    settings: Settings, options: Options, rhythm: Rhythm, metrics: Metrics, said: Said, *, store: bool
) -> None:
    """Verify until told to stop (TERM, Ctrl-C) or the runs are done. Raises VerifyError where it cannot begin."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runs = asyncio.create_task(_run(settings, options, rhythm, Drift(metrics), said, store=store))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((runs, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    runs.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await runs


async def _run(settings: Settings, options: Options, rhythm: Rhythm, drift: Drift, said: Said, *, store: bool) -> None:
    number, cpu_s = 0, time.process_time()
    async with (
        Verifier(settings, options) as verifier,
        StoreReader(settings.redis_url.get_secret_value()) as reader,
    ):
        while rhythm.runs is None or number < rhythm.runs:
            turn, began_s = Turn(number, rhythm.share), time.time()
            try:
                found = await verifier.turn(turn, suspects_of(drift.suspects))
                if store:
                    await stored.compare(reader, verifier, found, lambda *_: None)
            except (SmartError, KafkaError, OSError) as error:
                drift.failed()
                log.warning("a run of the verification was broken off", reason=str(error))
            else:
                used_s, cpu_s = time.process_time() - cpu_s, time.process_time()
                drift.note(turn, found, began_s, time.time(), used_s)
                said(found)
                number += 1
            await asyncio.sleep(max(began_s + rhythm.every_s - time.time(), 0))
