"""Agents of the event topics: take a chunk in, acknowledge it."""

from collections.abc import Awaitable, Callable
from typing import Any

from stream.world import World


def events_agent(topic: str, world: World) -> Callable[[Any], Awaitable[None]]:
    """The agent function of one event topic."""

    async def take_in_events(stream: Any) -> None:
        async for event in stream.noack().events():
            world.take_in(event.value)
            event.ack()

    take_in_events.__name__ = f"take_in_{topic.replace('.', '_')}"
    return take_in_events
