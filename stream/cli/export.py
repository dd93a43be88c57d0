"""`smart export`: figures of many dates from the serving store, as a Parquet file."""

import asyncio
import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from schemas.errors import UsageError
from schemas.factors import FactorRecord
from schemas.settings import Settings
from serving.export import FactorFile
from serving.store import StoreReader
from stream.cli import asked
from stream.cli.environment import current_settings

app = typer.Typer(add_completion=False)

ANY: Final = "*"
_GLOB_SIGNS: Final = re.compile(r"([\\?\[\]])")


@app.command()
def export(
    scopes: Annotated[
        list[str],
        typer.Argument(help="Such as market, shop=s1 or 'shop=*|category=c1'; a * is any id. Several may be named."),
    ],
    *,
    output: Annotated[Path, typer.Option(help="The file to write; one that is there is replaced.", show_default=False)],
    window: asked.WindowOption = None,
    since: Annotated[
        str | None,
        typer.Option("--from", help="First date, YYYY-MM-DD. Default: as far back as they reach.", show_default=False),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Last date. Default: the newest of each scope.", show_default=False)
    ] = None,
) -> None:
    """Write the figures of scopes, for all dates or a range of them, into a Parquet file.

    A row is what 'smart factors --json' prints for its scope, date, period and currency; figures of nothing are
    absent. The file is there when all is in it. Exit code 1 where there are no figures, the store does not answer or
    the file cannot be written, 2 where a scope or a date is none.
    """
    names = [_pattern(text) for text in scopes]
    first, last = asked.date(since), asked.date(until)
    if first is not None and last is not None and first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    settings = current_settings()
    asked.check_window(settings, window)
    typer.echo(asyncio.run(_export(settings, names, output, window, first, last)), err=True)


def _pattern(text: str) -> str:
    """The one name of the scope that a text means; where it has a *, the text. Raises UsageError."""
    if ANY not in text:
        return asked.scope_name(text)
    asked.scope_name(text.replace(ANY, "x"))  # is of the form of a scope
    return text


async def _export(
    settings: Settings,
    names: Sequence[str],
    output: Path,
    window: int | None,
    first: dt.date | None,
    last: dt.date | None,
) -> str:
    async with StoreReader(settings.redis_url.get_secret_value()) as reader:
        chosen = [scope for name in names for scope in await _scopes(reader, name)]
        chosen = list(dict.fromkeys(chosen))
        with FactorFile(output) as file, _progress(len(chosen)) as advance:
            for scope in chosen:
                records = await _figures(reader, settings, scope, first, last)
                file.add([record for record in records if window in (None, record.window_days)])
                advance()
            if not file.rows:
                raise asked.nothing_of(", ".join(names), " for these dates")
    return f"wrote {file.rows:,} records of {len(chosen):,} scopes into {output}"


async def _scopes(reader: StoreReader, name: str) -> list[str]:
    """The scopes with figures that a name or a pattern means, in the order of their names; an id has no |."""
    if ANY not in name:
        return [name]
    form = re.compile("[^|]*".join(map(re.escape, name.split(ANY))))
    found = [scope for scope in await reader.scopes(_GLOB_SIGNS.sub(r"\\\1", name)) if form.fullmatch(scope)]
    if not found:
        raise asked.nothing_of(name)
    return found


async def _figures(
    reader: StoreReader, settings: Settings, scope: str, first: dt.date | None, last: dt.date | None
) -> list[FactorRecord]:
    """The figures of a scope for those of the dates that have come and are kept."""
    latest = await asked.latest_of(reader, scope, None)
    today = dt.date.fromisoformat(latest.as_of)
    kept_from = today - dt.timedelta(days=settings.horizon_days - 1)
    since, until = max(first or kept_from, kept_from), min(last or today, today)
    if since > until:
        return []
    return asked.past(settings, latest, await asked.pages_of(reader, scope), since, until)


@contextlib.contextmanager
def _progress(n_scopes: int) -> Iterator[Callable[[], None]]:
    """Tells how many scopes are done; on stderr, and only where that is a terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("export"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("export", total=n_scopes)
        yield lambda: bar.advance(task)
