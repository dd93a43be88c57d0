"""Virtual time: one queue of things to come for the whole simulation, one asyncio loop for each simulated process.

A process runs the callbacks that are ready in one turn, as asyncio does. Everything that crosses its border (requests,
answers, timers, other processes) is an entry of the simulation's queue, and the seed draws when it comes.
"""

import asyncio
import heapq
from asyncio.events import _set_running_loop
from collections import deque
from collections.abc import Callable


class Timeline:
    """What comes next. `now_ms` moves from entry to entry; equal instants go in the order of their making."""

    def __init__(self):
        self.now_ms = 0.0
        self._queue = []
        self._made = 0

    def later(self, delay_ms: float, act: Callable[[], object]) -> None:
        self._made += 1
        heapq.heappush(self._queue, (self.now_ms + delay_ms, self._made, act))

    def step(self) -> bool:
        """Do the next thing; False when nothing is left to come."""
        if not self._queue:
            return False
        self.now_ms, _, act = heapq.heappop(self._queue)
        act()
        return True


class ProcessLoop(asyncio.AbstractEventLoop):
    """The event loop of one simulated process. It runs while the process is alive and not paused."""

    def __init__(self, timeline: Timeline, turn_ms: Callable[[], float], failed: Callable[[dict], None]):
        self._timeline = timeline
        self._turn_ms = turn_ms
        self._failed = failed
        self._ready = deque()
        self._is_due = False
        self.is_alive = True
        self.is_paused = False
        self._tasks = set()

    # --- what asyncio asks of a loop

    def time(self):
        return self._timeline.now_ms / 1000

    def get_debug(self):
        return False

    def create_future(self):
        return asyncio.Future(loop=self)

    def create_task(self, coro, *, name=None, context=None):
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        task._log_destroy_pending = False  # a process that is killed leaves its tasks as they are
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def call_soon(self, callback, *args, context=None):
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        self._schedule()
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay, callback, *args, context=None):
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when, callback, *args, context=None):
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timeline.later(when * 1000 - self._timeline.now_ms, lambda: self._ring(handle))
        return handle

    def _timer_handle_cancelled(self, handle):
        pass

    def run_in_executor(self, executor, function, *args):
        """A thread: it is not stopped by a cancellation of who waits for it."""
        future = self.create_future()

        def work():
            result = error = None
            try:
                result = function(*args)
            except Exception as raised:  # noqa: BLE001  # handed on
                error = raised
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self._timeline.later(self._turn_ms() * 5, lambda: self.call_soon(work))
        return future

    def call_exception_handler(self, context):
        self._failed(context)

    # --- turns

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False
        self._schedule()

    def kill(self):
        self.is_alive = False

    def bury(self):
        """After the simulation: what a killed process has left behind must not wake up when it is collected."""
        for handle in self._ready:
            handle.cancel()
        self._ready.clear()
        for task in list(self._tasks):
            task.get_coro().close()

    def _ring(self, handle):
        if not handle.cancelled():
            self._ready.append(handle)
            self._schedule()

    def _schedule(self):
        if not self._is_due and self._ready and self.is_alive and not self.is_paused:
            self._is_due = True
            self._timeline.later(self._turn_ms(), self._turn)

    def _turn(self):
        self._is_due = False
        if not self.is_alive or self.is_paused:
            return
        _set_running_loop(self)
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
                if not self.is_alive:
                    return
        finally:
            _set_running_loop(None)
        self._schedule()
