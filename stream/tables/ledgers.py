"""A Faust table that has no key-value store: its changelog is read, chunk by chunk, into a store of ours.

What is written to the changelog does not pass through the table either: it is part of what the committer collects for
the partition's transaction. `table[key] = value` is refused, since Faust would send it outside of the transaction.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Protocol

import faust

from stream.transport.chunk import Chunk


class LedgerStore(Protocol):
    """Where the records of a changelog go when a partition is taken over. Called from the main loop.

    begin · load … load · finish makes a partition complete; a rebalance in between starts it over with `drop` and
    `begin`.
    """

    def begin(self, partition: int) -> None:
        """Make room for `partition`; it is empty."""

    def load(self, partition: int, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        """Take the next records in the order of the log; of one key the last counts, a value of None deletes it."""

    async def finish(self, partition: int) -> None:
        """The changelog has been read to its end: make the partition ready for events, while others are read."""

    def drop(self, partition: int) -> None:
        """Forget `partition`, if there is anything of it."""


class LedgerTable(faust.Table[bytes, bytes]):
    """Table with the changelog topic `<application>-<name>-changelog` whose content lives in `ledger_store`."""

    def __init__(self, app: Any, *, name: str, ledger_store: LedgerStore, **options: Any) -> None:
        super().__init__(app, name=name, key_type=bytes, value_type=bytes, **options)
        self.ledger_store = ledger_store

    def begin(self, partitions: Iterable[int]) -> None:
        """Reading begins."""
        for partition in partitions:
            self.ledger_store.begin(partition)

    def load(self, chunk: Chunk) -> None:
        """Hand a chunk of the changelog on."""
        if len(chunk):
            self.ledger_store.load(chunk.partition, chunk.keys, chunk.values)

    async def finish(self, partition: int) -> None:
        """Reading has come to the partition's end."""
        await self.ledger_store.finish(partition)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget partitions."""
        for partition in partitions:
            self.ledger_store.drop(partition)

    async def on_start(self) -> None:
        """Nothing to open: there is no store of Faust's, and the changelog is made by the administrator."""

    def persisted_offset(self, tp: Any) -> None:
        """Nothing is on disk."""

    async def on_rebalance(self, *_args: Any, **_options: Any) -> None:
        """`stream.transport.recovery` does it."""

    def on_key_set(self, key: Any, value: Any) -> NoReturn:  # noqa: ARG002
        """Refuse: a write has to be part of a transaction."""
        raise TypeError(f"table {self.name} is written through the committer's collect()")

    def on_key_del(self, key: Any) -> NoReturn:
        """Refuse, as `on_key_set` does."""
        self.on_key_set(key, None)
