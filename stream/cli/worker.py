"""`smart worker`: one worker process, on one core. Run as many as there are partitions to share."""

import gc

import typer

from stream.cli.environment import current_settings

app = typer.Typer()


@app.command()
def worker() -> None:
    """Run a worker until it is told to stop.

    It reads the event topics of the partitions that it is given, keeps their state and publishes figures. Exit codes:
    65 unreadable records, 70 a fault, 74 a failed transaction, 75 another worker owns its partitions, 78 wrong
    configuration.
    """
    gc.disable()  # nothing that is being imported is garbage; the worker turns it on again
    settings = current_settings()
    from stream.worker import run

    run(settings)
