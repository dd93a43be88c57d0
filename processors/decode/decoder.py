"""A chunk's record values → `Decoded`: the scanner for the plainly good records, the reference for the others.

Stateless and pure: the same records give the same columns and refusals, whatever the chunk they come in. No bytes make
`decode` raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from processors.decode.columns import N_SPANS, Decoded
from processors.decode.fields import RefusedError
from processors.decode.lexical import PADDING
from processors.decode.murmur import CRC32, MURMUR2, PARTITIONERS, crc32_table
from processors.decode.reference import EventRow, Place, decode_record
from processors.decode.scanner import BY_CRC32, BY_MURMUR2, N_FIELDS, UNPLACED, scan
from processors.decode.words import CURRENCIES, LIMITS, SPAN_FIELD_INDEX, WORDS
from schemas.event import LINE_ID_DEFAULT, RECORD_BYTES_MAX
from schemas.refusals import UNDECODABLE, Refusal

_CRC_TABLE: Final = crc32_table()
_PLACINGS: Final = {MURMUR2: BY_MURMUR2, CRC32: BY_CRC32}
_NO_INSTANTS: Final = np.empty(0, np.int64)
_NO_STARTS: Final = np.zeros(1, np.int64)
_TAIL: Final = LINE_ID_DEFAULT.encode() + PADDING
"""What follows the values in the buffer."""


def decode(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None] | None,
    append_ms: NDArray[np.int64] | None,
    *,
    partition: int,
    partitions: int,
    partitioner: str = MURMUR2,
    wall_clock: bool,
) -> Decoded:
    """The accepted events of a chunk of one partition, as columns, and its refusals.

    `values` and `keys` are those of the records, in the order of the log; `keys` None: the records come from a file,
    keys, partition and age are not checked. `append_ms` [n] milliseconds since the epoch, read if `wall_clock`. The
    values that are read may have 2 GiB together. Raises ValueError for an unknown partitioner, never for a record.
    """
    if partitioner not in _PLACINGS:
        raise ValueError(f"partitioner {partitioner!r} is not one of {', '.join(PARTITIONERS)}")
    judged_ms = append_ms if wall_clock and keys is not None else None
    chunk = _Columns(values)
    placing = UNPLACED
    key_buffer, key_starts = chunk.buffer, _NO_STARTS
    if keys is not None:
        placing = _PLACINGS[partitioner]
        key_buffer, key_starts = _joined(keys)
    chunk.n_taken = scan(
        chunk.buffer,
        chunk.starts,
        key_buffer,
        key_starts,
        _NO_INSTANTS if judged_ms is None else judged_ms,
        placing,
        partition,
        partitions,
        chunk.default_line,
        WORDS,
        CURRENCIES,
        LIMITS,
        SPAN_FIELD_INDEX,
        _CRC_TABLE,
        chunk.cells,
        chunk.taken,
        chunk.action,
        chunk.event_ms,
        chunk.quantity,
        chunk.amount_minor,
        chunk.dwell_ms,
        chunk.touch,
        chunk.spans,
    )
    if chunk.n_taken < len(values):
        place = None if keys is None else Place(partition, partitions, partitioner)
        chunk.refer(values, keys, judged_ms, place)
    return chunk.decoded()


class _Columns:
    """The columns of a whole chunk while it is being decoded: one row a record, whether taken or not."""

    __slots__ = (
        "action",
        "amount_minor",
        "buffer",
        "cells",
        "default_line",
        "dwell_ms",
        "event_ms",
        "n_taken",
        "quantity",
        "refusals",
        "spans",
        "starts",
        "tail",
        "tail_end",
        "taken",
        "touch",
    )

    def __init__(self, values: Sequence[bytes | None]) -> None:
        n = len(values)
        self.buffer, self.starts = _joined(values, RECORD_BYTES_MAX)
        self.default_line = len(self.buffer) - len(_TAIL)
        self.cells = np.empty((N_FIELDS, 2), np.int64)
        self.taken = np.empty(n, np.bool_)
        self.action = np.empty(n, np.int8)
        self.touch = np.empty(n, np.int8)
        self.event_ms = np.empty(n, np.int64)
        self.quantity = np.empty(n, np.int64)
        self.amount_minor = np.empty(n, np.int64)
        self.dwell_ms = np.empty(n, np.int64)
        self.spans = np.empty((n, N_SPANS, 2), np.int32)
        self.n_taken = 0
        self.refusals: list[Refusal] = []
        self.tail: list[bytes] = []
        self.tail_end = len(self.buffer)

    def refer(
        self,
        values: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None,
        append_ms: NDArray[np.int64] | None,
        place: Place | None,
    ) -> None:
        """Have the reference decide every record that the scanner has left."""
        for i in np.flatnonzero(~self.taken).tolist():
            try:
                row = decode_record(
                    values[i],
                    key=None if keys is None else keys[i],
                    place=place,
                    append_ms=None if append_ms is None else int(append_ms[i]),
                    wall_clock=append_ms is not None,
                )
            except RefusedError as refused:
                self.refusals.append(Refusal(i, refused.code, refused.field))
            else:
                self._write(i, row)

    def _write(self, i: int, row: EventRow) -> None:
        self.taken[i] = True
        self.action[i] = row.action
        self.touch[i] = row.touch
        self.event_ms[i] = row.event_ms
        self.quantity[i] = row.quantity
        self.amount_minor[i] = row.amount_minor
        self.dwell_ms[i] = row.dwell_ms
        for column, text in enumerate(row.strings):
            self.spans[i, column] = (self.tail_end if text else 0, len(text))
            self.tail.append(text)
            self.tail_end += len(text)

    def decoded(self) -> Decoded:
        """The accepted rows."""
        buffer = self.buffer
        if self.tail:
            buffer = np.concatenate((buffer, np.frombuffer(b"".join(self.tail), np.uint8)))
        raw = np.empty((len(self.taken), 2), np.int32)
        raw[:, 0] = self.starts[:-1]
        raw[:, 1] = self.starts[1:] - self.starts[:-1]
        record = np.arange(len(self.taken), dtype=np.int32)
        columns = (record, self.action, self.event_ms, self.quantity, self.amount_minor, self.dwell_ms, self.touch)
        spans = self.spans
        if self.refusals:
            columns = tuple(column[self.taken] for column in columns)
            spans, raw = spans[self.taken], raw[self.taken]
        undecodable = sum(refusal.code in UNDECODABLE for refusal in self.refusals)
        return Decoded(buffer, *columns, spans, raw, self.refusals, undecodable)


def _joined(
    values: Sequence[bytes | None], bytes_max: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All values one after another, then _TAIL; and [n + 1] where each begins and the last one ends.

    None, and what is longer than `bytes_max`, stands as an empty value: no JSON, and nobody's key.
    """
    n = len(values)
    starts = np.zeros(n + 1, np.int64)
    plain = cast("Sequence[bytes]", values)
    try:
        lengths = np.fromiter(map(len, plain), np.int64, n)
        is_plain = bytes_max is None or n == 0 or lengths.max() <= bytes_max
    except TypeError:  # None has no length
        is_plain = False
    if not is_plain:
        plain = [v if v is not None and (bytes_max is None or len(v) <= bytes_max) else b"" for v in values]
        lengths = np.fromiter(map(len, plain), np.int64, n)
    np.cumsum(lengths, out=starts[1:])
    return np.frombuffer(b"".join((*plain, _TAIL)), np.uint8), starts
