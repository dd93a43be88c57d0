"""Batch transport: Faust agents get micro-batches of a partition, and publish in transactions of that partition.

What it promises on real Kafka: every record reaches an agent at least once and in the order of its partition, with
exact offsets; offsets are committed only after the transaction that holds their effect; a worker that lost its
partitions can publish nothing; brokers may go away and come back. With a state that remembers the offsets it has
applied, counts are exact.

    from stream.tables.ledgers import LedgerTable
    from stream.transport import BatchApp, Bulk, TransportOptions

    app = BatchApp("smart", options=TransportOptions(brokers="127.0.0.1:9092", expected_topics={"events.browse": 8}))
    app.committer = MyCommitter()                       # see Committer: assigned, revoked, collect, committed
    app.tables.add(LedgerTable(app, name="ledgers", ledger_store=MyStore()))      # topic smart-ledgers-changelog
    browse = app.chunk_topic("events.browse")           # pages: chunk_topic(name, from_start=True, compacted=True)

    @app.agent(browse)
    async def fold(stream):
        async for event in stream.noack().events():
            chunk = event.value                         # Chunk: values, keys, offsets, timestamps_ms, headers, first,
            last state[chunk.partition].fold(chunk)          # skips offsets below those it has applied; no await in
            between event.ack()                                 # only now: its effect will be in the next collect()

    app.main()                                          # python -m … worker -l info

A chunk may be empty (markers or aborted records only): acknowledge it all the same. An agent or `collect` that raises
ends the process with one of the codes of `ExitCode`. May import schemas; knows nothing of what is counted.
"""

from stream.transport.app import BatchApp
from stream.transport.chunk import Chunk
from stream.transport.committer import Bulk, Committer, Outgoing
from stream.transport.exits import ExitCode, die
from stream.transport.options import TransportOptions
from stream.transport.topics import TopicsError, check_topics

__all__ = [
    "BatchApp",
    "Bulk",
    "Chunk",
    "Committer",
    "ExitCode",
    "Outgoing",
    "TopicsError",
    "TransportOptions",
    "check_topics",
    "die",
]
