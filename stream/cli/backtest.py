"""`smart backtest`: the factors of files of events, through the same core as a worker's, with no Kafka."""

import contextlib
import datetime as dt
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from processors.backtest import Backtest, Question
from schemas.adapters import FORMATS
from schemas.errors import UsageError
from schemas.refusals import Code, Refusal
from schemas.scopes import Scope, ScopeError, parse
from schemas.settings import SCOPE_WORDS
from stream.catalogue import read_items
from stream.files import InputFiles
from stream.profiles import read_profiles

app = typer.Typer(add_completion=False)

EMITTED: Final = ("factors", "members", "sync")
CHUNK_LINES: Final = 1 << 14
CHUNK_BYTES: Final = 1 << 24


@app.command()
def backtest(
    files: Annotated[list[Path], typer.Argument(help="Files of events, plain or gzipped.", show_default=False)],
    *,
    as_of: Annotated[
        list[str],
        typer.Option(
            help="Last date of the periods, YYYY-MM-DD; several with commas, or repeated.", show_default=False
        ),
    ],
    format_name: Annotated[str, typer.Option("--format", help=f"Of the files: {', '.join(FORMATS)}.")] = "native",
    windows: Annotated[str, typer.Option(help="Lengths of the periods in days.")] = "1,7,30,365",
    scopes: Annotated[
        str, typer.Option(help=f"Kinds of scopes, of {', '.join(SCOPE_WORDS)}. Channels: both levels.")
    ] = "shop,market",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="One scope instead, such as 'shop=s1|category=c1'; may be repeated.", show_default=False),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Zone of the shops' business dates.")] = "Asia/Shanghai",
    shop_id: Annotated[str, typer.Option(help="The shop, for formats that name none.")] = "shop",
    emit: Annotated[str, typer.Option(help=f"What to print, of {', '.join(EMITTED)}.")] = "factors",
    profiles: Annotated[Path | None, typer.Option(help="Profiles of users (JSON lines).", show_default=False)] = None,
    catalogue: Annotated[Path | None, typer.Option(help="Items of shops (JSON lines).", show_default=False)] = None,
    audiences: Annotated[Path | None, typer.Option(help="Audience definitions.", show_default=False)] = None,
) -> None:
    """Compute the factors of files of events, with no Kafka.

    Figures "as of" a date use all events of the files. Prints JSON lines, one record a scope, date, window and
    currency; rows of zeros are left out. What was refused is counted by code on stderr. Exit code 1 where a file cannot
    be read, 2 for an unknown word.
    """
    if format_name not in FORMATS:
        raise UsageError(f"--format {format_name}: unknown; known are {', '.join(FORMATS)}")
    _words(emit, EMITTED, "--emit")
    for option, is_asked in (("--emit members, sync", emit != "factors"), ("--audiences", audiences is not None)):
        if is_asked:
            raise UsageError(f"{option}: audiences are not computed yet; --emit factors is")
    asked = tuple(map(_scope, scope or []))
    words = _words(scopes, SCOPE_WORDS, "--scopes")
    question = Question(
        as_of=tuple(_date(text) for option in as_of for text in option.split(",")),
        windows=_window_days(windows),
        words=frozenset(words),
        scopes=asked,
        timezone=_zone(timezone),
    )
    run = Backtest(question)
    unread: Counter[Code] = Counter()
    if profiles is not None:
        for some in read_profiles(InputFiles([profiles]), unread):
            run.feed_profiles(some)
    if catalogue is not None:
        for items in read_items(InputFiles([catalogue]), unread):
            run.feed_items(items)
    _feed(run, InputFiles(files), format_name, shop_id, unread)
    out = sys.stdout.buffer
    for record in run.records():
        out.write(record.encode() + b"\n")
    out.flush()
    refused = run.refused + unread
    typer.echo(f"{run.accepted:,} events accepted, {refused.total():,} refused", err=True)
    for code, count in sorted(refused.items()):
        typer.echo(f"refused {code} {count}", err=True)


def _feed(run: Backtest, files: InputFiles, format_name: str, shop_id: str, refused: Counter[Code]) -> None:
    """Everything the files hold; counts the rows that the adapter refused, by code."""
    with _progress(files.bytes_total) as told:
        for values in _chunks(_values(files, format_name, shop_id, refused)):
            run.feed(values)
            told(files.bytes_read)


def _values(files: InputFiles, format_name: str, shop_id: str, refused: Counter[Code]) -> Iterator[bytes]:
    if format_name == "native":  # lines are record values as they are: no need to look for their users
        yield from files.events()
        return
    for made in FORMATS[format_name](files.text(), shop_id):
        if isinstance(made, Refusal):
            refused[made.code] += 1
        else:
            yield made.value


def _chunks(values: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Values in lists of bounded length and size."""
    chunk, size = [], 0
    for value in values:
        chunk.append(value)
        size += len(value)
        if len(chunk) == CHUNK_LINES or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@contextlib.contextmanager
def _progress(bytes_total: int) -> Iterator[Callable[[int], None]]:
    """Tells how much of the input has been read; on stderr, and only where that is a terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("backtest"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("backtest", total=bytes_total)
        yield lambda bytes_read: bar.update(task, completed=bytes_read)


def _words(text: str, known: tuple[str, ...], option: str) -> list[str]:
    """The words of "a,b". Raises UsageError for one that is not known, or where there is none."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        raise UsageError(f"{option} {text}: unknown {', '.join(unknown) or '(nothing)'}; known are {', '.join(known)}")
    return words


def _scope(name: str) -> Scope:
    try:
        return parse(name)
    except ScopeError as error:
        raise UsageError(f"--scope {error}") from None


def _date(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise UsageError(f"--as-of {text}: is no date such as 2026-11-11") from None


def _window_days(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    days = {int(part) for part in parts if part.isascii() and part.isdigit() and 1 <= int(part) <= 365}
    if len(days) != len(parts):
        raise UsageError(f"--windows {text}: should be different numbers of days from 1 to 365, such as 1,7,30,365")
    return tuple(sorted(days))


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        raise UsageError(f"--timezone {name}: is no time zone, such as Asia/Shanghai or UTC") from None
