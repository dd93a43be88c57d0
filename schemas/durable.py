"""Durable forms besides ledger segments: dictionary blocks and a partition's totals.

A partition's numbers for names mean nothing outside it, so its dictionaries lie in the same changelog as its ledgers:
the names that a commit interval brought, a block a record, written once, in the transaction of the first segment that
uses them. The totals say how far the source topics have been applied and what became of every record; they are in the
same transaction too, so accepted + refused = consumed survives any crash. Every value begins with a version byte and
ends with the CRC-32 of what is before.
"""

import zlib
from typing import Final

import msgspec

VERSION: Final = 1
BLOCK_PREFIX: Final = b"D"
TOTALS_KEY: Final = b"T"


class DurableError(ValueError):
    """A changelog record that this version cannot read; the worker must not go on from it."""


class DictionaryBlock(msgspec.Struct, array_like=True, frozen=True):
    """Names (or products) with consecutive numbers."""

    kind: str
    first: int
    names: list[bytes] = []
    zones: list[str] = []
    """Of shops: the zone of each, fixed at its first event."""
    triples: bytes = b""
    """Of products: item, category and brand number of each, 32-bit little-endian."""


class TopicTotals(msgspec.Struct):
    """What became of one source topic's records in this partition."""

    next_offset: int = 0
    """The first offset that has not been applied."""
    accepted: int = 0
    refused: dict[str, int] = {}
    """Refusal code → records."""


class Totals(msgspec.Struct):
    """A partition's durable book-keeping."""

    topics: dict[str, TopicTotals] = {}
    figures: str = ""
    """What decides the content of pages (windows, scopes, default zone), in words; "" before the first event."""
    watermark_ms: int = -1
    """Greatest applied event time; -1 before the first event."""
    first_day: int = 0
    """Day number of the first business date with data, 0 without."""
    today: int = 0
    """Day number towards which pages were kept: it decides what their base holds."""
    published_through_page: int = -1
    """Difference pages up to this number have been published."""
    aggregated_day: int = 0
    """Day number up to which every new date of the scopes placed here has been published, 0 for none."""
    aggregated_before: int = 0
    """Offset of the pages topic below which what every page says has been published."""


def _sealed(body: bytes) -> bytes:
    value = bytes([VERSION]) + body
    return value + zlib.crc32(value).to_bytes(4, "little")


def _opened(value: bytes, what: str) -> bytes:
    if len(value) < 5 or value[0] != VERSION:
        raise DurableError(f"{what} has version {value[0] if value else 'none'}, this program reads {VERSION}")
    if zlib.crc32(value[:-4]) != int.from_bytes(value[-4:], "little"):
        raise DurableError(f"{what} has a wrong checksum: restore the changelog topic")
    return value[1:-4]


_encode = msgspec.msgpack.Encoder().encode
_decode_block = msgspec.msgpack.Decoder(DictionaryBlock).decode
_decode_totals = msgspec.msgpack.Decoder(Totals).decode


def is_block(key: bytes) -> bool:
    """Whether a changelog key is a dictionary block's."""
    return key[:1] == BLOCK_PREFIX


def encode_block(block: DictionaryBlock) -> tuple[bytes, bytes]:
    """Key and value of a dictionary block."""
    return b"%b%b|%d" % (BLOCK_PREFIX, block.kind.encode(), block.first), _sealed(_encode(block))


def decode_block(key: bytes, value: bytes) -> DictionaryBlock:
    """The block of a record. Raises DurableError."""
    return _decode_block(_opened(value, f"dictionary block {key[1:16]!r}"))


def encode_totals(totals: Totals) -> tuple[bytes, bytes]:
    """Key and value of a partition's totals."""
    return TOTALS_KEY, _sealed(_encode(totals))


def decode_totals(value: bytes) -> Totals:
    """The totals of a record. Raises DurableError."""
    return _decode_totals(_opened(value, "totals"))
