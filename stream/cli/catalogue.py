"""`smart catalogue`: files of the shops' items into Kafka."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from schemas.refusals import Code
from schemas.settings import Settings
from schemas.topics import ITEMS
from stream.catalogue import read_items
from stream.cli.environment import current_settings
from stream.cli.playing import PlayProgress, quiet_clients, stop_on_signal
from stream.cli.replay import refused_lines
from stream.files import InputFiles
from stream.produce import BulkProducer

app = typer.Typer(add_completion=False)


@app.command()
def catalogue(
    files: Annotated[list[Path], typer.Argument(help="JSON lines, an item each; .gz too.", show_default=False)],
) -> None:
    """Send items of the shops' catalogues to the topic that workers take them from.

    The newest of an item counts, by its update time. Lines that are no item are counted on stderr by code and not
    sent. Exit code 1 where a file cannot be read or there is no broker.
    """
    refused: Counter[Code] = Counter()
    typer.echo(asyncio.run(_send(current_settings(), InputFiles(files), refused)), err=True)
    for line in refused_lines(refused):
        typer.echo(line, err=True)


async def _send(settings: Settings, files: InputFiles, refused: Counter[Code]) -> str:
    quiet_clients()
    async with BulkProducer(settings.brokers) as producer:
        with stop_on_signal() as stop, PlayProgress("catalogue", files.bytes_total) as progress:
            for some in read_items(files, refused):
                await producer.send(ITEMS, [one.item_id for one in some], [one.record().encode() for one in some])
                await producer.submit()
                progress.tell(len(some), None, files.bytes_read)
                if stop.is_set():
                    break
    return progress.summary()
