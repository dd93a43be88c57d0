"""`smart demo`: everything on this machine, a promotion or a file played in, and the live view. Ctrl-C stops it all."""

import asyncio
import contextlib
import datetime as dt
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.live import Live

from schemas.adapters import FORMATS
from schemas.adapters.completejourney import ZONE
from schemas.errors import SmartError
from schemas.settings import PREFIX, Settings, load
from schemas.topics import SHOPS
from serving.store import StoreReader
from stream.admin import Admin, differences
from stream.cli.playing import parse_speed, quiet_clients, stop_on_signal
from stream.cli.topics import registered
from stream.cli.view import Snapshot, WorkerFigures, plain_line, render
from stream.cli.watch import Rate, StoreWatch, read_workers
from stream.files import InputFiles
from stream.local.ports import HOST
from stream.local.stack import LocalStack
from stream.play import Batch, Pace, play
from stream.produce import BulkProducer
from stream.replay import Replay, Source
from stream.simulate.playlist import playlist, shop_records
from stream.simulate.promotion import DAY_MS, HOUR_MS, Curve
from stream.simulate.timeline import Scenario

app = typer.Typer(add_completion=False)

_WORKER: Final = (sys.executable, "-m", "stream.cli", "worker")
_COMPILER: Final = (sys.executable, "-m", "processors.warm")
_TICKS_PER_SECOND: Final = 5
_BEFORE_MIDNIGHT_MS: Final = 3 * HOUR_MS
_HISTORY_DAYS: Final = 400
_LOOKS_PER_SECOND: Final = {True: 1.0, False: 2.0}
_SPEEDS: Final = {False: "120", True: "86400"}
"""What is played is real → speed."""
_SETTLE_S_MAX: Final = 60.0
_SHARED_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class Part:
    """What is played: its batches, their pace, and what is said about it."""

    batches: Iterable[Batch]
    speed: float | None
    phase: Callable[[int | None], str] = lambda _at_ms: ""
    shops: list[Any] = field(default_factory=list)
    """Shop records to be written first."""


