"""Playing events in step with a clock: the loop behind simulation, replay and the demo.

`Pace` is the pure part: it says how long to wait before what is due at an event time is sent.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from stream.routing import Headers, Messages


class Batch(NamedTuple):
    """Records that are sent together, once event time has come to `due_ms`; None: as soon as their turn comes."""

    due_ms: int | None
    messages: Messages


class Sender(Protocol):
    """What a play sends through: `produce.BulkProducer`, or something that writes elsewhere."""

    async def send_mixed(
        self,
        topics: Iterable[str],
        keys: Sequence[bytes | None],
        values: Iterable[bytes | None],
        headers: Iterable[Headers] | None = None,
    ) -> None:
        """Takes records, in order."""

    async def submit(self) -> None:
        """Sends off what has been taken."""

    async def flush(self) -> None:
        """Waits until all of it has been written."""


class LineWriter:
    """A sender that writes values as lines: a file that `smart replay` and `smart backtest` read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def send_mixed(
        self,
        topics: Iterable[str],
        keys: Sequence[bytes | None],
        values: Iterable[bytes | None],
        headers: Iterable[Headers] | None = None,
    ) -> None:
        """Writes the values; where they would have gone is not kept."""
        del topics, keys, headers
        self._file.write(b"".join(value + b"\n" for value in values if value is not None))

    async def submit(self) -> None:
        """Nothing waits."""

    async def flush(self) -> None:
        """Hands everything to the operating system."""
        self._file.flush()


@dataclass(slots=True)
class Pace:
    """Event time runs `speed` times as fast as the clock; a speed of None never waits.

    The first event time that is asked for begins the play, earlier ones are due at once.
    """

    speed: float | None = 1.0
    first_event_ms: int | None = None
    began_s: float = 0.0

    def wait_s(self, due_ms: int | None, now_s: float) -> float:
        """Seconds from `now_s` until what is due at an event time should be sent; 0 where that has passed."""
        if due_ms is None or self.speed is None:
            return 0.0
        if self.first_event_ms is None:
            self.first_event_ms, self.began_s = due_ms, now_s
        due_s = self.began_s + (due_ms - self.first_event_ms) / 1_000 / self.speed
        return max(0.0, due_s - now_s)


Progress = Callable[[int, int | None], None]
"""Is told the number of records of each batch that was sent, and its event time."""


async def play(batches: Iterable[Batch], sender: Sender, pace: Pace, stop: asyncio.Event, told: Progress) -> int:
    """Sends the batches, each when it is due, until they end or `stop` is set. Returns the number of records sent.

    What has been sent is flushed, also when stopped. Errors of the sender go through.
    """
    loop = asyncio.get_running_loop()
    sent = 0
    for batch in batches:
        wait_s = pace.wait_s(batch.due_ms, loop.time())
        if wait_s > 0:
            await sender.submit()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await stop.wait()
        else:
            await asyncio.sleep(0)  # lets the sender work beside a source that never waits
        if stop.is_set():
            break
        await sender.send_mixed(*batch.messages)
        sent += len(batch.messages.values)
        told(len(batch.messages.values), batch.due_ms)
    await sender.flush()
    return sent
