"""Workers come, go, hang, are killed and lose their broker: every record is counted exactly once all the same."""

import asyncio
import signal
import time

import pytest

from stream.local.stack import BROKER
from stream.transport import ExitCode
from tests.stack.transport_rig import Rig

pytestmark = [pytest.mark.stack, pytest.mark.faults]


@pytest.fixture
async def rig(stack, tmp_path):
    async with Rig(stack.bootstrap_servers, tmp_path) as rig:
        yield rig


async def test_a_zombie_is_fenced_publishes_nothing_and_exits_with_the_fenced_code(rig):
    zombie = await rig.worker("zombie")
    await zombie.until("ready")
    async with rig.traffic():
        await asyncio.sleep(0.5)
        rig.trigger("stop-in-collect")  # it stops with stale records in its hands
        await zombie.until("stopping")
        heir = await rig.worker("heir")
        await heir.until("ready", partitions=[0, 1, 2, 3])  # after the session timeout
        await asyncio.sleep(0.5)
    await rig.all_committed()
    zombie.signal(signal.SIGCONT)
    assert await zombie.ended() == ExitCode.FENCED
    await rig.check_books()
    assert await heir.stop() == 0


async def test_a_worker_that_was_stopped_with_empty_hands_comes_back_as_a_newcomer(rig):
    sleeper = await rig.worker("sleeper")
    await sleeper.until("ready")
    await rig.send(20)
    await rig.all_committed()
    sleeper.signal(signal.SIGSTOP)
    heir = await rig.worker("heir")
    await heir.until("ready", partitions=[0, 1, 2, 3])
    woken = time.time()
    sleeper.signal(signal.SIGCONT)
    back = await sleeper.until("assigned", after=woken)
    assert (len(back["partitions"]), back["kept"]) == (2, [])  # it trusts nothing that it still has in memory
    await sleeper.until("ready", after=woken)
    await rig.send(20)
    await rig.all_committed()
    await rig.check_books()
    assert [await sleeper.stop(), await heir.stop()] == [0, 0]


async def test_a_worker_killed_inside_a_transaction_leaves_nothing_behind(rig):
    victim = await rig.worker("victim")
    await victim.until("ready")
    async with rig.traffic():
        await asyncio.sleep(0.5)
        rig.trigger("kill-before-commit")
        assert await victim.ended() == -signal.SIGKILL
        heir = await rig.worker("heir")
        await heir.until("ready", partitions=[0, 1, 2, 3])
    await rig.all_committed()
    await rig.check_books()
    await heir.stop()


async def test_workers_join_and_leave_without_losing_or_repeating_a_record(rig):
    first = await rig.worker("first")
    await first.until("ready")
    async with rig.traffic():
        await asyncio.sleep(0.5)
        joined = time.time()
        second = await rig.worker("second")
        await second.until("ready")
        after = await first.until("assigned", after=joined)
        assert len(after["partitions"]) == 2
        assert after["kept"] == after["partitions"]  # what it keeps, it does not read again
        await asyncio.sleep(0.5)
        left = time.time()
        assert await second.stop() == 0  # SIGTERM
        back = await first.until("assigned", after=left)
        assert (back["partitions"], len(back["kept"])) == ([0, 1, 2, 3], 2)
    await rig.all_committed()
    await rig.check_books()
    assert await first.stop() == 0


async def test_what_is_fetched_between_the_seek_and_the_worker_being_ready_is_not_lost(rig):
    first = await rig.worker("first", READY_TAKES_S="0.4")
    await first.until("ready")
    for n in range(2):
        async with rig.traffic(per_second=80):  # so few that a fetch is always pending when a rebalance begins
            await asyncio.sleep(0.3)
            joined = time.time()
            second = await rig.worker(f"second-{n}")
            await second.until("ready", after=joined)
            left = time.time()
            assert await second.stop() == 0
            await first.until("ready", after=left)
    await rig.all_committed()
    await rig.check_books()
    assert await first.stop() == 0


async def test_an_agent_or_a_collect_that_raises_ends_the_worker_and_the_next_one_is_exact(stack, tmp_path):
    async def try_it(what):
        (tmp_path / what).mkdir()
        async with Rig(stack.bootstrap_servers, tmp_path / what) as rig:
            await rig.send(50)
            rig.trigger(what)
            broken = await rig.worker("broken")
            assert await broken.ended() == ExitCode.SOFTWARE
            sound = await rig.worker("sound")
            await rig.all_committed()
            await rig.check_books()
            await sound.stop()

    await asyncio.gather(try_it("raise-in-agent"), try_it("raise-in-collect"))


async def test_workers_wait_for_a_broker_that_is_killed_and_for_one_that_is_not_there_yet(rig, stack):
    old = await rig.worker("old")
    await old.until("ready")
    async with rig.traffic():
        await asyncio.sleep(0.5)
        await asyncio.to_thread(stack.kill, BROKER, stay_down=True)
        new = await rig.worker("new")  # it starts without a broker
        await asyncio.sleep(4)
        await asyncio.to_thread(stack.start_child, BROKER)
        await asyncio.to_thread(stack.wait_ready, BROKER)
        up = time.time()
        await new.until("ready", timeout=40)
        await old.until("ready", after=up, timeout=40)
    assert "no broker answers at" in new.log.read_text()
    await rig.all_committed()
    await rig.check_books()
    assert [await old.stop(), await new.stop()] == [0, 0]


async def test_a_worker_that_is_stopped_while_no_broker_answers_ends_in_time_and_loses_nothing(rig, stack):
    worker = await rig.worker("impatient", OPTIONS='{"stop_wait_ms": 1000}')
    await worker.until("ready")
    await rig.send(20)
    await asyncio.to_thread(stack.pause, BROKER)
    try:
        worker.signal(signal.SIGTERM)
        assert await worker.ended(timeout=10) == ExitCode.TRANSACTION
    finally:
        await asyncio.to_thread(stack.resume, BROKER)
    worker = await rig.worker("next")
    await rig.all_committed()
    await rig.check_books()
    await worker.stop()
