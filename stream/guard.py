"""When are so many records unreadable that something else must be wrong? Pure.

A producer that writes Avro into an event topic would send everything to the dead letters. Then a worker stops
instead, with the offsets where they are: nothing is lost and somebody looks. Refusals for their meaning never stop
it.
"""

from collections import deque

from schemas.errors import SmartError


class TooManyUndecodableError(SmartError):
    """More records than allowed were no JSON at all."""


class UndecodableGuard:
    """Counts the undecodable records of a topic partition over a window and in a row."""

    def __init__(self, topic: str, *, ratio_max: float, window_records: int, run_max: int) -> None:
        self._topic = topic
        self._ratio_max = ratio_max
        self._window = window_records
        self._run_max = run_max
        self._recent: deque[tuple[int, int]] = deque()
        self._records = self._undecodable = self._run = 0

    def check(self, records: int, undecodable: int) -> None:
        """Take in a chunk's counts. Raises TooManyUndecodableError where a limit is passed."""
        self._recent.append((records, undecodable))
        self._records += records
        self._undecodable += undecodable
        while self._recent and self._records - self._recent[0][0] >= self._window:
            old_records, old_undecodable = self._recent.popleft()
            self._records -= old_records
            self._undecodable -= old_undecodable
        self._run = self._run + records if records == undecodable else 0
        if self._run >= self._run_max:
            raise TooManyUndecodableError(
                f"{self._topic}: {self._run:,} records in a row are no JSON "
                f"(SMART_UNDECODABLE_RUN_RECORDS_MAX is {self._run_max:,}): look at what writes to this topic"
            )
        if self._records >= self._window and self._undecodable > self._ratio_max * self._records:
            raise TooManyUndecodableError(
                f"{self._topic}: {self._undecodable:,} of the last {self._records:,} records are no JSON "
                f"(SMART_UNDECODABLE_RATIO_MAX is {self._ratio_max:g}): look at what writes to this topic"
            )
