"""`smart topics create` and `smart topics show`: the topics as they are, next to what they should be."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from schemas.settings import Settings
from schemas.topics import Topic, registry
from stream.admin import Admin, Difference, TopicState, differences
from stream.cli.environment import current_settings
from stream.cli.playing import quiet_clients

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Create the topics, or compare them.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


@app.command()
def create() -> None:
    """Create the topics that are missing, then compare all of them.

    Nothing that exists is changed. Exit code 1 where a topic is not what it must be, or there is no broker.
    """
    settings = current_settings()
    topics = registered(settings)
    quiet_clients()
    with Admin(settings.brokers) as admin:
        created = admin.create(topics, settings.replication_factor)
        found = differences(topics, admin.find(topics))
    there = len(topics) - len(created)
    typer.echo(f"created {len(created)} topics at {settings.brokers}; {there} were there", err=True)
    for name in created:
        typer.echo(name)
    _finish(found)


@app.command()
def show(as_json: AsJson = False) -> None:
    """Show every topic with what it holds, and where it is not what it should be.

    Exit code 1 where a topic is missing or not what it must be, or there is no broker.
    """
    settings = current_settings()
    topics = registered(settings)
    quiet_clients()
    with Admin(settings.brokers) as admin:
        states = admin.find(topics)
    found = differences(topics, states)
    if as_json:
        for topic in topics:
            typer.echo(json.dumps(_as_json(topic, states, found)))
        raise typer.Exit(code=any(one.must_change for one in found))
    Console().print(_topics_table(topics, states, found))
    _finish(found)


def registered(settings: Settings) -> tuple[Topic, ...]:
    """The topics of this deployment."""
    return registry(
        partitions=settings.partitions,
        application_id=settings.application_id,
        intraday_history_days=settings.intraday_history_days,
    )


def _finish(found: Sequence[Difference]) -> None:
    """Prints the differences; leaves with exit code 1 where one must be put right."""
    if found:
        Console().print(differences_table(found))
    if any(one.must_change for one in found):
        raise typer.Exit(code=1)


def differences_table(found: Sequence[Difference]) -> Table:
    """What must be put right first, then what is only another choice."""
    table = Table(title="Not as the registry says", title_justify="left", box=None, pad_edge=False)
    for title in ("Topic", "What", "Is", "Should be", "To do"):
        table.add_column(title, no_wrap=title in ("Topic", "What"))
    for one in sorted(found, key=lambda one: not one.must_change):
        style = "bold red" if one.must_change else "dim"
        table.add_row(one.topic, one.what, one.found, one.expected, one.remedy or "nothing: your choice", style=style)
    return table


def _topics_table(topics: Sequence[Topic], states: Mapping[str, TopicState], found: Sequence[Difference]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("Topic", "Partitions", "Copies", "Cleanup", "Holds", "State"):
        table.add_column(title, no_wrap=title != "Holds")
    for topic in topics:
        state = states.get(topic.name)
        table.add_row(
            topic.name,
            *(
                (str(state.partitions), str(state.replication_factor), state.config["cleanup.policy"])
                if state
                else [""] * 3
            ),
            f"{topic.key} → {topic.value}",
            _verdict(topic, state, found),
        )
    return table


def _verdict(topic: Topic, state: TopicState | None, found: Sequence[Difference]) -> str:
    if state is None:
        return "missing"
    of_topic = [one for one in found if one.topic == topic.name]
    if any(one.must_change for one in of_topic):
        return "wrong"
    return "differs" if of_topic else "as it should be"


def _as_json(topic: Topic, states: Mapping[str, TopicState], found: Sequence[Difference]) -> dict[str, Any]:
    state = states.get(topic.name)
    return {
        "topic": topic.name,
        "state": _verdict(topic, state, found),
        "partitions": state.partitions if state else None,
        "replication_factor": state.replication_factor if state else None,
        "config": dict(state.config) if state else None,
        "differences": [one._asdict() for one in found if one.topic == topic.name],
    }
