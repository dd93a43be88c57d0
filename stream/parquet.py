"""Parquet files as the lines of text that everything else reads: rows as CSV, or as native events in JSON.

A row of a Parquet file gives the very line that it would have in an exported text file, so whatever reads lines reads
Parquet too, and both forms of one data set give the same events. A double is its shortest decimal text: money that was
stored as 2.78 is 2.78 again, and is never computed with. Rows are read in batches, whatever the size of a file.
"""

import csv
import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
from pyarrow.parquet import ParquetFile

from schemas.event import FIELDS

_BATCH_ROWS: Final = 8_192
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS: Final = dt.timedelta(milliseconds=1)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class ParquetError(Exception):
    """A file that is no whole Parquet file."""


class ParquetRows:
    """The rows of one file. Raises ParquetError, at construction and while reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows_read = 0
        try:
            self._file = ParquetFile(path)
        except pa.ArrowException as error:
            raise ParquetError(str(error)) from error

    @property
    def share_read(self) -> float:
        """How much of the file has been read, from 0 to 1."""
        return self._rows_read / max(1, self._file.metadata.num_rows)

    def csv_lines(self) -> Iterator[str]:
        """A header, then a line a row. Empty is what is null; times are `YYYY-MM-DD HH:MM:SS`, with Z where in UTC."""
        line: list[str] = []
        writer = csv.writer(_Lines(line), lineterminator="\n")
        writer.writerow(self._file.schema_arrow.names)
        yield line.pop()
        for batch in self._batches(None):
            for row in zip(*(map(_cell_text(column.type), column.to_pylist()) for column in batch), strict=True):
                writer.writerow(row)
                yield line.pop()

    def json_lines(self) -> Iterator[bytes]:
        """A native event a row: the columns that are named as its fields, null left out.

        A time with a zone becomes milliseconds since the epoch; one without is text that names no instant, which a
        worker refuses. All other values stay what they are: an id has to be text.
        """
        names = [name for name in FIELDS if name in self._file.schema_arrow.names]
        if not names:
            yield from repeat(b"{}", self._file.metadata.num_rows)
        encode = _ENCODER.encode
        for batch in self._batches(names):
            fields = batch.schema.names
            for row in zip(*(map(_json_value(column.type), column.to_pylist()) for column in batch), strict=True):
                yield encode({name: value for name, value in zip(fields, row, strict=True) if value is not None})

    def _batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                yield batch.cast(_readable(batch.schema), safe=False)
                self._rows_read += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise ParquetError(str(error)) from error


class _Lines:
    """What a CSV writer writes to: each row is put into a list."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def _readable(schema: pa.Schema) -> pa.Schema:
    """The same columns in types that Python has: times to the microsecond, in UTC where they have a zone; text where
    it was stored as bytes.
    """
    return pa.schema([field.with_type(_readable_type(field.type)) for field in schema])


def _readable_type(stored: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(stored):
        return pa.timestamp("us", tz="UTC" if stored.tz else None)
    if pa.types.is_dictionary(stored):
        return _readable_type(stored.value_type)
    if pa.types.is_binary(stored) or pa.types.is_large_binary(stored):
        return pa.string()
    return stored


def _cell_text(stored: pa.DataType) -> Callable[[Any], object]:
    """What a CSV cell of this type is made of."""
    if pa.types.is_timestamp(stored):
        return _utc_text if stored.tz else _local_text
    if pa.types.is_floating(stored):
        return _number_text
    return _same


def _json_value(stored: pa.DataType) -> Callable[[Any], object]:
    """What a JSON value of this type is made of."""
    if pa.types.is_timestamp(stored):
        return _epoch_ms if stored.tz else _local_text
    if pa.types.is_decimal(stored):
        return _plain_number
    return _same


def _same(value: object) -> object:
    return value


def _number_text(value: float | None) -> str:
    return "" if value is None or value != value else repr(value)  # noqa: PLR0124 - NaN is how some write null


def _local_text(value: dt.datetime | None) -> str | None:
    return None if value is None else value.isoformat(" ")


def _utc_text(value: dt.datetime | None) -> str | None:
    return None if value is None else value.replace(tzinfo=None).isoformat(" ") + "Z"


def _epoch_ms(value: dt.datetime | None) -> int | None:
    return None if value is None else (value - _EPOCH) // _MS


def _plain_number(value: Decimal | None) -> object:
    return int(value) if value is not None and value == value.to_integral_value() else value
