"""Coroutines that are begun at once and become a task only when they have to wait (Python 3.12 has this for tasks)."""

import types
from collections.abc import Coroutine, Generator
from typing import Any


class Finished(Exception):  # noqa: N818 - no error
    """The coroutine had nothing to wait for."""


def begin(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine until it waits; returns an awaitable of the rest of it. Raises Finished where there is none."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as end:
        raise Finished(end.value) from None
    return _rest(coroutine, waits_for)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
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
