"""`smart spend`: what buyers of a shop spend, on what, and how concentrated that is."""

import asyncio
import datetime as dt
from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import SmartError
from schemas.scopes import Scope
from schemas.settings import Settings
from schemas.spend import Concentration, SpendBand, SpendRecord
from serving.spend import spend_of
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import in_money, mean, number, share
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)


@app.command()
def spend(
    shop: asked.ShopArgument,
    *,
    window: asked.WindowOption = None,
    as_of: asked.AsOfOption = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Say what buyers of a shop spend for one period (30 days where it is kept): how much, how often, on what.

    Categories, channels and items are looked at as far as SMART_SCOPES has them. Exit code 1 where no money was spent.
    """
    settings = current_settings()
    scope, date, window_days = asked.shop_scope(shop), asked.date(as_of), asked.one_window(settings, window)
    records = asyncio.run(_records(settings, scope, window_days, date))
    if not records:
        raise SmartError(f"no money was spent in {scope.name} in this period")
    console = Console()
    for record in records:
        if as_json:
            typer.echo(record.encode())
            continue
        console.print(_summary(record))
        for one in record.concentrations:
            console.print(_parts(one))
        console.print(_bands("A  pieces per buyer", record.quantity_bands))
        console.print(_bands("R  purchase days per buyer", record.frequency_bands))
        if record.not_kept:
            console.print(f"no figures by {', '.join(record.not_kept)}: SMART_SCOPES of the workers must have them")


async def _records(settings: Settings, scope: Scope, window_days: int, date: dt.date | None) -> list[SpendRecord]:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        await asked.latest_of(reader, scope.name, date)
        return await spend_of(reader, scope, window_days, date, settings.windows)


def _summary(record: SpendRecord) -> Table:
    title = f"{record.scope}, {record.window_days} d to {record.as_of}{in_money(record.currency)}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("", "all", "new", "existing"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    figures = record.figures
    table.add_row("B  buyers", *map(number, (figures.b, figures.b_new, figures.b_existing)))
    table.add_row("GMV", *map(number, (figures.gmv_minor, figures.gmv_new_minor, figures.gmv_existing_minor)))
    table.add_row("   share", "", share(record.gmv_new_share), share(record.gmv_existing_share))
    table.add_row(
        "ART  spend per buyer",
        *map(number, (figures.art_minor, figures.art_new_minor, figures.art_existing_minor)),
    )
    table.add_row("A  items per buyer", mean(figures.a))
    table.add_row("R  purchase days per buyer", mean(figures.r))
    table.add_row("spend per purchase day", number(record.day_spend_minor))
    table.add_row("items per purchase day", mean(record.day_items))
    table.add_row("price of an item", number(record.item_price_minor))
    return table


def _parts(one: Concentration) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(one.by, overflow="fold")
    table.add_column("GMV", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    for part in one.top:
        table.add_row(part.value, number(part.gmv_minor), share(part.gmv_share))
    table.caption = (
        f"{one.total:,} with {share(one.gmv_share)} of GMV; the ten greatest {share(one.top_10_share)} of that, "
        f"80 % in {one.for_80_percent:,}; Herfindahl {mean(one.herfindahl)}"
    )
    table.caption_justify = "left"
    return table


def _bands(name: str, bands: Sequence[SpendBand]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in (name, "items", "GMV", "share"):
        table.add_column(heading, justify="left" if heading == name else "right", no_wrap=True)
    for band in bands:
        upper = f" … {band.up_to:g}" if band.up_to is not None else ""
        table.add_row(f"> {band.above:g}{upper}", number(band.items), number(band.gmv_minor), share(band.gmv_share))
    return table
