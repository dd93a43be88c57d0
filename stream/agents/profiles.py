"""Agent of the profiles topic: take profiles in behind the live events, acknowledge a chunk when all of it is in."""

from collections.abc import Awaitable, Callable
from typing import Any

from stream.world import World


def profiles_agent(world: World) -> Callable[[Any], Awaitable[None]]:
    """The agent function of the profiles topic."""

    async def take_in_profiles(stream: Any) -> None:
        async for event in stream.noack().events():
            await world.take_in_profiles(event.value)
            event.ack()

    return take_in_profiles
