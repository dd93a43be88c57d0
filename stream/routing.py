"""Records on their way into topics, as tools hand them to a producer."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

Headers = Sequence[tuple[str, bytes]]


class Messages(NamedTuple):
    """Records to send, in order: sequences of one length. A key of None is a record that names no user."""

    topics: Sequence[str]
    keys: Sequence[bytes | None]
    values: Sequence[bytes]
    headers: Sequence[Headers] | None = None
    """None: no record has any."""

    def records(self) -> Iterator[tuple[str, bytes | None, bytes]]:
        """(topic, key, value), one after another."""
        return zip(self.topics, self.keys, self.values, strict=True)
