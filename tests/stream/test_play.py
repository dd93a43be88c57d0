"""Events are played when they are due, and what was sent before a stop is written."""

import asyncio
import io

import pytest

from stream.play import Batch, LineWriter, Pace, play
from stream.routing import Messages


def batch(due_ms, *values):
    return Batch(due_ms, Messages(["t"] * len(values), [b"k"] * len(values), list(values)))


@pytest.mark.parametrize("speed", [1, 10, 0.5])
def test_event_time_runs_at_its_speed_from_the_first_event_on(speed):
    pace = Pace(speed)
    assert pace.wait_s(1_000_000, now_s=50) == 0
    assert pace.wait_s(1_010_000, now_s=50) == pytest.approx(10 / speed)
    assert pace.wait_s(1_010_000, now_s=50 + 10 / speed) == pytest.approx(0)


def test_a_slow_sender_does_not_shift_what_follows():
    pace = Pace(1)
    pace.wait_s(0, now_s=0)
    assert pace.wait_s(1_000, now_s=7) == 0
    assert pace.wait_s(10_000, now_s=7) == pytest.approx(3)


def test_what_is_due_at_no_time_and_what_lies_in_the_past_is_due_at_once():
    pace = Pace(1)
    assert pace.wait_s(None, now_s=3) == 0
    pace.wait_s(10_000, now_s=5)
    assert pace.wait_s(9_000, now_s=5) == 0


def test_as_fast_as_possible_never_waits():
    pace = Pace(None)
    assert [pace.wait_s(at, now_s=0) for at in (0, 10**12)] == [0, 0]


async def test_everything_is_written_in_order_and_counted():
    file, told = io.BytesIO(), []
    batches = [batch(0, b"1", b"2"), batch(5_000, b"3"), batch(None, b"4")]
    sent = await play(batches, LineWriter(file), Pace(None), asyncio.Event(), lambda *what: told.append(what))
    assert sent == 4
    assert file.getvalue() == b"1\n2\n3\n4\n"
    assert told == [(2, 0), (1, 5_000), (1, None)]


async def test_a_stop_ends_the_wait_at_once():
    file, stop = io.BytesIO(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(5):
        sent = await play([batch(0, b"1"), batch(10**9, b"2")], LineWriter(file), Pace(1), stop, lambda *_: None)
    assert sent == 1
    assert file.getvalue() == b"1\n"
