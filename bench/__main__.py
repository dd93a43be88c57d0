"""`python -m bench`: measures, writes `bench/results`, prints the tables."""

import argparse
import importlib
import sys
import time

from bench import results

QUESTIONS = (
    "durable_path",
    "producer_batches",
    "latency",
    "recovery",
    "crosses",
    "history",
    "verify",
    "intraday",
    "core_budget",
)


def main() -> None:
    """Ask the questions named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast it is on this machine.")
    parser.add_argument("question", nargs="*", choices=[*QUESTIONS, []], help="which; all without one")
    parser.add_argument("--scale", type=float, default=1.0, help="events and seconds times this; below 1 to try it out")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page anew")
    asked = parser.parse_args()
    if not asked.page:
        for name in asked.question or QUESTIONS:
            measure(name, asked.scale)
    results.write_page(QUESTIONS)
    sys.stdout.write(f"{results.FOLDER / 'README.md'}\n")


def measure(name: str, scale: float) -> None:
    """Ask one question and keep the answer."""
    before, started = results.circumstances(), time.monotonic()
    result = importlib.import_module(f"bench.{name}").measure(scale)
    result.is_full_size = scale >= 1
    results.save(result, before)
    for title, rows in result.tables.items():
        print(f"\n{name}: {title}", *results.table(rows), sep="\n")
    for bar in result.bars:
        print(f"{bar.what}: {bar.measured:,.4g} (bar {bar.bar:,g}, aim {bar.aim:,g}): {bar.verdict}")
    print(f"{name} took {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
