"""Results as committed JSON, one file a question, and the page that is made of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from bench.machine import machine, now, versions

FOLDER = Path(__file__).parent / "results"
Row = Mapping[str, object]


@dataclass
class Bar:
    """What a figure has to reach, and what it aims at."""

    what: str
    measured: float
    bar: float
    aim: float
    better: Literal["higher", "lower"]

    @property
    def verdict(self) -> str:
        """In words."""
        reached = [self.measured >= x if self.better == "higher" else self.measured <= x for x in (self.aim, self.bar)]
        return "aim reached" if reached[0] else "bar met" if reached[1] else "missed"


@dataclass
class Result:
    """The answer to one question. Tables are lists of rows with the same columns."""

    name: str
    question: str
    how: str
    baseline: str
    """What the ratios are to."""
    tables: dict[str, Sequence[Row]]
    bars: list[Bar] = field(default_factory=list)
    is_full_size: bool = True


def save(result: Result, circumstances: Row, folder: Path = FOLDER) -> Path:
    """Write the JSON of a result; `circumstances` are those of before the run (`circumstances`)."""
    folder.mkdir(exist_ok=True)
    bars = [{**asdict(bar), "verdict": bar.verdict} for bar in result.bars]
    path = folder / f"{result.name}.json"
    said = {**asdict(result), "bars": bars, **circumstances}
    path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def circumstances() -> Row:
    """Machine, versions and date; to be asked before a run, since it tells the load."""
    return {"date": now(), "machine": machine(), "versions": versions()}


def write_page(order: Sequence[str], folder: Path = FOLDER) -> None:
    """Make the page of all results that are there, those of `order` first."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    names = [name for name in order if name in found] + [name for name in found if name not in order]
    head = [
        "# How fast it is",
        "",
        "Made by `make bench` (`python -m bench`) from the JSON files beside it. CPU is user + system time of a",
        "process, of all its threads, out of `/proc`; a core-second is one second of one core. Every figure has a",
        "baseline of the same run: on a shared machine seconds differ from run to run, ratios hardly do.",
    ]
    (folder / "README.md").write_text(
        "\n".join([*head, *(line for n in names for line in _section(found[n]))]) + "\n", encoding="utf-8"
    )


def _section(said: dict) -> list[str]:  # type: ignore[type-arg]
    lines = ["", f"## {said['question']}", "", said["how"], "", f"Baseline: {said['baseline']}"]
    if not said["is_full_size"]:
        lines += ["", "**A small run: for trying the benchmark out, not for judging by.**"]
    if said["machine"]["load_before"] >= 1:
        busy = f"load {said['machine']['load_before']} on {said['machine']['cores']} cores"
        effect = "seconds and CPU are too high, latencies most of all; ratios hold"
        lines += ["", f"**The machine was busy with other work ({busy}): {effect}.**"]
    if said["bars"]:
        rows = [
            {
                "what": bar["what"],
                "measured": bar["measured"],
                "bar": f"{'≥' if bar['better'] == 'higher' else '≤'} {_text(bar['bar'])}",
                "aim": _text(bar["aim"]),
                "": bar["verdict"],
            }
            for bar in said["bars"]
        ]
        lines += ["", *table(rows)]
    for title, rows in said["tables"].items():
        lines += ["", f"### {title}", "", *table(rows)]
    machine, versions = said["machine"], said["versions"]
    lines += [
        "",
        f"{said['date']} · {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, "
        f"load before {machine['load_before']} · "
        + ", ".join(f"{name} {version}" for name, version in versions.items()),
    ]
    return lines


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of a Markdown table."""
    if not rows:
        return []
    columns = list(dict.fromkeys(name for row in rows for name in row))
    number = {name: any(isinstance(row.get(name), int | float) for row in rows) for name in columns}
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "|".join("---:" if number[name] else "---" for name in columns) + "|",
        *("| " + " | ".join(_text(row.get(name, "")) for name in columns) + " |" for row in rows),
    ]


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1_000:
        return f"{round(value):,}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
