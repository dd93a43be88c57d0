"""`smart live`: what happens in a shop minute by minute, beside the same minute of another day."""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from processors.intraday.counts import HOUR
from processors.pages import PageError
from schemas.errors import SmartError, UsageError
from schemas.intraday import MinuteRecord, TrailingRecord
from schemas.scopes import parse
from schemas.settings import Settings
from serving.intraday import (
    TRAILING,
    date_at,
    hours_before,
    hours_of,
    minute_of,
    same_minute,
    series,
    trailing,
)
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

YEAR_DAYS: Final = 365
_IDLE_HOURS: Final = 25
"""A cross whose last hour is older counts nobody any more."""
_NAMES: Final = {5: "5 min", HOUR: "1 h", 24 * HOUR: "24 h"}


@dataclass(frozen=True)
class Live:
    """All that was asked for."""

    trailing: list[TrailingRecord]
    against: list[TrailingRecord]
    minutes: list[MinuteRecord]
    crosses: list[TrailingRecord] = field(default_factory=list)


@app.command()
def live(
    shop: Annotated[str, typer.Argument(help="A shop id, or a scope: 'shop=s1|channel=paid', market.")],
    *,
    minutes: Annotated[int, typer.Option(min=0, max=2_880, help="So many last minutes, one by one.")] = 10,
    at: Annotated[
        str | None, typer.Option(help="A past minute, RFC 3339. Default: the newest.", show_default=False)
    ] = None,
    against: Annotated[
        str, typer.Option(help="The day to compare with: 'day' before, 'week', 'year', or a date.")
    ] = "day",
    cross: Annotated[
        Literal["channel", "item"] | None,
        typer.Option(help="Also the shop's channels, or its items, the most bought first.", show_default=False),
    ] = None,
    window: Annotated[int, typer.Option(help="Minutes that crosses are of: 5, 60 or 1440.")] = HOUR,
    top: Annotated[int, typer.Option(min=1, help="So many crosses at most.")] = 10,
    timezone: Annotated[
        str | None,
        typer.Option(
            help="Zone of the days and of what is shown. Default: SMART_DEFAULT_TIMEZONE.", show_default=False
        ),
    ] = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Print distinct users (S), buyers (B), cart adds and GMV of the last 5 minutes, hour and day, and of each minute.

    By event time, late events and refunds included. Existing users had bought in the 365 dates before that day. Money
    is in minor units. Exit code 1 where nothing is counted by the minute, 2 where an option is wrong.
    """
    scope = asked.scope_name(shop if "=" in shop or shop == "market" else f"shop={shop}")
    settings = current_settings()
    zone = _zone(timezone or settings.default_timezone)
    if window not in TRAILING:
        raise UsageError(f"--window must be one of {', '.join(map(str, TRAILING))} minutes, not {window}")
    if cross is not None and (parse(scope).shop is None or parse(scope).kind):
        raise UsageError("--cross is of a shop")
    found = asyncio.run(_read(settings, scope, zone, at, against, minutes, cross))
    crosses = [record for record in found.crosses if record.minutes == window and record.s]
    crosses.sort(key=lambda record: (-record.b, -record.s, record.scope))
    if as_json:
        for record in (*found.trailing, *found.against, *found.minutes, *crosses[:top]):
            typer.echo(record.encode())
        return
    console = Console()
    console.print(_trailing_table(scope, zone, found))
    console.print(_existing_table(found))
    if crosses:
        console.print(_cross_table(crosses[:top], window))
    if found.minutes:
        console.print(_minutes_table(zone, found.minutes))


async def _read(
    settings: Settings, scope: str, zone: str, at: str | None, against: str, minutes: int, cross: str | None
) -> Live:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        clock_ms = await reader.clock_ms()
        if clock_ms is None:
            raise SmartError("nothing is counted by the minute yet; SMART_INTRADAY_SCOPES says what is to be")
        now = clock_ms // 60_000
        minute = now if at is None else _minute(at, zone)
        if minute > now:
            raise UsageError(f"{at} has not come yet")
        other = same_minute(minute, _other_date(date_at(minute, zone), against), zone)
        first = minute - max(minutes, 1) + 1
        hours = {*hours_before(minute), *hours_before(other), *hours_of(first, minute)}
        pages = (await reader.hours([scope], sorted(hours)))[scope]
        crosses: dict[str, dict[int, bytes]] = {}
        if cross is not None:
            last_hours = await reader.crosses(scope, cross)
            alive = [name for name, hour in last_hours.items() if hour > minute // HOUR - _IDLE_HOURS]
            crosses = await reader.hours(alive, hours_before(minute))
    if not pages:
        raise SmartError(f"nothing of {scope} was counted by the minute in these days")
    try:
        return Live(
            trailing(scope, pages, minute),
            trailing(scope, pages, other),
            series(scope, pages, first, minute) if minutes else [],
            [record for name, own in crosses.items() for record in trailing(name, own, minute)],
        )
    except PageError as error:
        raise SmartError(f"the minutes of {scope} cannot be read: {error}") from error


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"{name!r} is no time zone such as Asia/Shanghai") from None
    return name


def _minute(text: str, zone: str) -> int:
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time such as 2026-11-11T00:05 or 2026-11-11T00:05:00+08:00") from None
    return minute_of(instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(zone)))


def _other_date(date: dt.date, against: str) -> dt.date:
    days = {"day": 1, "week": 7, "year": YEAR_DAYS}.get(against)
    other = date - dt.timedelta(days=days) if days else asked.date(against)
    if other is None or other >= date:
        raise UsageError(f"--against must be 'day', 'week', 'year' or a date before {date}, not {against!r}")
    return other


def _trailing_table(scope: str, zone: str, found: Live) -> Table:
    title = f"{scope}, {_local(found.trailing[0].at, zone)} against {_local(found.against[0].at, zone)} ({zone})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in ("S", "before", "B", "before", "M", "before", "cart adds", "before"):
        table.add_column(name, justify="right", no_wrap=True, style="dim" if name == "before" else "")
    table.add_column("GMV", justify="right")
    table.add_column("before", justify="right", style="dim")
    for now, then in zip(found.trailing, found.against, strict=True):
        counts = [f"{value:,}" for name in ("s", "b") for value in (getattr(now, name), getattr(then, name))]
        carts = (f"{now.carts:,}", f"{then.carts:,}")
        table.add_row(_NAMES[now.minutes], *counts, _share(now.m), _share(then.m), *carts, _gmv(now), _gmv(then))
    return table


def _existing_table(found: Live) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("existing", no_wrap=True)
    for name in ("S", "before", "B", "before", "M", "before"):
        table.add_column(name, justify="right", no_wrap=True, style="dim" if name == "before" else "")
    table.add_column("GMV", justify="right")
    table.add_column("before", justify="right", style="dim")
    for now, then in zip(found.trailing, found.against, strict=True):
        pairs = ((now.s_existing, then.s_existing), (now.b_existing, then.b_existing))
        counts = [f"{value:,}" for pair in pairs for value in pair]
        shares = (_share(now.m_existing), _share(then.m_existing))
        gmv = (_money(now.gmv_existing_minor), _money(then.gmv_existing_minor))
        table.add_row(_NAMES[now.minutes], *counts, *shares, *gmv)
    return table


def _cross_table(records: Sequence[TrailingRecord], window: int) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(_NAMES[window], no_wrap=True)
    for name in ("S", "B", "M", "cart adds", "GMV"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        counts = (f"{record.s:,}", f"{record.b:,}", _share(record.m), f"{record.carts:,}", _gmv(record))
        table.add_row(parse(record.scope).value, *counts)
    return table


def _minutes_table(zone: str, records: Sequence[MinuteRecord]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("minute", no_wrap=True)
    for name in ("S", "B", "cart adds", "GMV"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in records:
        table.add_row(_local(record.at, zone)[11:], f"{record.s:,}", f"{record.b:,}", f"{record.carts:,}", _gmv(record))
    return table


def _local(at: str, zone: str) -> str:
    return dt.datetime.fromisoformat(at).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _gmv(record: MinuteRecord | TrailingRecord) -> str:
    return _money(record.gmv_minor)


def _money(gmv: Mapping[str, int]) -> str:
    return ", ".join(f"{minor:,} {currency}" for currency, minor in gmv.items()) or "-"
