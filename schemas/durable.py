"""Durable forms besides ledger segments: dictionary blocks, a partition's totals, and what it has published.

A partition's numbers for names mean nothing outside it, so its dictionaries lie in the same changelog as its ledgers:
the names that a commit interval brought, a block a record, written once, in the transaction of the first segment that
uses them. The totals say how far the source topics have been applied and what became of every record; they are in the
same transaction too, so accepted + refused = consumed survives any crash.

What has been published of the scopes placed in a partition lies beside them, in the transaction of the very figures:
the total pages that the figures were of, the dates between which each scope has figures, its newest restatements, and
how far the pages topic had been read. Whoever takes the partition over compares that with what the pages say now, and
publishes the difference.

Pages of crossed scopes are not published by every transaction: those that wait for their turn lie there as well, so
that the next owner knows which have changed since they went out.

The listing dates by which a partition has counted lie there too, some items a record: the catalogue may have moved on
meanwhile, and figures that are counted anew have to be those that were published.

Every value begins with a version byte and ends with the CRC-32 of what is before.
"""

import zlib
from typing import Final

import msgspec

VERSION: Final = 1
BLOCK_PREFIX: Final = b"D"
TOTALS_KEY: Final = b"T"
PUBLISHED_PREFIX: Final = b"P"
MARKS_PREFIX: Final = b"M"
"""Of a user's active minutes of a day (`processors.intraday.records`)."""
INTRADAY_KEY: Final = b"I"
LISTED_PREFIX: Final = b"N"
"""Of the listing dates of some items."""
WAITING_PREFIX: Final = b"W"
"""Of pages of crossed scopes that have changed and wait for their turn to be published."""
PUBLISHED_BEFORE_KEY: Final = b"PB"
_PAGE_PREFIX: Final = b"PP"
_DAY_PREFIX: Final = b"PD"
_RESTATED_PREFIX: Final = b"PR"


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
    crossed_ms: int = -1
    """Greatest event time that all published pages of crossed scopes include; -1 before the first event."""
    waiting_records: int = 0
    """Records that tell of pages which wait for their turn; 0: everything has been published."""
    control_offsets: dict[str, int] = {}
    """Of partition 0: control topic → the first offset at which no record has been judged."""


class IntradayState(msgspec.Struct):
    """How far a partition has come with its minutes. Hours and minutes are numbered since 1970, UTC."""

    floor_minute: int = 0
    """Minutes before this one have been forgotten."""
    through_hour: int = -1
    """Pages of hours up to this one have been published, …"""
    pending_hour: int = 0
    """… but from this hour on not all that has changed."""


class PublishedScope(msgspec.Struct):
    """The figures of a scope as they were published last."""

    since: int = 0
    """Day number of the first date that has ever been given figures; 0 for none."""
    day: int = 0
    """Day number up to which every date has figures; 0 for none."""
    pages: dict[int, bytes] = {}
    """Page number → the total page that they were of."""
    restatements: dict[int, bytes] = {}
    """Number → record of the newest restatements."""


class PublishedFigures(msgspec.Struct):
    """What has been published of the scopes placed in a partition."""

    before: int = 0
    """Offset of the pages topic below which every page had been read."""
    scopes: dict[str, PublishedScope] = {}

    def load(self, key: bytes, value: bytes | None) -> None:
        """Take in a record, in the order of the log. Raises DurableError."""
        if key == PUBLISHED_BEFORE_KEY:
            self.before = _decode_number(_opened(value or b"", "published offset"))
            return
        kind, name = key[:2], key[2:].decode()
        if kind == _DAY_PREFIX:
            scope = self._scope(name)
            scope.since, scope.day = _decode_numbers(_opened(value or b"", "published dates"))
        elif kind == _PAGE_PREFIX:
            name, _, number = name.rpartition("|")
            pages = self._scope(name).pages
            if value is None:
                pages.pop(int(number), None)
            else:
                pages[int(number)] = value
        elif kind == _RESTATED_PREFIX:
            name, _, number = name.rpartition("|")
            restatements = self._scope(name).restatements
            if value is None:
                restatements.pop(int(number), None)
            else:
                restatements[int(number)] = _opened(value, "restatement")
        else:
            raise DurableError(f"changelog record of unknown kind {kind!r}")

    def _scope(self, name: str) -> PublishedScope:
        return self.scopes.setdefault(name, PublishedScope())


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
_decode_intraday = msgspec.msgpack.Decoder(IntradayState).decode
_decode_number = msgspec.msgpack.Decoder(int).decode
_decode_numbers = msgspec.msgpack.Decoder(tuple[int, int]).decode


