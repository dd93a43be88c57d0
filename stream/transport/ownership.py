"""Which partitions does this worker own, and of which does it still hold a state that nobody else can have advanced?

Pure: fed with the assignments of the consumer group and their generations, asked what to do.

A partition is *kept* over a rebalance when it was live here in generation g and is assigned here in generation g + 1.
The
group completes its generations one after another, so nobody else owned the partition in between: the state in memory,
its transactional producer and the position in the log are all still the newest, and nothing is read again. A worker
that missed a generation (stopped, cut off, thrown out) keeps nothing: its partitions are fenced and recovered from
the log. And should the reasoning ever fail, for instance because a coordinator counted generations anew, then another
owner has fenced the
producer: the broker refuses this worker's next transaction, so that a stale state can be kept but never be published;
the worker ends instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one rebalance means for this worker; the three sets are disjoint."""

    kept: frozenset[int]  # go on as before
    gained: frozenset[int]  # fence, then recover from the log
    lost: frozenset[int]  # forget

    @property
    def owned(self) -> frozenset[int]:
        """All partitions that are this worker's now."""
        return self.kept | self.gained


class Ownership:
    """Partitions of this worker over the generations of its group."""

    def __init__(self) -> None:
        self._generation: int | None = None
        self._live: set[int] = set()  # recovered, state in memory is the newest
        self._touched: set[int] = set()  # have a state or a producer here, whole or in part
        self._is_revoked = True
        self.current = Assignment(frozenset(), frozenset(), frozenset())

    def assign(self, partitions: Iterable[int], generation: int) -> Assignment:
        """A rebalance is done: `partitions` are this worker's in `generation`."""
        owned = frozenset(partitions)
        if self._generation is None or generation != self._generation + 1:
            self._live.clear()
        self._generation = generation
        self._is_revoked = False
        self._live &= owned
        self.current = Assignment(
            kept=frozenset(self._live), gained=owned - self._live, lost=frozenset(self._touched - owned)
        )
        return self.current

    def revoke(self) -> None:
        """A rebalance has begun: whatever is being taken over must not go on until the next `assign`."""
        self._is_revoked = True

    def holds(self, assignment: Assignment) -> bool:
        """Whether `assignment` is the newest one, and no rebalance has begun since."""
        return assignment is self.current and not self._is_revoked

    def begin(self) -> None:
        """The partitions gained are about to be fenced and recovered, those lost to be forgotten."""
        self._touched = set(self.current.owned)

    def recovered(self, partition: int) -> None:
        """The state of `partition` is the newest."""
        self._live.add(partition)

    @property
    def live(self) -> frozenset[int]:
        """Partitions whose state may be published."""
        return frozenset(self._live & self.current.owned)
