"""What time is it, and up to when are figures complete? Shared by all workers through the control topic `clock`. Pure.

Wall clock: the worker's own. Event clock (replays): the greatest accepted event time over all partitions; idle
partitions follow it. Each partition's owner reports how far it has come in every transaction, so all workers come to
the same answer.
"""

from typing import Final, Literal

from processors.calendar import DAY_MS
from schemas.control import ClockRecord

_EASTERNMOST_MS: Final = 14 * 3_600_000
"""The first zone to see a new date is UTC+14."""


class SharedClock:
    """Fed with the partitions' reports and own events; asked for instants in milliseconds since the epoch."""

    def __init__(self, kind: Literal["wall", "event"], partitions: int) -> None:
        self.is_wall = kind == "wall"
        self._partitions = partitions
        self._reports: dict[int, ClockRecord] = {}
        self._greatest_ms = 0

    def note(self, report: ClockRecord) -> None:
        """A partition's newest report."""
        self._reports[report.partition] = report
        self.note_event(report.accepted_ms or 0)

    def note_event(self, event_ms: int) -> None:
        """An event of this time has been accepted here."""
        self._greatest_ms = max(self._greatest_ms, event_ms)

    def now_ms(self, wall_ms: int) -> int:
        """The instant that figures are of; 0 in the event clock before the first event."""
        return wall_ms if self.is_wall else self._greatest_ms

    def complete_through_ms(self, *, crossed: bool = False) -> int | None:
        """The smallest, over partitions, of the greatest applied event time; None while a partition has not reported.

        A partition without lag counts as at the clock: in the wall clock as of its report. crossed: of what figures of
        crossed scopes include.
        """
        if len(self._reports) < self._partitions:
            return None
        return min((self._reach_ms(report, crossed=crossed) for report in self._reports.values()), default=None)

    def first_date(self) -> int | None:
        """The first business date with data over all partitions, as days since 1970-01-01."""
        return min((r.first_date for r in self._reports.values() if r.first_date is not None), default=None)

    def _reach_ms(self, report: ClockRecord, *, crossed: bool) -> int:
        if crossed and report.crossed_ms is not None:
            return report.crossed_ms
        watermark_ms = report.watermark_ms or 0
        if not report.caught_up:
            return watermark_ms
        return max(watermark_ms, report.at_ms if self.is_wall else self._greatest_ms)


def latest_day(now_ms: int) -> int:
    """The latest day number that any zone can have at an instant."""
    return (now_ms + _EASTERNMOST_MS) // DAY_MS + 1
