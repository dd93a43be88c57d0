"""`smart breakdown`: the figures of all categories, channels … of a shop or the market, side by side."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from processors.breakdown import SORTS, breakdown
from schemas.breakdown import BreakdownRecord, BreakdownRow
from schemas.errors import UsageError
from schemas.scopes import Scope
from schemas.settings import Settings
from serving.breakdown import family_of, parts_of
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import in_money, mean, number, share
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

Column = tuple[str, Callable[[BreakdownRow], str]]
COLUMNS: Final[tuple[Column, ...]] = (
    ("GMV", lambda row: number(row.figures.gmv_minor)),
    ("share", lambda row: share(row.gmv_share)),
    ("S", lambda row: number(row.figures.s)),
    ("B", lambda row: number(row.figures.b)),
    ("M", lambda row: share(row.figures.m)),
    ("ART", lambda row: number(row.figures.art_minor)),
    ("A", lambda row: mean(row.figures.a)),
    ("R", lambda row: mean(row.figures.r)),
)


@app.command()
def breakdown_of(
    shop: Annotated[str, typer.Argument(help="The id of a shop or its scope, or market.")],
    by: Annotated[str, typer.Argument(help="category, item, brand, channel, group, power, age or gender.")],
    *,
    sort: asked.SortOption = "gmv",
    limit: asked.LimitOption = 20,
    window: asked.WindowOption = None,
    as_of: asked.AsOfOption = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Print the figures of everything of one kind in a shop or the market, for one period (30 days where it is kept).

    Exit code 1 where there are no such figures, 2 where there cannot be.
    """
    settings = current_settings()
    scope = Scope() if shop == Scope().name else asked.shop_scope(shop)
    records = asked_for(settings, scope, by, sort, limit, window, as_of)
    show(records, COLUMNS, as_json=as_json)


def asked_for(
    settings: Settings, scope: Scope, by: str, sort: str, limit: int, window: int | None, as_of: str | None
) -> list[BreakdownRecord]:
    """The breakdown that the words of a command ask for. Raises SmartError, UsageError."""
    date, window_days = asked.date(as_of), asked.one_window(settings, window)
    family_of(scope, by)
    if sort not in SORTS:
        raise UsageError(f"{sort!r} is no figure to sort by: {', '.join(SORTS)} are")
    return asyncio.run(_records(settings, scope, by, sort, limit, window_days, date))


async def _records(
    settings: Settings, scope: Scope, by: str, sort: str, limit: int, window_days: int, date: dt.date | None
) -> list[BreakdownRecord]:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        if date is not None:
            await asked.latest_of(reader, scope.name, date)
        found = await parts_of(reader, scope, by, window_days, date, settings.windows)
    if found is None or not found.whole:
        raise asked.nothing_of(scope.name, f" for {window_days} days" + (f" to {date}" if date else ""))
    return breakdown(found.whole, found.parts, by, sort, limit)


def show(records: Sequence[BreakdownRecord], columns: Sequence[Column], *, as_json: bool) -> None:
    """Print them, as JSON lines or tables."""
    console = Console()
    for record in records:
        if as_json:
            typer.echo(record.encode())
        else:
            console.print(_table(record, columns))


def _table(record: BreakdownRecord, columns: Sequence[Column]) -> Table:
    money = in_money(record.currency)
    title = f"{record.scope} by {record.by}, {record.window_days} d to {record.as_of}{money}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column(record.by, overflow="fold")
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in record.rows:
        table.add_row(row.value if row.is_exact else f"{row.value} (mixed)", *(cell(row) for _, cell in columns))
    table.caption = f"{len(record.rows):,} of {record.total:,}, by {record.sort}"
    table.caption_justify = "left"
    return table
