"""`smart factors`: the newest figures of a scope from the serving store, or those of a past date."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import UsageError
from schemas.factors import FactorRecord
from schemas.settings import Settings
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import in_money, mean, number, share
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

Cell = Callable[[FactorRecord], str]


@app.command()
def factors(
    scope: asked.ScopeArgument,
    *,
    window: asked.WindowOption = None,
    as_of: asked.AsOfOption = None,
    last: Annotated[
        int | None,
        typer.Option(min=1, help="Of so many dates up to the last one.", show_default=False),
    ] = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Print the newest figures of a scope, for all periods, or those of a past date, or a trend over dates.

    Money is in minor units. Figures of nothing are absent, and a ratio without a denominator is '-'. Exit code 1 where
    there are no figures, 2 where the scope or the date is none.
    """
    name, date = asked.scope_name(scope), asked.date(as_of)
    settings = current_settings()
    asked.check_window(settings, window)
    if last is not None and last > settings.horizon_days:
        raise UsageError(f"figures reach {settings.horizon_days} dates back (SMART_HORIZON_DAYS), not {last}")
    records = asyncio.run(_records(settings, name, window, date, last))
    if not records:
        raise asked.nothing_of(name, f" as of {as_of}" if as_of else "")
    if as_json:
        for record in records:
            typer.echo(record.encode())
        return
    console = Console()
    for table in tables(records) if last is None else trends(records):
        console.print(table)


async def _records(
    settings: Settings, scope: str, window: int | None, date: dt.date | None, last: int | None
) -> list[FactorRecord]:
    """What was asked for; the newest records answer for their own date, pages for others."""
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        newest = await reader.newest(scope)
        if (date is None and last is None) or not newest:
            return [record for record in newest if window in (None, record.window_days)]
        latest = max(newest, key=lambda record: record.as_of)
        date = date or dt.date.fromisoformat(latest.as_of)
        asked.check_has_come(scope, date, latest)
        pages = await asked.pages_of(reader, scope)
    first = date - dt.timedelta(days=(last or 1) - 1)
    past = asked.past(settings, latest, pages, first, date)
    return [record for record in past if window in (None, record.window_days)]


ROWS: Final[tuple[tuple[str, Cell], ...]] = (
    ("S  audience", lambda r: number(r.s)),
    ("   potential", lambda r: number(r.s_potential)),
    ("   new", lambda r: number(r.s_new)),
    ("   existing", lambda r: number(r.s_existing)),
    ("B  buyers", lambda r: number(r.b)),
    ("   new", lambda r: number(r.b_new)),
    ("   existing", lambda r: number(r.b_existing)),
    ("M  penetration", lambda r: share(r.m)),
    ("   new", lambda r: share(r.m_new)),
    ("   existing", lambda r: share(r.m_existing)),
    ("GMV", lambda r: number(r.gmv_minor)),
    ("   new", lambda r: number(r.gmv_new_minor)),
    ("   existing", lambda r: number(r.gmv_existing_minor)),
    ("ART  spend per buyer", lambda r: number(r.art_minor)),
    ("   new", lambda r: number(r.art_new_minor)),
    ("   existing", lambda r: number(r.art_existing_minor)),
    ("A  items per buyer", lambda r: mean(r.a)),
    ("R  purchase days per buyer", lambda r: mean(r.r)),
)


def tables(records: Sequence[FactorRecord]) -> list[Table]:
    """A table for each currency: a column for each period, a row for each figure."""
    by_currency = sorted(records, key=lambda record: (record.currency, record.window_days))
    return [_table(list(group)) for _, group in groupby(by_currency, key=lambda record: record.currency)]


def trends(records: Sequence[FactorRecord]) -> list[Table]:
    """A table for each currency and period: a row for each date, oldest first."""
    by_kind = sorted(records, key=lambda record: (record.currency, record.window_days, record.as_of))
    return [_trend(list(group)) for _, group in groupby(by_kind, key=lambda r: (r.currency, r.window_days))]


def _trend(records: Sequence[FactorRecord]) -> Table:
    first = records[0]
    title = f"{first.scope}, {first.window_days} d{in_money(first.currency)}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("to", no_wrap=True)
    rows = [row for row in ROWS if not row[0].startswith(" ")]
    for name, _ in rows:
        table.add_column(name.split("  ")[0], justify="right", no_wrap=True)
    for record in records:
        table.add_row(record.as_of, *(cell(record) for _, cell in rows))
    return table


def _table(records: Sequence[FactorRecord]) -> Table:
    first = records[0]
    table = Table(title=f"{first.scope}{in_money(first.currency)}", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for record in records:
        table.add_column(f"{record.window_days} d to {record.as_of}", justify="right", no_wrap=True)
    for name, cell in ROWS:
        table.add_row(name, *map(cell, records), style="" if name.startswith(" ") else "bold")
    table.caption = (
        f"data from {first.history_from or 'unknown'}, complete through {first.complete_through or 'unknown'}"
    )
    table.caption_justify = "left"
    return table