@app.command()
def demo(
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what earlier runs left in the data folder.")] = False,
    shops: Annotated[int, typer.Option(min=1, max=10_000, help="Number of simulated shops.")] = 12,
    users: Annotated[int, typer.Option(min=1, max=10_000_000, help="Number of simulated users.")] = 50_000,
    rate: Annotated[float, typer.Option(min=1, help="Events per second on the mean of an ordinary day.")] = 500,
    speed: Annotated[
        str | None,
        typer.Option(
            help="How much faster than the clock event time runs; 'max' with --replay and --real only. "
            "Default: 120; 86400, a day a second, with --real.",
            show_default=False,
        ),
    ] = None,
    history: Annotated[int, typer.Option(min=0, help="Events of the year before, played in first.")] = 60_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed plays the same events.")] = 1,
    replay: Annotated[
        list[Path] | None, typer.Option("--replay", help="Play this file instead; may be repeated.", show_default=False)
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", help=f"What the files hold: {', '.join(FORMATS)}.")
    ] = "native",
    shop_id: Annotated[str, typer.Option(help="The shop, for formats without one.")] = "shop",
    real: Annotated[
        bool, typer.Option("--real", help="Play real data instead: a year of baskets of American grocery stores.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of workers.")] = 2,
    window: Annotated[int, typer.Option(min=1, help="Period that the view shows, in days.")] = 1,
    duration: Annotated[
        float | None, typer.Option(min=1, help="Stop after so many seconds of play.", show_default=False)
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="One line a second instead of the full view.")] = False,
) -> None:
    """Start the whole system on this machine, play a promotion in, and show it live.

    Broker, store and workers run in the data folder (SMART_DATA_DIR, .smart by default) and keep their state for the
    next run. Time follows the events. Ctrl-C stops everything. Exit code 1 where something cannot be started.
    """
    factor = parse_speed(speed or _SPEEDS[real])
    if real and replay is not None:
        raise typer.BadParameter("--real and --replay: one of the two can be played")
    if replay is None and not real and factor is None:
        raise typer.BadParameter("'max' needs --replay or --real: simulated shoppers have no end")
    if format_name not in FORMATS:
        raise typer.BadParameter(f"{format_name!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    part = _real_part(factor) if real else None
    if replay is not None:
        part = Part(Replay("demo", speed=factor).batches(Source(InputFiles(replay), format_name, shop_id)), factor)
    is_plain = plain or not Console().is_terminal
    quiet_clients()
    own = {"default_timezone": ZONE} if real else {"intraday_scopes": "shop,channel"}
    with _started(fresh=fresh, workers=workers, own=own) as (stack, settings, addresses):
        if window not in settings.windows:
            raise typer.BadParameter(f"{window} is none of SMART_WINDOWS {settings.windows}", param_hint="--window")
        if part is None:
            scenario = Scenario(
                seed,
                0,
                rate / (factor or 1),
                users,
                shops,
                tick_ms=max(1, round(1_000 * (factor or 1) / _TICKS_PER_SECOND)),
            )
            part = asyncio.run(_promotion(settings, scenario, factor or 1, history))
        watch = Watch(settings, addresses, part, window, _footer(stack), is_plain=is_plain)
        asyncio.run(watch.run(duration))
    typer.echo(f"stopped; the data stay in {stack.folder.path}", err=True)


def _real_part(speed: float | None) -> Part:
    """The real data, with a record for each of their stores. Raises RealDataError where they are not installed."""
    from stream.completejourney import files, shops

    batches = Replay("completejourney", speed=speed).batches(Source(InputFiles(files()), "completejourney", ""))
    return Part(batches, speed, shops=list(shops()))


@contextlib.contextmanager
def _started(*, fresh: bool, workers: int, own: Mapping[str, str]) -> Iterator[tuple[LocalStack, Settings, list[str]]]:
    """The stack with its topics and workers, and the addresses of the workers' metrics; stopped at the end.

    own: settings of what is played, where the environment does not say otherwise.
    """
    began_s = time.monotonic()

    def say(step: str) -> None:
        typer.echo(f"{time.monotonic() - began_s:5.1f} s  {step}", err=True)

    with _compiled(say) as wait_until_compiled, LocalStack(fresh=fresh, on_step=say) as stack:
        settings = load(brokers=stack.bootstrap_servers, redis_url=stack.redis_url, clock="event", **own)
        shared = {
            "clock": settings.clock,
            "default_timezone": settings.default_timezone,
            "intraday_scopes": ",".join(settings.intraday_scopes),
        }
        _check_zone(stack, settings)
        stack.tell_settings(shared)
        say("creating the topics")
        topics = registered(settings)
        with Admin(settings.brokers) as admin:
            admin.create(topics, settings.replication_factor)
            wrong = [one for one in differences(topics, admin.find(topics)) if one.must_change]
        if wrong:
            one = wrong[0]
            raise SmartError(
                f"{stack.folder.path} holds topic {one.topic} with {one.what} {one.found}, the settings say "
                f"{one.expected}: start with --fresh, or name another folder in SMART_DATA_DIR"
            )
        wait_until_compiled()
        say(f"starting {workers} workers")
        env = {PREFIX + name.upper(): value for name, value in shared.items()}
        names = [stack.add_worker(argv=_WORKER, env=env) for _ in range(workers)]
        for name in names:
            stack.wait_ready(name)
        addresses = [f"{HOST}:{stack.addresses.metrics_ports[name]}" for name in names]
        _wait_until_shared(settings, addresses)
        say(f"ready: {workers} workers share {settings.partitions} partitions")
        yield stack, settings, addresses


def _check_zone(stack: LocalStack, settings: Settings) -> None:
    """Raise SmartError where an earlier run has kept the market's dates in another zone, as other data do."""
    earlier = stack.earlier_settings.get("default_timezone", settings.default_timezone)
    if earlier != settings.default_timezone:
        raise SmartError(
            f"{stack.folder.path} holds other data: its market's dates are those of {earlier}, these are of "
            f"{settings.default_timezone}: start with --fresh, or name another folder in SMART_DATA_DIR"
        )


@contextlib.contextmanager
def _compiled(say: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Compiles the core while the broker starts, once after an install: else every worker would do it for itself."""
    compiling = subprocess.Popen(_COMPILER, start_new_session=True)  # noqa: S603 - ours; Ctrl-C is not for it

    def wait() -> None:
        if compiling.poll() is None:
            say("compiling the core, once after an install (a minute or two)")
        if compiling.wait():
            raise SmartError(f"the core could not be compiled: '{' '.join(_COMPILER)}' says why")

    try:
        yield wait
    finally:
        compiling.kill()
        compiling.wait()


def _wait_until_shared(settings: Settings, addresses: list[str]) -> None:
    """Waits until every partition has its worker: what was sent before would only look like lag."""
    until_s = time.monotonic() + _SHARED_S_MAX
    while asyncio.run(read_workers(addresses)).partitions_owned < settings.partitions:
        if time.monotonic() > until_s:
            raise SmartError(
                f"the workers have not taken over all partitions within {_SHARED_S_MAX:.0f} s; see their logs"
            )
        time.sleep(0.2)


async def _promotion(settings: Settings, scenario: Scenario, speed: float, history: int) -> Part:
    """A promotion that begins three hours of event time after the start; goes on from where an earlier run ended."""
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        earlier = [record.complete_through for record in await reader.newest("market") if record.complete_through]
    zone = ZoneInfo(settings.default_timezone)
    midnight = dt.datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    midnight_ms = round(midnight.timestamp() * 1_000)
    start_ms = midnight_ms - _BEFORE_MIDNIGHT_MS
    if earlier:
        start_ms = max(start_ms, round(dt.datetime.fromisoformat(max(earlier)).timestamp() * 1_000))
        while midnight_ms < start_ms:
            midnight_ms += DAY_MS
        history = 0
    curve = Curve(midnight_ms)
    scenario = replace(scenario, start_ms=start_ms, curve=curve)
    batches = playlist(scenario, history_events=history, history_days=_HISTORY_DAYS)
    records = shop_records(scenario.world())
    return Part(batches, speed, lambda at_ms: "" if at_ms is None else curve.phase(at_ms).value, records)


def _footer(stack: LocalStack) -> str:
    return (
        "Money in minor units. Ctrl-C stops everything; beside it: smart factors market · smart topics show   "
        f"(logs: {stack.folder.logs})"
    )


class Watch:
    """Plays a part and shows what becomes of it, until the part or the time is over, or somebody stops it."""

    def __init__(
        self, settings: Settings, addresses: list[str], part: Part, window_days: int, footer: str, *, is_plain: bool
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._part = part
        self._is_plain = is_plain
        self._window_days = window_days
        self._rate = Rate()
        self._sent = 0
        self._footer = footer
        self._zone = settings.default_timezone

    async def run(self, duration_s: float | None) -> None:
        """Until the end; then waits for the workers to have caught up, and tells the last figures."""
        async with StoreReader(self._settings.redis_url.get_secret_value()) as reader:
            store = StoreWatch(reader, self._window_days)
            with stop_on_signal() as stop, self._shown() as show:
                playing = asyncio.create_task(self._play(stop, duration_s))
                try:
                    await self._look_until(playing, stop, store, show)
                    await playing  # its error, if it has one
                    if not stop.is_set():
                        await self._settle(stop, store, show)
                finally:
                    playing.cancel()
            if not self._is_plain:
                typer.echo(plain_line(await self._snapshot(store)))

    async def _play(self, stop: asyncio.Event, duration_s: float | None) -> None:
        """Plays the part. The time counts from its first event in step with the clock."""
        over = asyncio.Event()

        def told(n: int, _at_ms: int | None) -> None:
            self._sent += n

        async with BulkProducer(self._settings.brokers, partitioner=self._settings.partitioner) as producer:
            records = self._part.shops
            await producer.send(SHOPS, [record.key() for record in records], [record.encode() for record in records])
            await producer.flush()
            ending = asyncio.create_task(_set_when_over(over, stop, duration_s))
            try:
                await play(self._part.batches, producer, Pace(self._part.speed), over, told)
            finally:
                ending.cancel()

    async def _look_until(
        self, playing: asyncio.Task[None], stop: asyncio.Event, store: StoreWatch, show: Callable[[Snapshot], None]
    ) -> None:
        pause_s = 1 / _LOOKS_PER_SECOND[self._is_plain]
        while not playing.done() and not stop.is_set():
            show(await self._snapshot(store))
            await asyncio.wait([playing], timeout=pause_s)

    async def _settle(self, stop: asyncio.Event, store: StoreWatch, show: Callable[[Snapshot], None]) -> None:
        """Waits until nothing lags behind, twice in a row: a figure is published with the next transaction."""
        until_s = time.monotonic() + _SETTLE_S_MAX
        quiet = 0
        while quiet < 2 and time.monotonic() < until_s and not stop.is_set():
            await asyncio.sleep(1)
            snapshot = await self._snapshot(store)
            show(snapshot)
            has_read = snapshot.workers.accepted > 0 and snapshot.workers.lag_records == 0
            quiet = quiet + 1 if has_read else 0

    async def _snapshot(self, store: StoreWatch) -> Snapshot:
        workers: WorkerFigures = await read_workers(self._addresses)
        records, error = await store.look()
        return Snapshot(
            workers=workers,
            workers_expected=len(self._addresses),
            records=records,
            rate=self._rate.look(workers.accepted, time.monotonic()),
            sent=self._sent,
            window_days=self._window_days,
            phase=self._part.phase(workers.clock_ms),
            speed=self._part.speed,
            zone=self._zone,
            store_error=error,
            footer=self._footer,
        )

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Callable[[Snapshot], None]]:
        """Where a snapshot goes: the full view, or a line."""
        if self._is_plain:
            yield lambda snapshot: typer.echo(plain_line(snapshot))
            return
        with Live(console=Console(), screen=True, auto_refresh=False) as live:
            yield lambda snapshot: live.update(render(snapshot), refresh=True)


async def _set_when_over(over: asyncio.Event, stop: asyncio.Event, duration_s: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            await stop.wait()
    over.set()
