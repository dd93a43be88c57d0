"""Coroutines that are begun at once and become a task only when they have to wait (Python 3.12 has this for tasks)."""

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


class Finished(Exception):  # noqa: N818 - no error
    """The coroutine had nothing to wait for."""


class Rest(Awaitable[Any]):
    """What is left of a coroutine that has begun to wait; a task of its own can be made of it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        """Go on as the coroutine itself would."""
        coroutine, waits_for = self._coroutine, self._waits_for
        while True:
            try:
                answer = yield waits_for
            except BaseException as error:  # noqa: BLE001 - a cancellation, too, is the coroutine's
                step, given = coroutine.throw, error
            else:
                step, given = coroutine.send, answer
            try:
                waits_for = step(given)
            except StopIteration as end:
                return end.value


def begin(coroutine: Coroutine[Any, Any, Any]) -> Rest:
    """Run a coroutine until it waits; returns the rest of it. Raises Finished where there is none."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        raise Finished(end.value) from None
    return Rest(coroutine, waits_for)
