"""`smart simulate`: seeded shoppers, into Kafka in step with the clock, or as JSON lines into a file."""

import asyncio
import contextlib
import datetime as dt
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer

from schemas.settings import Settings
from schemas.topics import ITEMS, PROFILES, SHOPS
from stream.cli.environment import current_settings
from stream.cli.playing import PlayProgress, quiet_clients, stop_on_signal
from stream.play import LineWriter, Pace, Sender, play
from stream.produce import BulkProducer
from stream.simulate.items import item_records
from stream.simulate.playlist import playlist, shop_records
from stream.simulate.profiles import profile_records
from stream.simulate.promotion import DAY_MS, Curve
from stream.simulate.timeline import Scenario

app = typer.Typer(add_completion=False)

_TICKS_PER_SECOND: Final = 5
_ENDLESS_LOOKBACK_DAYS: Final = 30


@app.command()
def simulate(
    *,
    rate: Annotated[
        float, typer.Option(min=0.001, help="Events per second sent, on the mean of an ordinary day.")
    ] = 1_000,
    shops: Annotated[int, typer.Option(min=1, max=10_000, help="Number of shops.")] = 20,
    users: Annotated[int, typer.Option(min=1, max=10_000_000, help="Number of users.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options play the same events.")] = 1,
    duration: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds to play; without it, until Ctrl-C.", show_default=False)
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="How much faster than the clock event time runs.")] = 1.0,
    start: Annotated[
        str | None,
        typer.Option(
            help="First event time, a date or RFC 3339. Default: now; with a speed, so that the play ends now "
            f"({_ENDLESS_LOOKBACK_DAYS} days ago where it never ends).",
            show_default=False,
        ),
    ] = None,
    promotion: Annotated[
        str | None,
        typer.Option(help="Midnight that a promotion begins at, a date or RFC 3339.", show_default=False),
    ] = None,
    history: Annotated[int, typer.Option(min=0, help="Events of the past to play in first, all at once.")] = 0,
    history_days: Annotated[int, typer.Option(min=1, max=1_400, help="How far that past reaches back.")] = 400,
    one_zone: Annotated[bool, typer.Option("--one-zone", help="All shops in Asia/Shanghai, with CNY.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Write JSON lines into this file instead of Kafka, as fast as it goes; '-' is stdout."),
    ] = None,
) -> None:
    """Make seeded traffic: shoppers of many shops who browse, cart, order, pay and send things back.

    Goes to Kafka at the rate asked for, with a record for each shop, user and item; or into a file. Some events come
    late or twice. Times without an offset are those of SMART_DEFAULT_TIMEZONE. Exit code 1 where there is no broker.
    """
    if output is not None and duration is None:
        raise typer.BadParameter("--output needs --duration: a file has to end")
    settings = current_settings()
    zone = ZoneInfo(settings.default_timezone)
    start_ms = _start_ms(start, zone, speed, duration)
    scenario = Scenario(
        seed=seed,
        start_ms=start_ms,
        events_per_second=rate / speed,
        users=users,
        shops=shops,
        tick_ms=max(1, round(1_000 * speed / _TICKS_PER_SECOND)),
        curve=Curve(None if promotion is None else instant_ms(promotion, zone)),
        one_zone=one_zone,
    )
    until_ms = None if duration is None else start_ms + round(duration * speed * 1_000)
    summary = asyncio.run(_simulate(settings, scenario, speed, until_ms, (history, history_days), output))
    typer.echo(summary, err=True)


def instant_ms(text: str, zone: ZoneInfo) -> int:
    """A date (its midnight) or an RFC 3339 time, in `zone` where it has no offset. Raises typer.BadParameter."""
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a date such as 2026-11-11 nor a time in RFC 3339") from None
    return round((instant if instant.tzinfo else instant.replace(tzinfo=zone)).timestamp() * 1_000)


def _start_ms(start: str | None, zone: ZoneInfo, speed: float, duration: float | None) -> int:
    now_ms = time.time_ns() // 1_000_000
    if start is not None:
        return instant_ms(start, zone)
    if speed == 1:
        return now_ms
    return now_ms - (_ENDLESS_LOOKBACK_DAYS * DAY_MS if duration is None else round(duration * speed * 1_000))


async def _simulate(
    settings: Settings,
    scenario: Scenario,
    speed: float,
    until_ms: int | None,
    past: tuple[int, int],
    output: Path | None,
) -> str:
    pace = Pace(None if output is not None else speed)
    total_ms = None if until_ms is None else until_ms - scenario.start_ms
    async with _sender(settings, scenario, output) as sender:
        with stop_on_signal() as stop, PlayProgress("simulate", total_ms) as progress:

            def told(n: int, at_ms: int | None) -> None:
                progress.tell(n, at_ms, None if at_ms is None else at_ms - scenario.start_ms)

            batches = playlist(scenario, until_ms=until_ms, history_events=past[0], history_days=past[1])
            await play(batches, sender, pace, stop, told)
    return progress.summary()


@contextlib.asynccontextmanager
async def _sender(settings: Settings, scenario: Scenario, output: Path | None) -> AsyncIterator[Sender]:
    if output is not None:
        with contextlib.nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("wb") as file:
            yield LineWriter(file)
        return
    quiet_clients()
    async with BulkProducer(settings.brokers, partitioner=settings.partitioner) as producer:
        records = shop_records(scenario.world())
        await producer.send(SHOPS, [record.key() for record in records], [record.encode() for record in records])
        for keys, values in profile_records(scenario):
            await producer.send(PROFILES, keys, values)
        for keys, values in item_records(scenario):
            await producer.send(ITEMS, keys, values)
        await producer.flush()
        yield producer
