"""`smart metrics`: every metric with its type, unit, labels and meaning."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from schemas.metrics import METRICS

app = typer.Typer()


@app.command()
def metrics(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List every metric with its type, unit, labels and meaning.

    Each worker serves them for Prometheus at SMART_METRICS_HOST:SMART_METRICS_PORT.
    """
    if as_json:
        for metric in METRICS:
            typer.echo(json.dumps(metric._asdict()))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("Name", "Type", "Unit", "Labels", "Meaning"):
        table.add_column(title, overflow="fold")
    for metric in METRICS:
        table.add_row(metric.name, metric.kind, metric.unit, " ".join(metric.labels), metric.help)
    Console().print(table)
