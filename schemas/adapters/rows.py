"""What all tabular formats share: rows by column name, ids from row contents, and where a broken row is reported.

A table's rows come in order; several files may follow each other as one input, each with its header or none with one.
`event_id` is the format, a hash of the row's cells and its n-th occurrence in the input, so that the same input always
gives the same events, however its lines end or are quoted.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from operator import itemgetter
from typing import Final, NamedTuple

from schemas.event import EVENT_MS_MAX, Event
from schemas.refusals import Code, Refusal


class Native(NamedTuple):
    """One native event as it goes to Kafka. `key` is None where no user can be read (native input only)."""

    key: bytes | None
    value: bytes


Adapter = Callable[[Iterable[str], str], Iterator[Native | Refusal]]
"""(rows, shop id for formats without one) → events and refusals; `Refusal.record` is the row's number, from 1."""

CELL_SEPARATOR: Final = "\x1f"
HASH_BYTES: Final = 12


class RowError(Exception):
    """A row that cannot become an event: the code, and the native field at fault."""

    def __init__(self, code: Code, field: str) -> None:
        super().__init__(f"{code}: {field}")
        self.code: Final = code
        self.field: Final = field


class Row(NamedTuple):
    """One row of a table."""

    number: int
    """From 1; headers count."""
    event_id: str
    cells: tuple[str, ...]
    """The cells that the format needs, in the order asked."""
    table: Table
    """The form that it has."""


@dataclass(frozen=True)
class Table:
    """The form of a data set. A header may order its columns in another way and leave out those not needed."""

    format_name: str
    layout: tuple[str, ...]
    """All columns, as they stand where there is no header."""
    needed: tuple[str, ...]
    """The columns that the format reads, two at least."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of a column → its name in `layout`."""

    def rows(self, lines: Iterable[str]) -> Iterator[Row | Refusal]:
        """Every row with its needed cells and its event id, as of `rows_of`."""
        return rows_of(lines, [self])

    @cached_property
    def names(self) -> dict[str, str]:
        """What a header may call a column, in small letters → its name in `layout`."""
        columns = {name.casefold(): name for name in self.layout}
        return columns | {alias.casefold(): name for alias, name in self.aliases.items()}

    def places(self, header: Sequence[str]) -> list[int] | None:
        """Where the needed columns stand under a header; None where it does not have them all."""
        found = [self.names.get(_name(cell)) for cell in header]
        return [found.index(name) for name in self.needed] if set(self.needed) <= set(found) else None


def rows_of(lines: Iterable[str], tables: Sequence[Table]) -> Iterator[Row | Refusal]:
    """Every row of an input in which tables of several forms of one format follow each other.

    A row that names all needed columns of a form is a header, wherever it stands, and the rows after it have that form;
    the one that needs most, if there are several. Without a header rows have the first form. A row with too few cells,
    or that is no CSV at all, is refused; empty rows are passed over.
    """
    table = tables[0]
    needed_cells = itemgetter(*map(table.layout.index, table.needed))
    names = {name for one in tables for name in one.names}
    occurrences: dict[bytes, int] = {}
    for number, cells in enumerate(_csv_rows(lines), start=1):
        if cells is None:
            yield Refusal(number, Code.BAD_TYPE)
            continue
        if not cells:
            continue
        if _name(cells[0]) in names:
            fitting = [(one, places) for one in tables if (places := one.places(cells))]
            if fitting:
                table, places = max(fitting, key=lambda pair: len(pair[1]))
                needed_cells = itemgetter(*places)
                continue
        try:
            chosen = needed_cells(cells)
        except IndexError:
            yield Refusal(number, Code.MISSING_FIELD)
            continue
        digest = blake2b(CELL_SEPARATOR.join(cells).encode(), digest_size=HASH_BYTES).digest()
        occurrences[digest] = n = occurrences.get(digest, 0) + 1
        yield Row(number, f"{table.format_name}-{digest.hex()}-{n}", chosen, table)


def _name(cell: str) -> str:
    return cell.lstrip("\ufeff").strip().casefold()


def _csv_rows(lines: Iterable[str]) -> Iterator[list[str] | None]:
    """The cells of each row; None for a row that is no CSV."""
    reader = csv.reader(lines)
    while True:
        try:
            yield from reader
        except csv.Error:
            yield None
        else:
            return


class LineIds:
    """Numbers the lines of an order that name the same item: `item#1`, `item#2`, …"""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}  # by one string: tuples would be the garbage collector's work

    def of(self, order: str, item: str) -> str:
        """The line id of the next line of `item` in `order`."""
        name = order + CELL_SEPARATOR + item
        self._seen[name] = n = self._seen.get(name, 0) + 1
        return f"{item}#{n}"


def required(cell: str, field: str) -> str:
    """The cell. Raises RowError (missing_field) where it is empty."""
    if not cell:
        raise RowError(Code.MISSING_FIELD, field)
    return cell


def epoch_ms(cell: str, unit_ms: int) -> int:
    """Milliseconds of a whole number of units since the epoch. Raises RowError (bad_time) also where out of range."""
    if cell.isascii() and cell.isdigit() and len(cell) <= 15:
        instant_ms = int(cell) * unit_ms
        if instant_ms <= EVENT_MS_MAX:
            return instant_ms
    raise RowError(Code.BAD_TIME, "event_time")


def whole_number(cell: str, field: str) -> int:
    """The integer of up to 15 digits, with a minus sign or none. Raises RowError: missing_field, bad_number."""
    digits = required(cell, field).removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= 15:
        return int(cell)
    raise RowError(Code.BAD_NUMBER, field)


def native_of(event: Event) -> Native:
    """The event as key and value."""
    return Native(event.key(), event.encode())
