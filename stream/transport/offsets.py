"""Which offset of a partition may be committed? Book-keeping by chunk; pure, the consumer feeds it.

A chunk is *delivered* to an agent, *acknowledged* when its records are in the state, and *committed* once the
transaction that holds that state and then the offset commit have succeeded. Nothing is forgotten before that, so a
failed commit is simply tried again. What was delivered before a rebalance and acknowledged after it counts for
nothing: deliveries are told apart by identity, not by offset.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Delivery:
    """One chunk handed to an agent: offsets `first` … `last`, both inclusive."""

    first: int
    last: int
    acknowledged: bool = False


class OffsetBook:
    """Deliveries of one partition, in the order of the log."""

    __slots__ = ("_open", "committed", "done", "position")

    def __init__(self) -> None:
        self._open: deque[Delivery] = deque()  # begins with a delivery that is not acknowledged
        self.position: int | None = None  # offset that the next chunk should begin with
        self.done: int | None = None  # everything below it has been acknowledged
        self.committed: int | None = None  # next offset to read, as the broker has it

    def deliver(self, first: int, last: int) -> tuple[Delivery, int]:
        """Note a chunk; return it, and how many offsets before it were never delivered.

        That is 0 unless retention cut the log under the reader, and negative where the log was cut back and is read
        again.
        """
        skipped = first - self.position if self.position is not None else 0
        while self._open and self._open[-1].last >= first:
            self._open.pop()  # the newer delivery counts
        delivery = Delivery(first, last)
        self._open.append(delivery)
        self.position = last + 1
        return delivery, skipped

    def acknowledge(self, delivery: Delivery) -> None:
        """The records of `delivery` are in the state. Without effect when it was made before the last `seek`."""
        delivery.acknowledged = True
        while self._open and self._open[0].acknowledged:
            self.done = max(self._open.popleft().last + 1, self.done or 0)

    def committable(self) -> int | None:
        """Offset to commit now, None when there is nothing new. Never below what is committed."""
        if self.done is None or (self.committed is not None and self.done <= self.committed):
            return None
        return self.done

    def commit(self, end: int) -> None:
        """The broker has taken `end` as the committed offset."""
        self.committed = end

    def seek(self, position: int | None, committed: int | None) -> None:
        """Start anew: reading goes on at `position` (None = wherever the log begins)."""
        self._open.clear()
        self.position = self.done = position
        self.committed = committed
