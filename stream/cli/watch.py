"""What a live view shows, gathered: the workers' metrics, the figures in the serving store, the rate between two
looks.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from schemas import metrics as m
from schemas.factors import FactorRecord
from serving.store import StoreError, StoreReader
from stream.cli.view import WorkerFigures

SHOPS_MAX: Final = 200
"""More are not asked for: a view shows the first few."""

_TIMEOUT_S: Final = 1.0
_SCOPES_EVERY: Final = 10
"""Looks between two walks through the store's keys."""
_SMOOTHING: Final = 0.5


def figures_of(pages: Sequence[str]) -> WorkerFigures:
    """The workers' metrics pages, added up."""
    totals: dict[str, float] = {}
    clocks: list[float] = []
    complete: list[float] = []
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
                if sample.name == m.CLOCK_SECONDS.name:
                    clocks.append(sample.value)
                elif sample.name == m.COMPLETE_THROUGH_SECONDS.name:
                    complete.append(sample.value)
    lag = totals.get(m.LAG_RECORDS.name)
    return WorkerFigures(
        up=len(pages),
        accepted=int(totals.get(m.EVENTS_ACCEPTED.name, 0)),
        refused=int(totals.get(m.EVENTS_REFUSED.name, 0)),
        skipped=int(totals.get(m.EVENTS_SKIPPED.name, 0)),
        lag_records=None if lag is None else int(lag),
        clock_ms=_milliseconds(max(clocks, default=0.0)),
        complete_through_ms=_milliseconds(min(complete, default=0.0)),
        partitions_owned=int(totals.get(m.PARTITIONS_OWNED.name, 0)),
    )


def _milliseconds(seconds: float) -> int | None:
    return round(seconds * 1_000) if seconds > 0 else None


async def read_workers(addresses: Iterable[str]) -> WorkerFigures:
    """What the workers at these host:port addresses say now; those that do not answer are left out."""
    pages = await asyncio.gather(*(asyncio.to_thread(_metrics_page, address) for address in addresses))
    return figures_of([page for page in pages if page is not None])


def _metrics_page(address: str) -> str | None:
    try:
        with urlopen(f"http://{address}/metrics", timeout=_TIMEOUT_S) as response:
            text: str = response.read().decode()
            return text
    except OSError:
        return None


@dataclass(slots=True)
class Rate:
    """Events per second between two looks, smoothed; a worker that starts anew counts from zero."""

    per_second: float = 0.0
    _total: int = 0
    _at_s: float | None = None

    def look(self, total: int, now_s: float) -> float:
        """The rate now that the total is this."""
        if self._at_s is not None and now_s > self._at_s:
            current = max(total - self._total, 0) / (now_s - self._at_s)
            self.per_second += _SMOOTHING * (current - self.per_second)
        self._total, self._at_s = total, now_s
        return self.per_second


@dataclass(slots=True)
class StoreWatch:
    """The figures of the market and the shops, as the store has them now."""

    reader: StoreReader
    window_days: int
    _scopes: list[str] = field(default_factory=list)
    _looks: int = 0

    async def look(self) -> tuple[list[FactorRecord], str]:
        """(records of the period, "") or (nothing, why not)."""
        try:
            if self._looks % _SCOPES_EVERY == 0 or len(self._scopes) <= 1:
                shops = [scope for scope in await self.reader.scopes("shop=*") if "|" not in scope]
                self._scopes = ["market", *shops[:SHOPS_MAX]]
            self._looks += 1
            found = await self.reader.newest_of(self._scopes)
        except StoreError as error:
            return [], str(error)
        return [one for records in found.values() for one in records if one.window_days == self.window_days], ""
