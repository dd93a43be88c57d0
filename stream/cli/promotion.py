"""`smart promotion apply`, `list` and `show`: plans of promotions, and how far their phases have come."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from processors.pages import PageError
from schemas.errors import SmartError, UsageError
from schemas.promotion import ControlError, PromotionRecord, decode_promotion
from schemas.topics import PROMOTIONS
from serving.promotions import PhaseRecord, Reached, hours_needed, phases, scope_of
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.environment import current_settings
from stream.produce import BulkProducer

app = typer.Typer(add_completion=False, no_args_is_help=True)

_FORM: Final = "%Y-%m-%d %H:%M"


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="One promotion as JSON.", exists=True, dir_okay=False)],
) -> None:
    """Put a promotion in force, or a new version of it.

    Exit code 2 where it is none: the message names the field at fault.
    """
    try:
        record = decode_promotion(file.read_bytes())
    except ControlError as error:
        raise UsageError(f"{file}: {error}") from error
    settings = current_settings()

    async def send() -> None:
        async with BulkProducer(settings.brokers) as producer:
            await producer.send(PROMOTIONS, [record.key()], [record.encode()])

    asyncio.run(send())
    typer.echo(f"{record.promotion_id}: {len(record.phases)} phases of {scope_of(record)}")


@app.command(name="list")
def list_(*, as_json: asked.JsonOption = False) -> None:
    """List the promotions in force, by their beginning."""
    found = asyncio.run(_in_force())
    found.sort(key=lambda record: (min(record.minutes(phase)[0] for phase in record.phases), record.promotion_id))
    if as_json:
        for record in found:
            typer.echo(record.encode())
        return
    table = Table(box=None, pad_edge=False)
    for name in ("promotion", "of", "title", "phases"):
        table.add_column(name)
    for record in found:
        named = ", ".join(phase.name for phase in record.phases)
        table.add_row(record.promotion_id, scope_of(record), record.title, named)
    Console().print(table)


@app.command()
def show(
    promotion_id: Annotated[str, typer.Argument(help="As 'smart promotion list' has it.")],
    *,
    as_json: asked.JsonOption = False,
) -> None:
    """Print what each phase has brought so far, beside its targets and the same minutes of the day compared with.

    S and B are distinct users: known of phases of 5 minutes, an hour or a day, once they are over. Money is in minor
    units. Exit code 1 where there is no such promotion.
    """
    record, found = asyncio.run(_phases(promotion_id))
    if as_json:
        for one in found:
            typer.echo(one.encode())
        return
    Console().print(_table(record, found))


async def _in_force() -> list[PromotionRecord]:
    async with StoreReader(current_settings().redis_url.get_secret_value()) as reader:
        return [decode_promotion(value) for value in (await reader.promotions()).values()]


async def _phases(promotion_id: str) -> tuple[PromotionRecord, list[PhaseRecord]]:
    async with StoreReader(current_settings().redis_url.get_secret_value()) as reader:
        value = (await reader.promotions()).get(promotion_id)
        if value is None:
            raise SmartError(f"there is no promotion {promotion_id!r}; 'smart promotion list' lists those in force")
        record, clock_ms = decode_promotion(value), await reader.clock_ms()
        if clock_ms is None:
            raise SmartError("nothing is counted by the minute yet; SMART_INTRADAY_SCOPES says what is to be")
        now = clock_ms // 60_000
        scope = scope_of(record)
        pages = (await reader.hours([scope], sorted(hours_needed(record, now))))[scope]
    try:
        return record, list(phases(record, pages, now))
    except PageError as error:
        raise SmartError(f"the minutes of {scope} cannot be read: {error}") from error


def _table(record: PromotionRecord, found: Sequence[PhaseRecord]) -> Table:
    title = f"{record.promotion_id} {record.title}".strip() + f", {scope_of(record)} ({record.zone})"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("phase", "", "from", "to"):
        table.add_column(name, no_wrap=True)
    for name in ("figure", "so far", "before", "target", "reached"):
        table.add_column(name, justify="left" if name == "figure" else "right", no_wrap=True)
    for one in found:
        first = (one.phase, one.state, _local(one.start, record.zone), _local(one.end, record.zone))
        figures = {"S": one.s, "B": one.b, "cart adds": one.carts}
        figures |= {f"GMV {currency}": reached for currency, reached in one.gmv_minor.items()}
        for name, reached in figures.items():
            table.add_row(*first, name, *_cells(reached))
            first = ("", "", "", "")
    return table


def _cells(reached: Reached) -> tuple[str, ...]:
    numbers = ("-" if n is None else f"{n:,}" for n in (reached.value, reached.before, reached.target))
    return (*numbers, "-" if reached.completion is None else f"{reached.completion:.1%}")


def _local(at: str, zone: str) -> str:
    return dt.datetime.fromisoformat(at).astimezone(ZoneInfo(zone)).strftime(_FORM)
