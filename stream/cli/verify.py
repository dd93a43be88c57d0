"""`smart verify`: a running system's figures, counted anew the simple way; every difference is printed."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from processors.recount import PLACES
from schemas.errors import SmartError, UsageError
from schemas.metrics import VERIFY_METRICS
from schemas.scopes import ScopeError, parse
from schemas.settings import Settings
from schemas.topics import EVENT_TOPICS, FACTORS_LIVE, FACTORS_PAGES, changelog_topic
from serving.store import StoreReader
from stream.admin import Admin
from stream.cli import drift, stored
from stream.cli.drift import Rhythm
from stream.cli.environment import current_settings
from stream.cli.playing import quiet_clients
from stream.cli.topics import registered
from stream.metrics import Metrics
from stream.verify import Options, Verified, Verifier

app = typer.Typer(add_completion=False)


@app.command("verify")
def verify_command(
    *,
    source: Annotated[
        str, typer.Option("--from", help="Count from the ledgers in the changelog, or from events.")
    ] = "changelog",
    scope: Annotated[
        list[str] | None, typer.Option(help="Only this scope; may be repeated. Default: all.", show_default=False)
    ] = None,
    windows: Annotated[
        str | None, typer.Option(help="Only these periods, in days. Default: all that are kept.", show_default=False)
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Only so many scopes and dates, drawn at random.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that a moving system may take to come to rest.")] = 30.0,
    store: Annotated[bool, typer.Option(help="Compare the serving store, too.")] = True,
    every: Annotated[
        float | None,
        typer.Option(min=1, help="Go on, with a run every so many seconds, and serve metrics.", show_default=False),
    ] = None,
    share: Annotated[
        float, typer.Option(min=0.0001, max=1, help="With --every: the share of all scopes and dates in each run.")
    ] = 1.0,
    runs: Annotated[
        int | None, typer.Option(min=1, help="With --every: end after so many runs.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Recompute the figures of a running system by brute force and print every difference.

    Compared are the newest records of factors.live for every date of the horizon, the serving store, and the totals
    (accepted + refused = consumed) with the event topics. Exit code 1 where anything differs or cannot be judged
    because the system keeps moving, or where there is no broker.

    With --every it goes on beside a system that never rests: it follows the topics, compares a share in each run,
    another one each time and everything in a round, and serves what it finds at SMART_METRICS_HOST:SMART_METRICS_PORT.
    """
    settings = current_settings()
    options = _options(settings, source, scope, windows)._replace(sample=sample, seed=seed, wait_s=wait)
    quiet_clients()
    _check_topics(settings)
    if every is not None:
        if source != "changelog" or sample is not None:
            raise UsageError("--every counts from the changelog, and takes --share instead of --sample")
        _go_on(settings, options, Rhythm(every, share, runs), store=store, as_json=as_json)
        return
    with _Told() as told:
        found = asyncio.run(_verified(settings, options, told, store=store))
    for line in _json_lines(found) if as_json else _lines(found):
        typer.echo(line)
    _finish(found)


def _go_on(settings: Settings, options: Options, rhythm: Rhythm, *, store: bool, as_json: bool) -> None:
    metrics = Metrics(VERIFY_METRICS)
    with metrics.served(settings.metrics_host, settings.metrics_port) as port:
        typer.echo(f"metrics are served at http://{settings.metrics_host}:{port}/metrics", err=True)

        def say(found: Verified) -> None:
            for line in _json_lines(found) if as_json else _lines(found):
                typer.echo(line)

        asyncio.run(drift.follow(settings, options, rhythm, metrics, say, store=store))


def _options(settings: Settings, source: str, scopes: list[str] | None, windows: str | None) -> Options:
    if source not in ("changelog", "events"):
        raise UsageError(f"--from {source}: figures are counted from 'changelog' or from 'events'")
    try:
        asked = tuple(parse(name) for name in scopes or ())
    except ScopeError as error:
        raise UsageError(str(error)) from error
    known = settings.windows
    if windows is not None:
        known = tuple(int(word) for word in windows.split(",") if word.strip().isdecimal())
        if not known or not set(known) <= set(settings.windows):
            raise UsageError(f"--windows {windows}: what is kept is {','.join(map(str, settings.windows))}")
    return Options(source="events" if source == "events" else "changelog", scopes=asked, windows=known)


def _check_topics(settings: Settings) -> None:
    needed = {*EVENT_TOPICS, FACTORS_LIVE, FACTORS_PAGES, changelog_topic(settings.application_id)}
    topics = [topic for topic in registered(settings) if topic.name in needed]
    with Admin(settings.brokers) as admin:
        states = admin.find(topics)
    for topic in topics:
        state = states.get(topic.name)
        if state is None or state.partitions != topic.partitions:
            raise SmartError(f"topic {topic.name} is not what it must be; see 'smart topics show'")


async def _verified(settings: Settings, options: Options, told: "_Told", *, store: bool) -> Verified:
    async with Verifier(settings, options, told) as verifier:
        found = await verifier.once()
        if store and found.at_rest:
            async with StoreReader(settings.redis_url.get_secret_value()) as reader:
                await stored.compare(reader, verifier, found, told)
        return found


def _lines(found: Verified) -> Iterator[str]:
    for difference in found.differences:
        yield f"{difference.place} {difference.key}: {difference.text}"
    for difference in found.moving:
        yield f"moving: {difference.place} {difference.key}: {difference.text}"
    yield (
        f"compared {found.records:,} records, {sum(map(len, found.days.values())):,} dates of "
        f"{_by_kind(found)}, counted from "
        f"{'the ledgers in the changelog' if found.source == 'changelog' else 'the event topics'}: "
        f"{len(found.differences):,} differences"
    )
    yield f"consumed {found.accepted + found.refused:,} = accepted {found.accepted:,} + refused {found.refused:,}"


def _by_kind(found: Verified) -> str:
    """How many scopes of each kind were compared, in words."""
    words = {place: word for word, place in PLACES.items()}
    kinds = Counter(words.get((scope.shop is not None, scope.kind), scope.kind) for scope in found.days)
    told = ", ".join(f"{n:,} {word}" for word, n in sorted(kinds.items()))
    return f"{len(found.days):,} scopes ({told})" if kinds else "no scopes"


def _json_lines(found: Verified) -> Iterator[str]:
    for kind, several in (("difference", found.differences), ("moving", found.moving)):
        yield from (json.dumps({"kind": kind, **one._asdict()}) for one in several)
    summary = {
        "kind": "summary",
        "source": found.source,
        "at_rest": found.at_rest,
        "scopes": len(found.days),
        "dates": sum(map(len, found.days.values())),
        "records": found.records,
        "accepted": found.accepted,
        "refused": found.refused,
        "differences": len(found.differences),
        "moving": len(found.moving),
    }
    yield json.dumps(summary)


def _finish(found: Verified) -> None:
    if found.differences:
        raise SmartError(f"{len(found.differences):,} differences")
    if found.moving:
        raise SmartError(
            f"the system is moving: {len(found.moving):,} figures changed while they were compared and cannot be "
            "judged; verify when it is at rest, or single scopes with --scope"
        )


class _Told:
    """What is being done, on stderr, and only where that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("reading", total=None)

    def __call__(self, what: str, n: int, total: int | None) -> None:
        self._progress.update(self._task, description=what, completed=n, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
