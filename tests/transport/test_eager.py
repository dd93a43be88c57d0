"""Coroutines begun at once end as they would in a task: also where they have to wait, fail or are cancelled."""

import asyncio

import pytest
from mode import Service

from stream.transport.eager import Finished, begin


async def test_what_need_not_wait_is_finished_at_once():
    async def five():
        return 5

    with pytest.raises(Finished) as finished:
        begin(five())
    assert finished.value.args == (5,)


async def test_what_has_to_wait_is_waited_for_by_faust_as_any_coroutine():
    gate = asyncio.Event()

    async def behind_the_gate():
        await gate.wait()
        await asyncio.sleep(0)
        return 5

    rest = begin(behind_the_gate())
    asyncio.get_running_loop().call_soon(gate.set)
    found = await Service().wait_first(rest, asyncio.Event().wait(), timeout=5)
    assert (found.done, found.results) == ([rest], [5])


async def test_an_error_and_a_cancellation_reach_the_coroutine():
    seen = []

    async def patient():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def breaks():
        await asyncio.sleep(0)
        raise ValueError("as asked")

    task = asyncio.ensure_future(begin(patient()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
    with pytest.raises(ValueError, match="as asked"):
        await asyncio.ensure_future(begin(breaks()))
