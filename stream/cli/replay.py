"""`smart replay`: files of events into Kafka, at any speed."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from schemas.adapters import FORMATS
from schemas.refusals import EXPLANATIONS, Code
from schemas.settings import Settings
from stream.cli.environment import current_settings
from stream.cli.playing import PlayProgress, parse_speed, quiet_clients, stop_on_signal
from stream.files import InputFiles
from stream.play import Pace, play
from stream.produce import BulkProducer
from stream.replay import Replay, Source

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    files: Annotated[list[Path], typer.Argument(help="Files, in the order in which they are played; .gz too.")],
    *,
    format_name: Annotated[str, typer.Option("--format", help=f"What they hold: {', '.join(FORMATS)}.")] = "native",
    speed: Annotated[
        str, typer.Option(help="How much faster than the clock event time runs; 'max': as fast as it goes.")
    ] = "1",
    shop_id: Annotated[str, typer.Option(help="The shop, for formats without one.")] = "shop",
    topic: Annotated[
        str | None,
        typer.Option(help="Send all of it to this topic instead of to those of the actions.", show_default=False),
    ] = None,
    dead_letters: Annotated[
        bool, typer.Option(help="Write refused rows to the dead letters of the purchases, or only count them.")
    ] = True,
) -> None:
    """Play files of events into Kafka, in their order, with the times between them kept or shortened.

    Event times stay what they are: workers that follow a replay want SMART_CLOCK=event. Refused rows are counted on
    stderr by code. Exit code 1 where a file cannot be read or there is no broker.
    """
    if format_name not in FORMATS:
        raise typer.BadParameter(f"{format_name!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    factor = parse_speed(speed)
    settings = current_settings()
    source = Source(InputFiles(files), format_name, shop_id)
    replayed = Replay(files[0].name, topic, factor, keeps_refused=dead_letters)
    typer.echo(asyncio.run(_replay(settings, source, replayed)), err=True)
    for line in refused_lines(replayed.refused):
        typer.echo(line, err=True)


def refused_lines(refused: Counter[Code]) -> list[str]:
    """'refused 107,927 rows: missing_field (a required field is absent or null)', the most frequent first."""
    return [f"refused {n:,} rows: {code} ({EXPLANATIONS[code]})" for code, n in refused.most_common()]


async def _replay(settings: Settings, source: Source, replayed: Replay) -> str:
    quiet_clients()
    files = source.files
    async with BulkProducer(settings.brokers, partitioner=settings.partitioner) as producer:
        with stop_on_signal() as stop, PlayProgress("replay", files.bytes_total) as progress:

            def told(n: int, at_ms: int | None) -> None:
                progress.tell(n, at_ms, files.bytes_read)

            await play(replayed.batches(source), producer, Pace(replayed.speed), stop, told)
    return progress.summary()
