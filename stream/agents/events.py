"""Agents of the event topics: decode a chunk, fold it, acknowledge it."""

from collections.abc import Awaitable, Callable
from typing import Any

from stream.guard import TooManyUndecodableError
from stream.transport import ExitCode, die
from stream.world import World


def events_agent(topic: str, world: World) -> Callable[[Any], Awaitable[None]]:
    """The agent function of one event topic."""

    async def fold_events(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                world.fold(event.value)
            except TooManyUndecodableError as error:
                die(ExitCode.DATA, f"{topic}, partition {event.value.partition}: {error}")
            event.ack()

    fold_events.__name__ = f"fold_{topic.replace('.', '_')}"
    return fold_events
