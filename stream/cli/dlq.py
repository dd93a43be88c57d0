"""`smart dlq show` and `smart dlq replay`: what was refused and why, and another try."""

import asyncio
import datetime as dt
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from schemas.refusals import EXPLANATIONS, Code
from schemas.settings import Settings
from schemas.topics import WITH_DEAD_LETTERS, dead_letter_topic
from stream.admin import Admin
from stream.cli.environment import current_settings
from stream.cli.playing import PlayProgress, quiet_clients, stop_on_signal
from stream.cli.topics import registered
from stream.dead_letters import Letter, Summary, masked, read_letters
from stream.produce import BulkProducer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look at dead letters, or play them in again.")

Codes = Annotated[list[str] | None, typer.Option("--code", help="Only refused with this code; may be repeated.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only from this topic ; may be repeated.")]


@app.command()
def show(
    *,
    codes: Codes = None,
    topics: Topics = None,
    newest: Annotated[int, typer.Option(min=0, max=10_000, help="How many of the newest to list.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Count the dead letters by topic and code, and list the newest.

    Users are shown by a stand-in, values not at all. Exit code 1 where there is no broker.
    """
    settings = current_settings()
    quiet_clients()
    summary = asyncio.run(_summed_up(_chosen(settings, codes, topics), newest))
    if as_json:
        for line in _json_lines(summary):
            typer.echo(json.dumps(line))
        return
    Console().print(_counts_table(summary))
    if summary.newest:
        Console().print(_newest_table(summary.newest))


@app.command()
def replay(
    *,
    codes: Codes = None,
    topics: Topics = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be played.")] = False,
) -> None:
    """Send dead letters once more to the topic they were in, as they were: for when the reason is gone.

    Whatever is refused again becomes another dead letter; events that are there already change nothing. Rows of files
    stay where they are: they are no events. Exit code 1 where there is no broker.
    """
    settings = current_settings()
    quiet_clients()
    played: Counter[str] = Counter()
    left: Counter[str] = Counter()
    letters = _sorted_out(_chosen(settings, codes, topics), played, left)
    asyncio.run(_passed_over(letters) if dry_run else _replay(settings, letters))
    for topic, n in sorted(played.items()):
        typer.echo(f"{'would play' if dry_run else 'played'} {n:,} dead letters into {topic}")
    for origin, n in sorted(left.items()):
        typer.echo(f"left {n:,} from {origin}: it is no topic of the stream", err=True)


def _chosen(settings: Settings, codes: list[str] | None, topics: list[str] | None) -> AsyncIterator[Letter]:
    known = {code.value for code in Code}
    if unknown := set(codes or ()) - known:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is none of {', '.join(sorted(known))}")
    if unknown := set(topics or ()) - set(WITH_DEAD_LETTERS):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))} is none of {', '.join(WITH_DEAD_LETTERS)}")
    wanted = {dead_letter_topic(topic) for topic in topics or WITH_DEAD_LETTERS}
    with Admin(settings.brokers) as admin:
        found = admin.find([topic for topic in registered(settings) if topic.name in wanted])
    letters = read_letters(settings.brokers, {name: state.partitions for name, state in found.items()})
    return (letter async for letter in letters if not codes or letter.code in codes)


async def _summed_up(letters: AsyncIterator[Letter], newest: int) -> Summary:
    summary = Summary(newest)
    async for letter in letters:
        summary.add(letter)
    return summary


async def _sorted_out(
    letters: AsyncIterator[Letter], played: Counter[str], left: Counter[str]
) -> AsyncIterator[Letter]:
    """Those that can be played; counts them and the others as they pass."""
    async for letter in letters:
        (played if letter.can_be_replayed else left)[letter.origin] += 1
        if letter.can_be_replayed:
            yield letter


async def _passed_over(letters: AsyncIterator[Letter]) -> None:
    async for _ in letters:
        pass


async def _replay(settings: Settings, letters: AsyncIterator[Letter]) -> None:
    async with BulkProducer(settings.brokers, partitioner=settings.partitioner) as producer:
        with stop_on_signal() as stop, PlayProgress("dlq replay") as progress:
            async for letter in letters:
                await producer.send_mixed([letter.origin], [letter.key], [letter.value], [letter.headers])
                progress.tell(1, None)
                if stop.is_set():
                    break


def _json_lines(summary: Summary) -> Iterator[dict[str, Any]]:
    for (origin, code), n in sorted(summary.counts.items()):
        yield {"kind": "count", "topic": origin, "code": code, "letters": n}
    for letter in summary.newest:
        yield {
            "kind": "letter",
            "topic": letter.origin,
            "offset": letter.offset,
            "code": letter.code,
            "field": letter.field,
            "at": _at(letter),
            "user": masked(letter.key),
            "bytes": len(letter.value or b""),
        }


def _counts_table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Topic", "Code", "Letters", "Meaning"):
        table.add_column(title, justify="right" if title == "Letters" else "left", no_wrap=title != "Meaning")
    for (origin, code), n in sorted(summary.counts.items()):
        meaning = EXPLANATIONS[Code(code)] if code in set(Code) else "not refused by SMART stream"
        table.add_row(origin, code, f"{n:,}", meaning)
    table.caption = f"{summary.counts.total():,} dead letters"
    table.caption_justify = "left"
    return table


def _newest_table(letters: Iterable[Letter]) -> Table:
    table = Table(box=None, pad_edge=False, title="The newest", title_justify="left")
    for title in ("At", "Topic", "Offset", "Code", "Field", "User", "Bytes"):
        table.add_column(title, justify="right" if title in ("Offset", "Bytes") else "left", no_wrap=True)
    for letter in letters:
        offset = "" if letter.offset is None else f"{letter.offset:,}"
        size = f"{len(letter.value or b''):,}"
        table.add_row(_at(letter), letter.origin, offset, letter.code, letter.field, masked(letter.key), size)
    return table


def _at(letter: Letter) -> str:
    instant = dt.datetime.fromtimestamp(letter.timestamp_ms / 1_000, dt.UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
