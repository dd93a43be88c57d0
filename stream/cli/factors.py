"""`smart factors`: the newest figures of a scope from the serving store, or those of a past date."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from processors.figures import Provenance
from processors.pages import PageError
from schemas.errors import SmartError, UsageError
from schemas.factors import FactorRecord
from schemas.scopes import ScopeError, parse
from schemas.settings import Settings
from serving.past import figures_at
from serving.store import StoreReader
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

Cell = Callable[[FactorRecord], str]


@app.command()
def factors(
    scope: Annotated[str, typer.Argument(help="Such as market, shop=s1 or 'shop=s1|category=c1'.")],
    *,
    window: Annotated[
        int | None, typer.Option(min=1, help="Only this period, in days. Default: all.", show_default=False)
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Last date of the periods, YYYY-MM-DD. Default: the newest.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records, one JSON object a line.")] = False,
) -> None:
    """Print the newest figures of a scope, for all periods, or those of a past date.

    Money is in minor units. Figures of nothing are absent, and a ratio without a denominator is '-'. Exit code 1 where
    there are no figures, 2 where the scope or the date is none.
    """
    name, date = _scope_name(scope), _date(as_of)
    settings = current_settings()
    if window is not None and window not in settings.windows:
        known = ", ".join(map(str, settings.windows))
        raise UsageError(f"there are no figures of {window} days: SMART_WINDOWS has {known}")
    records = asyncio.run(_records(settings, name, window, date))
    if not records:
        when = f" as of {as_of}" if as_of else ""
        raise SmartError(f"there are no figures of {name}{when}; 'smart config' lists what figures are kept of")
    if as_json:
        for record in records:
            typer.echo(record.encode())
        return
    console = Console()
    for table in tables(records):
        console.print(table)


def _scope_name(text: str) -> str:
    try:
        return parse(text).name
    except ScopeError as error:
        raise UsageError(str(error)) from error


def _date(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date such as 2026-11-11") from None


async def _records(settings: Settings, scope: str, window: int | None, date: dt.date | None) -> list[FactorRecord]:
    """What was asked for; the newest records answer for their own date, pages for an earlier one."""
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        newest = await reader.newest(scope)
        if date is None or not newest:
            return [record for record in newest if window in (None, record.window_days)]
        latest = max(newest, key=lambda record: record.as_of)
        if date.isoformat() > latest.as_of:
            raise SmartError(f"the figures of {scope} reach up to {latest.as_of}; {date} has not come for it")
        pages = {int(number): page for number, page in (await reader.pages(scope)).items()}
    provenance = Provenance(latest.history_from, latest.complete_through, latest.computed_at)
    try:
        past = figures_at(scope, pages, settings.windows, date, provenance)
    except PageError as error:
        raise SmartError(f"the pages of {scope} cannot be read: {error}") from error
    return [record for record in past if window in (None, record.window_days)]


def _number(value: float | None) -> str:
    """A count or a money amount; '-' where there is none."""
    return "-" if value is None else f"{value:,.0f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _mean(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


ROWS: Final[tuple[tuple[str, Cell], ...]] = (
    ("S  audience", lambda r: _number(r.s)),
    ("   potential", lambda r: _number(r.s_potential)),
    ("   new", lambda r: _number(r.s_new)),
    ("   existing", lambda r: _number(r.s_existing)),
    ("B  buyers", lambda r: _number(r.b)),
    ("   new", lambda r: _number(r.b_new)),
    ("   existing", lambda r: _number(r.b_existing)),
    ("M  penetration", lambda r: _share(r.m)),
    ("   new", lambda r: _share(r.m_new)),
    ("   existing", lambda r: _share(r.m_existing)),
    ("GMV", lambda r: _number(r.gmv_minor)),
    ("   new", lambda r: _number(r.gmv_new_minor)),
    ("   existing", lambda r: _number(r.gmv_existing_minor)),
    ("ART  spend per buyer", lambda r: _number(r.art_minor)),
    ("   new", lambda r: _number(r.art_new_minor)),
    ("   existing", lambda r: _number(r.art_existing_minor)),
    ("A  items per buyer", lambda r: _mean(r.a)),
    ("R  purchase days per buyer", lambda r: _mean(r.r)),
)


def tables(records: Sequence[FactorRecord]) -> list[Table]:
    """A table for each currency: a column for each period, a row for each figure."""
    by_currency = sorted(records, key=lambda record: (record.currency, record.window_days))
    return [_table(list(group)) for _, group in groupby(by_currency, key=lambda record: record.currency)]


def _table(records: Sequence[FactorRecord]) -> Table:
    first = records[0]
    title = f"{first.scope}, money in minor units of {first.currency}" if first.currency != "-" else first.scope
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
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
