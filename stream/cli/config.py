"""`smart config`: every setting with its value, where that comes from, its default, unit and meaning."""

import json
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from schemas.settings import rows
from stream.cli.environment import current_settings

app = typer.Typer()


@app.command()
def config(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List every setting with its value, default and meaning.

    A setting is an environment variable. A secret's value is never printed. Exit code 2 if a setting is wrong.
    """
    settings = current_settings()
    listed = list(rows(settings, os.environ))
    if as_json:
        for row in listed:
            typer.echo(json.dumps(row._asdict(), ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("Variable", "Value", "Unit", "From", "Default", "Meaning"):
        table.add_column(title, overflow="fold")
    for row in listed:
        table.add_row(row.variable, row.value, row.unit, row.source, row.default, row.description)
    Console().print(table)
