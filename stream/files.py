"""Input files as lines: plain or gzipped, one after another, with how much of them has been read."""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from schemas.errors import SmartError

_GZIP_MAGIC: Final = b"\x1f\x8b"
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
        self._raw: io.BufferedReader | None = None

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, of `bytes_total`; of the files as they lie, compressed or not."""
        return self._bytes_before + (self._raw.tell() if self._raw else 0)

    def lines(self) -> Iterator[bytes]:
        """Every line of every file as it stands, with its line end."""
        for path in self._paths:
            try:
                with path.open("rb", buffering=_BUFFER_BYTES) as raw:
                    self._raw = raw
                    is_gzip = raw.peek(2)[:2] == _GZIP_MAGIC
                    yield from io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER_BYTES) if is_gzip else raw
                    self._bytes_before += raw.tell()
                    self._raw = None
            except (OSError, EOFError, zlib.error) as error:
                raise _unreadable(path, error) from error

    def text(self) -> Iterator[str]:
        """The same as text in UTF-8; bytes that are none become the replacement character."""
        for line in self.lines():
            yield line.decode("utf-8", "replace")


def _size_of(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return file.seek(0, io.SEEK_END)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UnreadableFileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UnreadableFileError(f"cannot read {path}: {reason}")
