"""Restatements of the scopes placed in a partition: numbered, told within a bound, the newest of each scope kept.

What is kept lies in the partition's changelog too, in the transaction of the figures that it is about. So a number is
given once, whoever owns the partition, and a store that has lost its data is given the newest ones again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from processors.calendar import date_of
from processors.restated import Restated
from schemas.durable import PublishedScope
from schemas.restatements import RestatementRecord, columns

TOLD_A_MINUTE: Final = 20_000
"""So many restated figures a partition tells in a minute of the clock; history that is played in restates millions."""
KEPT: Final = 32
"""So many records of a scope are kept, the newest ones …"""
KEPT_BYTES: Final = 64 << 10
"""… as long as they take no more than this."""


class Told(NamedTuple):
    """What is told of a scope."""

    records: list[RestatementRecord]
    kept: list[tuple[int, bytes | None]]
    """(number, record, or None to forget it)."""
    untold: int
    """Restated figures beyond the bound."""


class Restatements:
    """State: what is kept, and what of the minute's bound is left."""

    def __init__(self, published: Mapping[str, PublishedScope]) -> None:
        """published: what a former owner has kept."""
        self._kept = {name: dict(sorted(scope.restatements.items())) for name, scope in published.items()}
        self._minute = -1
        self._left = TOLD_A_MINUTE

    def tell(self, scope: str, restated: Sequence[Restated], now_ms: int, restated_at: str) -> Told:
        """Number what has changed of a scope and keep it; what is beyond the bound is only counted."""
        told = Told([], [], 0)
        if now_ms // 60_000 != self._minute:
            self._minute, self._left = now_ms // 60_000, TOLD_A_MINUTE
        for one in restated:
            if len(one.days) > self._left:
                told = told._replace(untold=told.untold + len(one.days))
                continue
            self._left -= len(one.days)
            record = self._record(scope, one, restated_at)
            told.records.append(record)
            told.kept.extend(self._keep(scope, record))
        return told

    def kept(self, scope: str) -> list[tuple[int, bytes]]:
        """(number, record) of the newest ones of a scope."""
        return list(self._kept.get(scope, {}).items())

    def _record(self, scope: str, one: Restated, restated_at: str) -> RestatementRecord:
        before, after = columns(one.before.T.tolist(), one.after.T.tolist())
        return RestatementRecord(
            scope=scope,
            number=max(self._kept.get(scope, ()), default=0) + 1,
            window_days=one.window_days,
            currency=one.currency,
            restated_at=restated_at,
            as_of=[date_of(day).isoformat() for day in one.days.tolist()],
            before=before,
            after=after,
        )

    def _keep(self, scope: str, record: RestatementRecord) -> Iterator[tuple[int, bytes | None]]:
        kept = self._kept.setdefault(scope, {})
        kept[record.number] = value = record.encode()
        yield record.number, value
        while len(kept) > KEPT or (len(kept) > 1 and sum(map(len, kept.values())) > KEPT_BYTES):
            oldest = next(iter(kept))
            del kept[oldest]
            yield oldest, None
