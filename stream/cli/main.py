"""`smart`: the list of commands, and how one of them is found and run.

A command `name` lives in `stream/cli/name.py` as `app`, a `typer.Typer()` with one command, or several (then they are
`smart name sub`). The module is imported when the command runs; `smart --help` imports none of them.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from schemas.errors import SmartError

COMMANDS: Final[dict[str, str]] = {
    "demo": "Start everything on this machine, with played-in traffic.",
    "worker": "Run one worker: it folds its partitions and publishes figures.",
    "topics": "Create the topics, or compare them with what they should be.",
    "replay": "Play files of events into Kafka, at any speed.",
    "profiles": "Send profiles of users to the workers.",
    "catalogue": "Send items of the shops' catalogues to the workers.",
    "load": "Load history from files or a topic, until all is counted.",
    "simulate": "Make seeded traffic, as JSON lines or straight into Kafka.",
    "backtest": "Compute the factors of files of events, with no Kafka.",
    "factors": "Print the newest figures of a scope.",
    "export": "Write figures of many dates into a Parquet file.",
    "compare": "Print figures beside the period before and a year ago.",
    "breakdown": "Print the figures of all categories, channels … side by side.",
    "items": "Print the item table of a shop.",
    "spend": "Say what buyers of a shop spend, how often and on what.",
    "peers": "Print a shop's figures beside the mean of shops of its size.",
    "power": "Print how well a shop's new items draw traffic.",
    "restatements": "Say what figures of past dates said before they changed.",
    "growth": "Say how GMV has changed, and what S, M and ART contributed.",
    "live": "Print what happens in a shop, minute by minute.",
    "promotion": "Plan promotions, and see how far their phases have come.",
    "verify": "Recompute a running system's figures, print every difference.",
    "dlq": "Look at dead letters, or play them in again.",
    "config": "List every setting with its value, default and meaning.",
    "metrics": "List every metric with its type, unit and meaning.",
}
"""Every command with the line that `smart --help` shows, in the order in which one meets them."""

EXIT_CODES: Final[dict[int, str]] = {
    0: "done",
    1: "failed: the last line on stderr says why",
    2: "wrong use: an unknown option, a bad value or a bad setting",
}


class CommandsOnDemand(TyperGroup):
    """A group whose commands are stubs until one of them is called, and whose errors are one line."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command as usual, then put its own module in the place of the stub."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, stub and load(str(name)), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error that speaks to a person becomes its line and its exit code."""
        try:
            return super().invoke(ctx)
        except SmartError as error:
            typer.echo(f"smart: {error}", err=True)
            raise typer.Exit(error.exit_code) from error


def load(name: str) -> Any:
    """Import the module of the command `name` and return its command. Raises SmartError where it is not there."""
    module_name = f"stream.cli.{name}"
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise SmartError(f"'smart {name}' is not part of this build: there is no module {module_name}") from error
    command = get_command(module.app)
    command.name = name
    for each in (command, *getattr(command, "commands", {}).values()):
        each.rich_markup_mode = None
    return command


def stub(summary: str) -> Callable[[], None]:
    """Stand in for a command that has not been imported; only its summary is ever used."""

    def command() -> None:
        raise AssertionError(summary)

    command.__doc__ = summary
    return command


app = typer.Typer(
    name="smart",
    cls=CommandsOnDemand,
    help="Real-time SMART growth factors on Kafka streams.",
    epilog="Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain text: help is there at once (rich alone takes 0.4 s), also in a log or a pipe
    pretty_exceptions_enable=False,
)
for _name, _summary in COMMANDS.items():
    app.command(_name)(stub(_summary))
