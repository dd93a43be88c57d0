"""`smart growth`: how the GMV of a scope has changed, and what S, M and ART have each contributed."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from processors.pages import PageError
from schemas.errors import SmartError, UsageError
from schemas.growth import GrowthRecord, GrowthStep
from schemas.settings import Settings
from serving.growth import growth_at
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import change, number
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

YEAR_DAYS: Final = 365
NAMES: Final = {"s": "S  audience", "m": "M  penetration", "art": "ART  spend per buyer"}


@app.command()
def growth(
    scope: asked.ScopeArgument,
    *,
    window: asked.WindowOption = None,
    as_of: asked.AsOfOption = None,
    against: Annotated[
        str, typer.Option(help="The periods to compare with: 'previous', 'year', or their last date.")
    ] = "previous",
    steps: Annotated[bool, typer.Option("--steps", help="Also the steps behind the recommended factor.")] = False,
    as_json: asked.JsonOption = False,
) -> None:
    """Say how the GMV of a scope has changed between two periods, and what S, M and ART have each contributed.

    The contributions add up to the change, by class of customer too. 'previous' are the days just before each period,
    'year' the same dates 365 days earlier. Exit code 1 where there is no money, 2 where the scope or a date is none.
    """
    name, date = asked.scope_name(scope), asked.date(as_of)
    settings = current_settings()
    asked.check_window(settings, window)
    records = asyncio.run(_records(settings, name, date, against, with_steps=steps))
    records = [record for record in records if window in (None, record.window_days)]
    if not records:
        raise SmartError(f"no money was spent in {name} in these periods")
    console = Console()
    for record in records:
        if as_json:
            typer.echo(record.encode())
        else:
            console.print(_table(record))
            if record.recommended is not None and record.recommended.steps is not None:
                console.print(_steps(record.recommended.steps))


async def _records(
    settings: Settings, scope: str, date: dt.date | None, against: str, *, with_steps: bool
) -> list[GrowthRecord]:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        latest = await asked.latest_of(reader, scope, date)
        pages = await asked.pages_of(reader, scope)
    date = date or dt.date.fromisoformat(latest.as_of)
    try:
        other = _other_date(date, against)
        history_from = dt.date.fromisoformat(latest.history_from) if latest.history_from else None
        return growth_at(
            scope, pages, settings.windows, date, other, settings.horizon_days, history_from, with_steps=with_steps
        )
    except PageError as error:
        raise SmartError(f"the pages of {scope} cannot be read: {error}") from error


def _other_date(date: dt.date, against: str) -> dt.date | None:
    """Last date of the periods to compare with; None: those just before."""
    if against == "previous":
        return None
    other = date - dt.timedelta(days=YEAR_DAYS) if against == "year" else asked.date(against)
    if other is None or other >= date:
        raise UsageError(f"--against must be 'previous', 'year' or a date before {date}, not {against!r}")
    return other


def _table(record: GrowthRecord) -> Table:
    title = (
        f"{record.scope}, {record.window_days} d to {record.as_of} against {record.against}, "
        f"in minor units of {record.currency}"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in ("all", "new", "existing"):
        table.add_column(name, justify="right", no_wrap=True)
    for factor, name in NAMES.items():
        parts = (getattr(record, f"{factor}{of}_part_minor") for of in ("", "_new", "_existing"))
        table.add_row(name, *(f"{part:+,}" for part in parts))
    table.add_row("ΔGMV", f"{record.gmv_change_minor:+,}", style="bold")
    table.add_row("GMV before, after", f"{record.gmv_before_minor:,}", f"{record.gmv_minor:,}")
    table.caption_justify = "left"
    best = record.recommended
    if best is not None:
        table.caption = (
            f"{NAMES[best.factor]} has contributed most from {best.first} to {best.last}: {best.part_minor:+,} of "
            f"{best.gmv_change_minor:+,} in {best.periods} periods"
        )
    return table


def _steps(steps: Sequence[GrowthStep]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("to", "GMV", "ΔGMV", "S", "M", "ART"):
        table.add_column(heading, justify="left" if heading == "to" else "right", no_wrap=True)
    for step in steps:
        parts = (step.gmv_change_minor, step.s_part_minor, step.m_part_minor, step.art_part_minor)
        table.add_row(step.as_of, number(step.gmv_minor), *map(change, parts))
    return table
