"""`smart power`: how well the new items of a shop draw traffic."""

import asyncio
import datetime as dt

import typer
from rich.console import Console
from rich.table import Table

from schemas.power import PowerRecord
from schemas.scopes import Scope
from schemas.settings import Settings
from serving.power import power_of
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.cells import mean, number, share
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)


@app.command()
def power(shop: asked.ShopArgument, *, as_of: asked.AsOfOption = None, as_json: asked.JsonOption = False) -> None:
    """Print the new-product power T of a shop for the last complete period (of 30 days), and what it is made of.

    For each channel: the share of active users who were active on new items, held to the share of new items among those
    on sale. T is the place of the shop's lift among the shops of its tier, 0 to 100. Needs figures of channels and of
    new items (SMART_SCOPES), and the catalogue. Exit code 1 where there are no figures.
    """
    settings = current_settings()
    record = asyncio.run(_record(settings, asked.shop_scope(shop), asked.date(as_of)))
    if as_json:
        typer.echo(record.encode())
    else:
        Console().print(_table(record))


async def _record(settings: Settings, shop: Scope, date: dt.date | None) -> PowerRecord:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        await asked.latest_of(reader, shop.name, date)
        return await power_of(reader, shop, date, settings.windows, settings.horizon_days)


def _table(record: PowerRecord) -> Table:
    told = "-" if record.power is None else f"{record.power:g}"
    title = f"{record.scope}, {record.window_days} d to {record.as_of}: T = {told}, lift {mean(record.lift)}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("channel", "S", "S of new items", "share", "lift", "weight"):
        table.add_column(heading, justify="left" if heading == "channel" else "right", no_wrap=True)
    for one in record.channels:
        table.add_row(
            one.channel, number(one.s), number(one.s_new_items), share(one.share), mean(one.lift), share(one.weight)
        )
    of_tier = f"{record.tier_shops} shops of the tier" if record.tier_shops is not None else "no tier to compare with"
    table.caption = f"expected share {share(record.expected_share)} of the items on sale; {of_tier}"
    table.caption_justify = "left"
    return table
