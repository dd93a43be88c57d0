"""The topic of items: what a worker knows of it, and what has to go out about it. Without I/O.

Every worker reads all of it; the owner of partition 0 judges each record once, since its state says up to where they
have been judged. A record that is refused, or older than the version in force, changes nothing. But compaction keeps
the last record of a key, whichever that is: so the version in force, or the tombstone, is written again behind it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from processors.calendar import NO_DAY, date_of
from processors.catalogue import Catalogue, OnSale
from processors.decode.fields import RefusedError
from processors.decode.items import decode_item
from schemas.item import Item
from schemas.refusals import Code
from schemas.scopes import Scope
from schemas.store import NO_DATE, on_sale_key
from schemas.topics import ITEMS
from stream.control import ControlRecord, dead_letter
from stream.files import InputFiles
from stream.transport.committer import Outgoing

_AT_A_TIME: Final = 5_000


@dataclass
class Judged:
    """What has to go out."""

    letters: list[Outgoing] = field(default_factory=list)
    restored: list[Outgoing] = field(default_factory=list)
    """Versions in force that something else has been written over."""
    next_offset: int = 0
    """All records below have been judged."""


class _Setback(NamedTuple):
    """A record that is not in force."""

    offset: int
    item_id: bytes
    refused: tuple[ControlRecord, RefusedError] | None = None
    """The record and why; None where it is only older."""


class CatalogueLog:
    """The records of the topic, as far as they are needed, and what they say together."""

    def __init__(self, application_id: str, max_items: int) -> None:
        self.catalogue = Catalogue(max_items)
        self._application_id = application_id
        self._setbacks: list[_Setback] = []
        self._next_offset = 0

    def note(self, record: ControlRecord) -> None:
        """Take in a record, in the order of the topic."""
        self._next_offset = record.offset + 1
        if record.value is None:
            self.catalogue.delete(record.key or b"")
            return
        try:
            item = decode_item(record.value, record.key or b"")
        except RefusedError as error:
            self._setbacks.append(_Setback(record.offset, record.key or b"", (record, error)))
            if record.key:
                self.catalogue.note_unreadable(record.key)
            return
        if not self.catalogue.note(item):
            self._setbacks.append(_Setback(record.offset, item.item_id))

    def collect(self, judged_below: int) -> Judged:
        """What follows from the records from an offset on."""
        self._setbacks = [one for one in self._setbacks if one.offset >= judged_below]
        names = dict.fromkeys(one.item_id for one in self._setbacks)
        return Judged(
            [
                dead_letter(record, error.code, error.field, connector_name=self._application_id)
                for record, error in (one.refused for one in self._setbacks if one.refused is not None)
            ],
            [
                Outgoing(ITEMS, 0, name, item.record().encode() if item is not None else None)
                for name in names
                if (item := self.catalogue.item(name)) is not None or self.catalogue.is_deleted(name)
            ],
            self._next_offset,
        )


def on_sale_fields(on_sale: OnSale) -> tuple[str, dict[str, bytes | None]]:
    """(key, fields) of the serving store for the numbers of a shop's items on sale; None where there are none left."""
    fields = {
        date_of(day).isoformat() if day != NO_DAY else NO_DATE: str(n).encode() if n else None
        for day, n in on_sale.by_day.items()
    }
    return on_sale_key(Scope(on_sale.shop).name), fields


def read_items(files: InputFiles, refused: Counter[Code]) -> Iterator[list[Item]]:
    """The items of files (JSON lines), some at a time; counts by code the lines that are none."""
    some: list[Item] = []
    for line in _lines(files):
        try:
            some.append(decode_item(line))
        except RefusedError as error:
            refused[error.code] += 1
        if len(some) == _AT_A_TIME:
            yield some
            some = []
    if some:
        yield some


def _lines(files: InputFiles) -> Iterable[bytes]:
    return filter(None, map(bytes.strip, files.lines()))
