"""`smart load`: history from files or from a topic, at full speed, until it is in the figures."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from schemas.adapters import FORMATS
from schemas.errors import UsageError
from schemas.refusals import EXPLANATIONS, Code
from schemas.settings import Settings
from schemas.topics import EVENT_TOPICS, FACTORS_PAGES
from stream.admin import Admin, differences
from stream.cli.environment import current_settings
from stream.cli.playing import PlayProgress, quiet_clients, stop_on_signal
from stream.cli.replay import refused_lines
from stream.cli.topics import registered
from stream.cut import Tail
from stream.files import InputFiles
from stream.loading import ArchivedTopic, Backlog, LoadError, WorkersRefusals
from stream.play import Pace, play
from stream.produce import BulkProducer
from stream.replay import Replay, Source

app = typer.Typer(add_completion=False)

_LOOKS_PER_SECOND: Final = 4
_STANDSTILL_S: Final = 30.0
"""After so long without a commit somebody is told: there may be no worker."""


@app.command()
def load(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of events: JSON lines or CSV, .gz too, or Parquet.", show_default=False),
    ] = None,
    *,
    format_name: Annotated[str, typer.Option("--format", help=f"What they hold: {', '.join(FORMATS)}.")] = "native",
    from_topic: Annotated[
        str | None,
        typer.Option(help="Load this topic of native events instead, however it is partitioned.", show_default=False),
    ] = None,
    shop_id: Annotated[str, typer.Option(help="The shop, for formats without one.")] = "shop",
    dead_letters: Annotated[
        bool, typer.Option(help="Write refused rows to the dead letters of the purchases, or only count them.")
    ] = True,
) -> None:
    """Load history into a running system at full speed, and wait until all of it is in the figures.

    Live events may come before, meanwhile and after: what comes twice is counted once. So a load that was stopped is
    simply started again. What was refused is counted on stderr by code, by the format and by the workers. Exit code 0
    when everything loaded is in committed figures; 1 where a file or the topic cannot be read, there is no broker, or
    the load was stopped.
    """
    if format_name not in FORMATS:
        raise UsageError(f"--format {format_name}: unknown; known are {', '.join(FORMATS)}")
    if bool(files) == (from_topic is not None):
        raise UsageError("name files to load, or a topic with --from-topic: one of the two")
    if from_topic in EVENT_TOPICS:
        raise UsageError(f"--from-topic {from_topic}: what lies there is read by the workers already")
    if from_topic is not None and format_name != "native":
        raise UsageError(f"--format {format_name}: a topic holds native events")
    settings = current_settings()
    quiet_clients()
    if from_topic is not None:
        asyncio.run(_load(settings, partial(_send_topic, settings, from_topic), Counter()))
        return
    paths = files or []
    source = Source(InputFiles(paths), format_name, shop_id)
    replay = Replay(paths[0].name, speed=None, keeps_refused=dead_letters)
    asyncio.run(_load(settings, partial(_send_files, source, replay), replay.refused))


async def _load(
    settings: Settings, send: Callable[[BulkProducer, asyncio.Event], Awaitable[str]], refused: Counter[Code]
) -> None:
    """Sends, waits, and tells what has become of it. Raises LoadError where it is stopped."""
    _check_topics(settings)
    with stop_on_signal() as stop:
        async with (
            Backlog(settings.brokers, settings.application_id, settings.partitions) as backlog,
            Tail(settings.brokers, settings.application_id) as tail,
        ):
            refusals = WorkersRefusals(tail, settings.partitions)
            await refusals.begin()
            async with BulkProducer(settings.brokers, partitioner=settings.partitioner) as producer:
                sent = await send(producer, stop)
                is_cut = stop.is_set()  # later on it is only the waiting that is stopped
                typer.echo(sent, err=True)
            for line in refused_lines(refused):
                typer.echo(line, err=True)
            if is_cut:
                raise LoadError("stopped before everything was sent; start it again, nothing counts twice")
            typer.echo(await _wait_until_applied(backlog, stop), err=True)
            for code, n in (await refusals.count()).most_common():
                typer.echo(f"the workers refused {n:,} events meanwhile: {code} ({EXPLANATIONS[code]})", err=True)


def _check_topics(settings: Settings) -> None:
    topics = registered(settings)
    with Admin(settings.brokers) as admin:
        wrong = [one for one in differences(topics, admin.find(topics)) if one.must_change]
    if wrong:
        raise LoadError(f"topic {wrong[0].topic} is not what it must be; see 'smart topics show'")


async def _send_files(source: Source, replay: Replay, producer: BulkProducer, stop: asyncio.Event) -> str:
    files = source.files
    with PlayProgress("sending", files.bytes_total) as progress:

        def told(n: int, at_ms: int | None) -> None:
            progress.tell(n, at_ms, files.bytes_read)

        await play(replay.batches(source), producer, Pace(None), stop, told)
    return progress.summary()


async def _send_topic(settings: Settings, topic: str, producer: BulkProducer, stop: asyncio.Event) -> str:
    async with Tail(settings.brokers, settings.application_id) as tail:
        archive = ArchivedTopic(tail, topic)
        await archive.begin()
        with PlayProgress("sending", archive.records_total) as progress:
            async for messages in archive.messages():
                await producer.send_mixed(*messages)
                progress.tell(len(messages.values), None, archive.records_read)
                if stop.is_set():
                    break
            await producer.flush()
    return progress.summary()


async def _wait_until_applied(backlog: Backlog, stop: asyncio.Event) -> str:
    """Until the events are in the ledgers, and then the pages that this makes in the figures."""
    began_s = time.monotonic()
    events = await _wait_for(backlog, EVENT_TOPICS, "applying", stop)
    await _wait_for(backlog, (FACTORS_PAGES,), "publishing", stop)
    seconds = max(time.monotonic() - began_s, 1e-9)
    return f"applied the last {events:,} events in {seconds:.1f} s ({events / seconds:,.0f}/s): all are in the figures"


async def _wait_for(backlog: Backlog, topics: Sequence[str], title: str, stop: asyncio.Event) -> int:
    """Until what lies in the topics now has been committed; returns how many records that were."""
    applied = await backlog.aim(topics)
    moved_s, is_told = time.monotonic(), False
    with PlayProgress(title, applied.of) as progress:
        while not applied.is_all:
            before, applied = applied, await backlog.look()
            progress.tell(applied.records - before.records, None, applied.records)
            left = applied.of - applied.records
            if stop.is_set():
                raise LoadError(f"stopped; all is sent, but {left:,} records wait for the workers still")
            if applied.records > before.records:
                moved_s = time.monotonic()
            elif time.monotonic() - moved_s > _STANDSTILL_S and not is_told:
                is_told = True
                typer.echo(f"{left:,} records wait, and nothing moves: do workers run ('smart worker')?", err=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1 / _LOOKS_PER_SECOND):
                    await stop.wait()
    return applied.records
