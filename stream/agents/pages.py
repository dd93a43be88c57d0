"""Agents of the topics of pages: add the pages of all partitions up."""

from collections.abc import Awaitable, Callable
from typing import Any

from stream.transport import Chunk


def pages_agent(add: Callable[[Chunk], None]) -> Callable[[Any], Awaitable[None]]:
    """The agent function of a topic of pages, which `add` takes in."""

    async def add_pages_up(stream: Any) -> None:
        async for event in stream.noack().events():
            add(event.value)
            event.ack()

    return add_pages_up
