"""Hands a chunk through Faust's decoding untouched: what is in it is decoded in one go by the agent."""

from typing import Any, cast

import faust
from faust.types import AppT
from faust.types.tuples import Message

from stream.transport.chunk import Chunk


class ChunkSchema(faust.Schema[Any, Any]):
    """Schema of a topic that is delivered in chunks; the event's value is the `Chunk`, its key None."""

    def loads_key(self, app: AppT, message: Message, **_options: Any) -> None:
        """No key: each record of the chunk has its own."""

    def loads_value(self, app: AppT, message: Message, **_options: Any) -> Chunk:  # noqa: ARG002
        """Return the chunk itself."""
        return cast("Chunk", message.value)
