"""Factor records as a Parquet file, for notebooks and warehouses: a column a field, typed as what it is.

Dates are dates, instants are instants in UTC, counts and money (minor units) are 64-bit integers, ratios are doubles,
null where they have no denominator. The values are those of the JSON form, bit for bit.
"""

import datetime as dt
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from schemas.errors import SmartError
from schemas.factors import FactorRecord

_NAME: Final = pa.dictionary(pa.int32(), pa.string())
_COUNT: Final = pa.int64()
_RATIO: Final = pa.float64()
_INSTANT: Final = pa.timestamp("ms", tz="UTC")
_TYPES: Final[dict[str, pa.DataType]] = {
    "scope": _NAME,
    "as_of": pa.date32(),
    "window_days": pa.int32(),
    "currency": _NAME,
    **dict.fromkeys(("m", "m_new", "m_existing", "art_minor", "art_new_minor", "art_existing_minor", "a", "r"), _RATIO),
    "history_from": pa.date32(),
    "complete_through": _INSTANT,
    "computed_at": _INSTANT,
}
_NULLABLE: Final = frozenset({name for name, kind in _TYPES.items() if kind in (_RATIO, _INSTANT)} | {"history_from"})
SCHEMA: Final = pa.schema(
    [pa.field(name, _TYPES.get(name, _COUNT), nullable=name in _NULLABLE) for name in FactorRecord.__struct_fields__]
)
"""The columns, in the order of the record's fields; what is not named above is a count or money."""

ROWS_A_GROUP: Final = 65_536


class ExportError(SmartError):
    """The file cannot be written."""


class FactorFile:
    """A file that records are added to; a context manager.

    It appears under its name when all is in it, and in the place of one that was there; where anything fails, nothing
    of it is left. No more than one row group is held in memory. Raises ExportError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        self._waiting: list[FactorRecord] = []
        self.rows = 0
        """Records added so far."""

    def __enter__(self) -> Self:
        try:
            self._writer: Any = ParquetWriter(self._partial, SCHEMA, compression="zstd")
        except OSError as error:
            raise self._failed(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write()
            self._writer.close()
            if kind is None:
                with self._partial.open("rb") as file:
                    os.fsync(file.fileno())
                self._partial.replace(self._path)
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            self._partial.unlink(missing_ok=True)

    def add(self, records: Sequence[FactorRecord]) -> None:
        """Add records; they are written a row group at a time."""
        self._waiting += records
        self.rows += len(records)
        if len(self._waiting) >= ROWS_A_GROUP:
            try:
                self._write()
            except OSError as error:
                raise self._failed(error) from error

    def _write(self) -> None:
        if self._waiting:
            self._writer.write_table(_table(self._waiting), row_group_size=ROWS_A_GROUP)
            self._waiting = []

    def _failed(self, error: OSError) -> ExportError:
        return ExportError(f"cannot write {self._path}: {error.strerror or error}")


def _table(records: Sequence[FactorRecord]) -> pa.Table:
    columns = [_column(field, [getattr(record, field.name) for record in records]) for field in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    read = _READERS.get(field.type)
    if read is not None:
        values = [None if value is None else read(value) for value in values]
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, field.type)


_READERS: Final[dict[pa.DataType, Callable[[str], object]]] = {
    pa.date32(): dt.date.fromisoformat,
    _INSTANT: dt.datetime.fromisoformat,
}
"""Type of a column → what makes its values of the record's text."""
