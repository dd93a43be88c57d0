"""What the application promises to the transport, and what goes into a transaction."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from stream.transport.chunk import Header

Pair = tuple[bytes | None, bytes | None]


class Bulk(NamedTuple):
    """Many records for one partition of one topic: (key, value) pairs, a value of None being a tombstone."""

    topic: str
    partition: int
    records: Sequence[Pair]


class Outgoing(NamedTuple):
    """One record with all that a record can have; `timestamp_ms` None = now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()
    timestamp_ms: int | None = None


Records = Iterable[Bulk | Outgoing | tuple[str, int, Sequence[Pair]]]


class Committer(Protocol):
    """The application's side of a commit. The transport calls it from the main loop, never twice at a time for a
    partition.

    Order at a rebalance: `revoked` · producers of the gained partitions fence · `assigned` · the tables' stores are
    filled · sources are read. Order at each interval, for each owned partition: offsets that are acknowledged are
    noted · `collect` · one transaction · `committed` · the offsets noted are committed. So a committed offset never
    exceeds what a transaction holds; the other way round is possible after a crash, and records delivered again below
    the state's own offsets must be skipped by the application.
    """

    async def assigned(self, partitions: frozenset[int], kept: frozenset[int]) -> None:
        """`partitions` are owned from now on; the `kept` go on with their state, the rest is about to be read."""

    async def revoked(self) -> None:
        """A rebalance has begun: nothing is asked for until the partitions assigned next are recovered."""

    def goes_on_at(self, topic: str, partition: int) -> int | None:
        """Offset of a source at which the recovered state goes on; None: it does not say, the committed offset does."""

    async def collect(self, partition: int) -> Records:
        """Everything of `partition` that changed since the last call, for one transaction; empty = no transaction.

        What it returns counts as taken: when the transaction fails, the worker ends.
        """

    async def collect_early(self, partition: int) -> Records:
        """What of `partition` need not wait for the next commit, for a transaction of its own; asked for by
        `consumer.publish_early`. It must be safe to publish it again.
        """

    async def committed(self, partition: int) -> None:
        """The transaction with what `collect` last returned for `partition` has committed."""

    async def committed_early(self, partition: int) -> None:
        """The same for `collect_early`."""


class NothingToCommit:
    """Committer of an application that publishes nothing; offsets are committed all the same."""

    async def assigned(self, partitions: frozenset[int], kept: frozenset[int]) -> None:
        """Nothing to prepare."""

    async def revoked(self) -> None:
        """Nothing to end."""

    def goes_on_at(self, topic: str, partition: int) -> int | None:  # noqa: ARG002
        """There is no state."""
        return None

    async def collect(self, partition: int) -> Records:  # noqa: ARG002
        """Nothing to publish."""
        return ()

    async def collect_early(self, partition: int) -> Records:  # noqa: ARG002
        """Nothing to publish."""
        return ()

    async def committed(self, partition: int) -> None:
        """Never called."""

    async def committed_early(self, partition: int) -> None:
        """Never called."""
