"""`python -m stream.local.install`: have on this machine everything that the local stack runs from.

Repeatable; once it has succeeded, nothing here or in the stack needs a network. Takes no lock on anything but the
cache of jars, so that it can run beside other set-up work.
"""

import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from schemas.errors import SmartError
from stream.local import archive, jars, store
from stream.local.java import find_java


def install(
    *,
    rewrite_lock: Annotated[
        bool,
        typer.Option("--rewrite-lock", help="Resolve the broker's coordinates anew and rewrite the lock file."),
    ] = False,
    archived: Annotated[
        bool,
        typer.Option(help="Make an archive of the broker's classes (10 s, once), which halves the broker's start."),
    ] = True,
) -> None:
    """Fetch the broker's jars (44 MB, checked against the lock), and find Java and the store."""
    console = Console(stderr=True)
    try:
        if rewrite_lock:
            console.print(f"locked {jars.write_lock()} jars in {jars.LOCK_PATH.name}")
        java = find_java()
        binary = store.find_server()
        started = time.monotonic()
        class_path = _install_jars(console)
        seconds = time.monotonic() - started
        if archived:
            with console.status("making the archive of the broker's classes"):
                archive.make(java, class_path)
    except SmartError as error:
        console.print(f"[red]{type(error).__name__}[/red]: {error}", soft_wrap=True)
        sys.exit(error.exit_code)
    console.print(f"java    {java.version}, {java.binary} ({java.origin})", soft_wrap=True)
    console.print(f"store   {binary}", soft_wrap=True)
    console.print(f"broker  {jars.KAFKA_VERSION}, {jars.cache_folder()} ({seconds:.1f} s)", soft_wrap=True)


def _install_jars(console: Console) -> str:
    """Return their class path."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("the broker's jars", total=len(jars.locked_jars()))
        return jars.install(lambda done, _total: progress.update(task, completed=done))


if __name__ == "__main__":
    typer.run(install)
