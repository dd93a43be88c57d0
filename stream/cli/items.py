"""`smart items`: the item table of a shop."""

from typing import Final

import typer

from stream.cli import asked
from stream.cli.breakdown import Column, asked_for, show
from stream.cli.cells import mean, number, share
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

COLUMNS: Final[tuple[Column, ...]] = (
    ("GMV", lambda row: number(row.figures.gmv_minor)),
    ("S", lambda row: number(row.figures.s)),
    ("new", lambda row: number(row.figures.s_new)),
    ("existing", lambda row: number(row.figures.s_existing)),
    ("M", lambda row: share(row.figures.m)),
    ("new", lambda row: share(row.figures.m_new)),
    ("existing", lambda row: share(row.figures.m_existing)),
    ("ART", lambda row: number(row.figures.art_minor)),
    ("new", lambda row: number(row.figures.art_new_minor)),
    ("existing", lambda row: number(row.figures.art_existing_minor)),
    ("A", lambda row: mean(row.figures.a)),
    ("R", lambda row: mean(row.figures.r)),
)


@app.command()
def items(
    shop: asked.ShopArgument,
    *,
    sort: asked.SortOption = "gmv",
    limit: asked.LimitOption = 20,
    window: asked.WindowOption = None,
    as_of: asked.AsOfOption = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Print the item table of a shop for one period (30 days where it is kept): S, M, ART by class, A and R of each.

    It is read from the figures of items, which a deployment keeps where SMART_SCOPES has item. Exit code 1 where there
    are none.
    """
    settings = current_settings()
    records = asked_for(settings, asked.shop_scope(shop), "item", sort, limit, window, as_of)
    show(records, COLUMNS, as_json=as_json)
