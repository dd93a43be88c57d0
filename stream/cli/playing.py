"""What commands that play events share: stopping by signal, progress on a terminal, the summary at the end."""

import asyncio
import contextlib
import datetime as dt
import logging
import signal
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

_TOLD_PER_SECOND = 5


@contextlib.contextmanager
def stop_on_signal() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C and TERM set, so that what is under way ends in order. Call it within a running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def quiet_clients() -> None:
    """Keeps the Kafka clients' own log lines off the terminal: what matters comes as an error with words."""
    for name in ("aiokafka", "kafka"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def parse_speed(text: str) -> float | None:
    """`max` → None (never wait), else a factor above 0. Raises typer.BadParameter."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither 'max' nor a number above 0, such as 1 or 3600")
    return speed


def event_time_text(event_ms: int | None) -> str:
    """An event time for people, in UTC, to the second."""
    if event_ms is None:
        return ""
    return dt.datetime.fromtimestamp(event_ms / 1_000, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class PlayProgress:
    """Records sent, their rate and event time, and how much is left; on stderr, and only where that is a terminal."""

    def __init__(self, title: str, total: float | None = None) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn(title),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[sent]:,} events"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TextColumn("{task.fields[at]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=total, sent=0, rate=0.0, at="")
        self._began_s = self._told_s = time.monotonic()
        self._told_sent = 0
        self.sent = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, n: int, event_ms: int | None, completed: float | None = None) -> None:
        """`n` more records have been sent; `completed` is in the unit of the total."""
        self.sent += n
        now_s = time.monotonic()
        if now_s - self._told_s < 1 / _TOLD_PER_SECOND:
            return
        rate = (self.sent - self._told_sent) / (now_s - self._told_s)
        self._told_s, self._told_sent = now_s, self.sent
        self._progress.update(self._task, completed=completed, sent=self.sent, rate=rate, at=event_time_text(event_ms))

    def summary(self) -> str:
        """'sent 12,345 events in 10.0 s (1,235/s)'."""
        seconds = max(time.monotonic() - self._began_s, 1e-9)
        return f"sent {self.sent:,} events in {seconds:.1f} s ({self.sent / seconds:,.0f}/s)"
