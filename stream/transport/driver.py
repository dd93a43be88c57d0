"""The transport that Faust finds under the URL scheme `chunks://`."""

from stream.transport import unpack
from stream.transport.consumer import ChunkConsumer
from stream.transport.private import TRANSPORTS, driver, fetcher
from stream.transport.producer import BatchProducer


class ChunkTransport(driver.Transport):
    """Kafka through aiokafka, with chunks coming in and transactions going out."""

    Consumer = ChunkConsumer
    Producer = BatchProducer


def install() -> None:
    """Register the scheme, and let consumers that ask for chunks have them. May be called many times."""
    TRANSPORTS.aliases["chunks"] = "stream.transport.driver:ChunkTransport"
    fetcher.PartitionRecords = unpack.ChunkRecords