def is_block(key: bytes) -> bool:
    """Whether a changelog key is a dictionary block's."""
    return key[:1] == BLOCK_PREFIX


def encode_block(block: DictionaryBlock) -> tuple[bytes, bytes]:
    """Key and value of a dictionary block."""
    return b"%b%b|%d" % (BLOCK_PREFIX, block.kind.encode(), block.first), _sealed(_encode(block))


def decode_block(key: bytes, value: bytes) -> DictionaryBlock:
    """The block of a record. Raises DurableError."""
    return _decode_block(_opened(value, f"dictionary block {key[1:16]!r}"))


def encode_waiting(number: int, pages: bytes | None) -> tuple[bytes, bytes | None]:
    """Key and value of pages that wait: for each the key of its row and its number, 64-bit little-endian; a tombstone
    where they have been published.
    """
    return b"%b%d" % (WAITING_PREFIX, number), _sealed(pages) if pages is not None else None


def decode_waiting(key: bytes, value: bytes | None) -> tuple[int, bytes]:
    """(number of the record, pages); none of a tombstone. Raises DurableError."""
    pages = _opened(value, "pages that wait") if value is not None else b""
    return int(key[len(WAITING_PREFIX) :]), pages


def encode_listed(first: int, days: bytes) -> tuple[bytes, bytes | None]:
    """Key and value of the listing days of the items first, first + 1, …: 32-bit little-endian, 0 = not known; a
    tombstone where none is.
    """
    return b"%b%d" % (LISTED_PREFIX, first), _sealed(days) if any(days) else None


def decode_listed(key: bytes, value: bytes | None) -> tuple[int, bytes]:
    """(first item, days) of a record; no days of a tombstone. Raises DurableError."""
    days = _opened(value, "listing dates") if value is not None else b""
    return int(key[len(LISTED_PREFIX) :]), days


def encode_totals(totals: Totals) -> tuple[bytes, bytes]:
    """Key and value of a partition's totals."""
    return TOTALS_KEY, _sealed(_encode(totals))


def decode_totals(value: bytes) -> Totals:
    """The totals of a record. Raises DurableError."""
    return _decode_totals(_opened(value, "totals"))


def encode_intraday(state: IntradayState) -> tuple[bytes, bytes]:
    """Key and value of how far a partition has come with its minutes."""
    return INTRADAY_KEY, _sealed(_encode(state))


def decode_intraday(value: bytes) -> IntradayState:
    """That state of a record. Raises DurableError."""
    return _decode_intraday(_opened(value, "state of the minutes"))


def is_published(key: bytes) -> bool:
    """Whether a changelog key tells what has been published."""
    return key[:1] == PUBLISHED_PREFIX


def encode_published_before(offset: int) -> tuple[bytes, bytes]:
    """Key and value of how far the pages topic had been read."""
    return PUBLISHED_BEFORE_KEY, _sealed(_encode(offset))


def encode_published_dates(scope: str, since: int, day: int) -> tuple[bytes, bytes]:
    """Key and value of the first date that a scope has ever had figures of, and of the last one."""
    return _DAY_PREFIX + scope.encode(), _sealed(_encode((since, day)))


def published_page_key(scope: str, number: int) -> bytes:
    """Key of a total page that figures were of; its value is the page, which has a version and a checksum itself."""
    return b"%b%b|%d" % (_PAGE_PREFIX, scope.encode(), number)


def encode_published_restatement(scope: str, number: int, record: bytes | None) -> tuple[bytes, bytes | None]:
    """Key and value of a restatement that is kept; None forgets it."""
    return b"%b%b|%d" % (_RESTATED_PREFIX, scope.encode(), number), None if record is None else _sealed(record)
