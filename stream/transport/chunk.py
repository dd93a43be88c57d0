"""A chunk: consecutive records of one partition, delivered to an agent as one event.

Chunks of a partition tile its log: `first` of a chunk is `last + 1` of the chunk before it, so holes left by
compaction, transaction markers and aborted records belong to the chunk that was read over them. A chunk may be empty:
it then says only how far the log has been read.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Header = tuple[str, bytes | None]
Offsets = range | NDArray[np.int64]


class Chunk:
    """Records of one partition in the order of the log; `len(chunk)` is their number.

    values, keys: one entry a record, `None` where the record has none.
    offsets: exact offset of each record, a `range` where there are no holes.
    timestamps_ms: int64[n], milliseconds since the epoch (append or create time, as the topic says).
    headers: record index → its headers, only for records that have some.
    first, last: offsets covered, both inclusive, holes included.
    """

    __slots__ = ("first", "headers", "keys", "last", "offsets", "partition", "timestamps_ms", "topic", "values")

    def __init__(  # noqa: PLR0913  # what a chunk is made of
        self,
        topic: str,
        partition: int,
        *,
        first: int,
        last: int,
        values: list[bytes | None],
        keys: list[bytes | None],
        offsets: Offsets,
        timestamps_ms: NDArray[np.int64],
        headers: dict[int, list[Header]],
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.first = first
        self.last = last
        self.values = values
        self.keys = keys
        self.offsets = offsets
        self.timestamps_ms = timestamps_ms
        self.headers = headers

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Chunk {self.topic}-{self.partition} {self.first}…{self.last}, {len(self)} records>"

    @property
    def newest_ms(self) -> int:
        """Greatest timestamp in milliseconds, 0 when empty."""
        return int(self.timestamps_ms.max()) if len(self.timestamps_ms) else 0


def exact_offsets(parts: Sequence[Offsets]) -> Offsets:
    """One sequence out of several: a `range` where they join without holes, else int64[n]."""
    if not parts:
        return range(0)
    joined: Offsets = parts[0]
    dense = all(isinstance(part, range) for part in parts) and all(
        before[-1] + 1 == after[0] for before, after in pairwise(parts)
    )
    if dense:
        joined = range(int(parts[0][0]), int(parts[-1][-1]) + 1)
    elif len(parts) > 1:
        joined = np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])
    return joined
