"""Agent of the pages topic: add the pages of all partitions up."""

from collections.abc import Awaitable, Callable
from typing import Any

from stream.world import World


def pages_agent(world: World) -> Callable[[Any], Awaitable[None]]:
    """The agent function of the pages topic."""

    async def add_pages_up(stream: Any) -> None:
        async for event in stream.noack().events():
            world.add_pages(event.value)
            event.ack()

    return add_pages_up
