"""`smart restatements`: how published figures of past dates of a scope have changed, and when."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from schemas.restatements import FIGURES, Figures, RestatementRecord
from schemas.settings import Settings
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)


@app.command()
def restatements(
    scope: asked.ScopeArgument,
    *,
    window: asked.WindowOption = None,
    as_of: Annotated[
        str | None, typer.Option(help="Only of periods with this last date. Default: any.", show_default=False)
    ] = None,
    last: Annotated[
        int | None, typer.Option(min=1, help="Only the newest so many records.", show_default=False)
    ] = None,
    as_json: asked.JsonOption = False,
) -> None:
    """Say how figures of past dates have changed after they had been published: what they were, what they are, when.

    A late event, a refund or a newer version of a purchase changes what a past date says. The newest restatements of
    each scope are kept; all of them are in the topic factors.restatements. Exit code 1 where the scope has no figures,
    2 where the scope or the date is none.
    """
    name, date = asked.scope_name(scope), asked.date(as_of)
    settings = current_settings()
    asked.check_window(settings, window)
    found = asyncio.run(_records(settings, name))
    if date is not None:
        found = [only for one in found if (only := _of_date(one, date.isoformat())) is not None]
    found = [one for one in found if window in (None, one.window_days)][-(last or 0) :]
    if as_json:
        for record in found:
            typer.echo(record.encode())
    elif found:
        Console().print(_table(found))
    else:
        typer.echo(f"no figure of {name} that is asked for has been restated")


async def _records(settings: Settings, scope: str) -> list[RestatementRecord]:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        found = await reader.restatements(scope)
        if not found and not await reader.newest(scope):
            raise asked.nothing_of(scope)
        return found


def _of_date(record: RestatementRecord, as_of: str) -> RestatementRecord | None:
    """What of a record is of one date; None where nothing is."""
    if as_of not in record.as_of:
        return None
    at = record.as_of.index(as_of)

    def only(figures: Figures) -> Figures:
        columns = {name: getattr(figures, name) for name in FIGURES}
        return Figures(**{name: values and values[at : at + 1] for name, values in columns.items()})

    return msgspec.structs.replace(record, as_of=[as_of], before=only(record.before), after=only(record.after))


def _table(records: list[RestatementRecord]) -> Table:
    table = Table(title=f"{records[0].scope}, money in minor units", title_justify="left", box=None, pad_edge=False)
    for title in ("restated at", "period", "to", "figure"):
        table.add_column(title, no_wrap=True)
    for title in ("before", "after", "change"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in _rows(records):
        table.add_row(*row)
    return table


def _rows(records: list[RestatementRecord]) -> Iterator[tuple[str, ...]]:
    for record in records:
        for one in record.changes():
            figure = one.figure + (f" {record.currency}" if one.figure.endswith("_minor") else "")
            change = f"{one.after - one.before:+,}"
            yield (
                record.restated_at, f"{record.window_days} d", one.as_of, figure,
                f"{one.before:,}", f"{one.after:,}", change,
            )  # fmt: skip
