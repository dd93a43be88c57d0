"""`smart profiles`: files of profiles of users into Kafka."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from schemas.refusals import Code
from schemas.settings import Settings
from schemas.topics import PROFILES
from stream.cli.environment import current_settings
from stream.cli.playing import PlayProgress, quiet_clients, stop_on_signal
from stream.cli.replay import refused_lines
from stream.files import InputFiles
from stream.produce import BulkProducer
from stream.profiles import read_profiles

app = typer.Typer(add_completion=False)


@app.command()
def profiles(
    files: Annotated[list[Path], typer.Argument(help="JSON lines, a profile each; .gz too.", show_default=False)],
) -> None:
    """Send profiles of users to the topic that workers take them from, behind the live events.

    The newest of a user counts, by its update time. Lines that are no profile are counted on stderr by code and not
    sent. Exit code 1 where a file cannot be read or there is no broker.
    """
    refused: Counter[Code] = Counter()
    typer.echo(asyncio.run(_send(current_settings(), InputFiles(files), refused)), err=True)
    for line in refused_lines(refused):
        typer.echo(line, err=True)


async def _send(settings: Settings, files: InputFiles, refused: Counter[Code]) -> str:
    quiet_clients()
    async with BulkProducer(settings.brokers, partitioner=settings.partitioner) as producer:
        with stop_on_signal() as stop, PlayProgress("profiles", files.bytes_total) as progress:
            for some in read_profiles(files, refused):
                await producer.send(PROFILES, [one.user_id for one in some], [one.raw for one in some])
                await producer.submit()
                progress.tell(len(some), None, files.bytes_read)
                if stop.is_set():
                    break
    return progress.summary()
