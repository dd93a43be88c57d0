"""`smart peers`: a shop beside the mean of the shops of its size."""

import asyncio
import datetime as dt

import typer
from rich.console import Console
from rich.table import Table

from schemas.factors import NO_CURRENCY
from schemas.peers import PeerRecord
from schemas.scopes import Scope
from schemas.settings import Settings
from serving.peers import peers_of
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import figure
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)


@app.command()
def peers(shop: asked.ShopArgument, *, as_of: asked.AsOfOption = None, as_json: asked.JsonOption = False) -> None:
    """Print the figures of a shop beside the mean of its tier, for the last complete period (of 30 days).

    A tier is at least six shops of about the same size. Means are published once a period and say nothing of a single
    shop. Exit code 1 where there is no such tier.
    """
    settings = current_settings()
    record = asyncio.run(_record(settings, asked.shop_scope(shop), asked.date(as_of)))
    if as_json:
        typer.echo(record.encode())
    else:
        Console().print(_table(record))


async def _record(settings: Settings, shop: Scope, date: dt.date | None) -> PeerRecord:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        await asked.latest_of(reader, shop.name, date)
        return await peers_of(reader, shop, date, settings.windows, settings.horizon_days)


def _table(record: PeerRecord) -> Table:
    measure = f"GMV in minor units of {record.currency}" if record.currency != NO_CURRENCY else "S"
    table = Table(
        title=f"{record.scope}, {record.window_days} d to {record.as_of}",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for heading in ("", "own", "mean of the tier", "place"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, one in record.figures.items():
        place = f"quarter {one.quartile} of 4" if one.quartile is not None else "-"
        table.add_row(name, figure(name, one.own), figure(name, one.mean), place)
    upper = f"less than {record.size_to:,}" if record.size_to is not None else "any more"
    table.caption = f"{record.shops} shops, with {record.size_from:,} or more and {upper}, in {measure}"
    table.caption_justify = "left"
    return table
