"""`smart compare`: the figures of a scope beside those of the period before and of a year earlier."""

import asyncio
import datetime as dt

import typer
from rich.console import Console
from rich.table import Table

from processors.comparison import FIGURES
from processors.pages import PageError
from schemas.comparison import ComparisonRecord
from schemas.errors import SmartError
from schemas.settings import Settings
from serving.comparison import Reach, compare_at
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import figure, growth, in_money
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    scope: asked.ScopeArgument,
    *,
    window: asked.WindowOption = None,
    as_of: asked.AsOfOption = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Print every figure of a scope beside that of the period just before, and of the same dates 365 days earlier.

    A change is '-' where the history does not reach that far back. Exit code 1 where there are no figures, 2 where the
    scope or the date is none.
    """
    name, date = asked.scope_name(scope), asked.date(as_of)
    settings = current_settings()
    asked.check_window(settings, window)
    records = asyncio.run(_records(settings, name, date))
    records = [record for record in records if window in (None, record.window_days)]
    if not records:
        raise asked.nothing_of(name, f" as of {as_of}" if as_of else "")
    console = Console()
    for record in records:
        if as_json:
            typer.echo(record.encode())
        else:
            console.print(_table(record))


async def _records(settings: Settings, scope: str, date: dt.date | None) -> list[ComparisonRecord]:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        latest = await asked.latest_of(reader, scope, date)
        pages = await asked.pages_of(reader, scope)
    last = dt.date.fromisoformat(latest.as_of)
    history_from = dt.date.fromisoformat(latest.history_from) if latest.history_from else None
    reach = Reach(history_from, last - dt.timedelta(days=settings.horizon_days))
    try:
        return compare_at(scope, pages, settings.windows, date or last, reach)
    except PageError as error:
        raise SmartError(f"the pages of {scope} cannot be read: {error}") from error


def _table(record: ComparisonRecord) -> Table:
    title = f"{record.scope}, {record.window_days} d to {record.as_of}{in_money(record.currency)}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    then = [f"to {date}" if date else "not known" for date in (record.previous_as_of, record.year_as_of)]
    for heading in ("value", then[0], "change", then[1], "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in FIGURES:
        one = record.figures[name]
        value, previous, year = (figure(name, each) for each in (one.value, one.previous, one.year))
        table.add_row(name, value, previous, growth(one.previous_growth), year, growth(one.year_growth))
    table.caption = f"data from {record.history_from or 'unknown'}"
    table.caption_justify = "left"
    return table
