"""Writes the pages of docs/reference that are made from the code: settings, metrics, commands, JSON Schemas.

    python -m docs.generate     # or: make docs

A test holds the committed pages to what this writes.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer

from schemas.jsonschema import documents
from schemas.metrics import METRICS
from schemas.settings import Settings, rows
from stream.cli.main import COMMANDS, EXIT_CODES, load

FOLDER: Final = Path(__file__).parent / "reference"
WIDTH_COLUMNS: Final = 100


def pages() -> dict[str, str]:
    """File name → text of every generated page."""
    return {"settings.md": settings_page(), "metrics.md": metrics_page(), "commands.md": commands_page()}


def settings_page() -> str:
    """One table of all settings."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable. `smart config` prints their values and where each comes from.",
        "",
    ]
    cells = [(f"`{row.variable}`", f"`{row.default}`", row.unit, row.description) for row in rows(_defaults(), {})]
    return _page([*lines, *_table(("Variable", "Default", "Unit", "Meaning"), cells)])


def metrics_page() -> str:
    """One table of all metrics."""
    lines = [
        "# Metrics",
        "",
        "Each worker serves them for Prometheus at `SMART_METRICS_HOST:SMART_METRICS_PORT`;",
        "those of the verification are served by `smart verify --every`, and only by it.",
        "`smart metrics` lists them too.",
        "",
    ]
    cells = [
        (f"`{metric.name}`", metric.kind, metric.unit, " ".join(f"`{label}`" for label in metric.labels), metric.help)
        for metric in METRICS
    ]
    return _page([*lines, *_table(("Name", "Type", "Unit", "Labels", "Meaning"), cells)])


def commands_page() -> str:
    """Every command with its own help."""
    lines = ["# Commands", "", "`smart COMMAND --help` prints what stands here.", ""]
    lines += _table(("Exit code", "Meaning"), [(str(code), meaning) for code, meaning in EXIT_CODES.items()])
    for name, summary in COMMANDS.items():
        lines += ["", f"## smart {name}", "", summary]
        if find_spec(f"stream.cli.{name}") is None:
            continue
        command = load(name)
        subcommands = getattr(command, "commands", {})
        for path, each in [(name, command), *((f"{name} {sub}", each) for sub, each in subcommands.items())]:
            context = typer.Context(each, info_name=f"smart {path}", max_content_width=WIDTH_COLUMNS)
            context.terminal_width = WIDTH_COLUMNS
            lines += ["", "```text", each.get_help(context).rstrip(), "```"]
    return _page(lines)


def _defaults() -> Settings:
    return Settings.model_construct()


def _table(titles: tuple[str, ...], cells: list[tuple[str, ...]]) -> Iterator[str]:
    for line in (titles, ("---",) * len(titles), *cells):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"


def _page(lines: list[str]) -> str:
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n")) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, text in pages().items():
        (FOLDER / file_name).write_text(text, encoding="utf-8")
    for file_name, text in documents().items():
        (FOLDER / "schemas" / file_name).write_text(text, encoding="utf-8")
