"""Input files as lines: plain, gzipped or Parquet, one after another, with how much of them has been read."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import SmartError

if TYPE_CHECKING:
    from stream.parquet import ParquetRows

_GZIP_MAGIC: Final = b"\x1f\x8b"
_PARQUET_MAGIC: Final = b"PAR1"
_MAGIC_BYTES: Final = 4
_BUFFER_BYTES: Final = 1 << 20


class UnreadableFileError(SmartError):
    """A file that is not there, may not be read, or breaks off within."""


class InputFiles:
    """Several files as one input. All are opened at the start, so that a wrong name is told before any work is done.

    Raises UnreadableFileError, at construction and while reading.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.bytes_total: Final = sum(_size_of(path) for path in paths)
        self._paths = paths
        self._bytes_before = 0
        self._bytes_within: Callable[[], int] | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, of `bytes_total`; of the files as they lie, compressed or not."""
        return self._bytes_before + (self._bytes_within() if self._bytes_within else 0)

    def lines(self) -> Iterator[bytes]:
        """Every line of every file as it stands, with its line end; of a Parquet file a header and the rows as CSV."""
        return self._lines(lambda rows: map(str.encode, rows.csv_lines()))

    def text(self) -> Iterator[str]:
        """The same as text in UTF-8; bytes that are none become the replacement character."""
        for line in self.lines():
            yield line.decode("utf-8", "replace")

    def events(self) -> Iterator[bytes]:
        """Native events: every line that is not blank, without its line end; the rows of a Parquet file as JSON."""
        return filter(None, map(bytes.strip, self._lines(lambda rows: rows.json_lines())))

    def _lines(self, lines_of: "Callable[[ParquetRows], Iterator[bytes]]") -> Iterator[bytes]:
        for path in self._paths:
            try:
                with path.open("rb", buffering=_BUFFER_BYTES) as raw:
                    start = raw.peek(_MAGIC_BYTES)
                    if start.startswith(_PARQUET_MAGIC):
                        yield from self._parquet_lines(path, lines_of)
                    else:
                        self._bytes_within = raw.tell
                        is_gzip = start.startswith(_GZIP_MAGIC)
                        yield from io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER_BYTES) if is_gzip else raw
                    self._bytes_within = None
                    self._bytes_before += raw.seek(0, io.SEEK_END)
            except (OSError, EOFError, zlib.error) as error:
                raise _unreadable(path, error) from error

    def _parquet_lines(self, path: Path, lines_of: "Callable[[ParquetRows], Iterator[bytes]]") -> Iterator[bytes]:
        from stream.parquet import ParquetError, ParquetRows  # noqa: PLC0415  # 0.1 s that other files need not spend

        size = _size_of(path)
        try:
            rows = ParquetRows(path)
            self._bytes_within = lambda: round(rows.share_read * size)
            yield from lines_of(rows)
        except ParquetError as error:
            raise _unreadable(path, error) from error


def _size_of(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return file.seek(0, io.SEEK_END)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UnreadableFileError(f"cannot read {path}: {reason}")
