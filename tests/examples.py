"""The worked cases: events in, factors out. Whatever answers them (`Answerer`) is asked in the same way."""

import json
from pathlib import Path
from typing import Any, Protocol

PATH = Path(__file__).parents[2] / "shared" / "spec" / "examples.json"
WHY_ABSENT = f"the worked cases are not beside this repository ({PATH.name})"
CASES = json.loads(PATH.read_text()) if PATH.exists() else []


class Answerer(Protocol):
    """Something that takes events and then answers for factors: the oracle, the core, a whole running system."""

    def feed(self, values: list[bytes]) -> list[tuple[int, str]]:
        """Take all events of a case, in this order; returns (index, code) of those it refused."""
        ...

    def records(self, scope: str, as_of: str, window_days: int) -> list[dict[str, Any]]:
        """The factor records of a scope and period, one a currency; none where all is zero."""
        ...


def encoded(case):
    """The record values of a case's events."""
    return [event.encode() if isinstance(event, str) else json.dumps(event).encode() for event in case["events"]]


def check_factors(case: dict[str, Any], answerer: Answerer) -> None:
    """Feeds the case and compares every answer; fails with the differences of all of them."""
    refused = answerer.feed(encoded(case))
    wrong = []
    expected_refusals = [(refusal["event"], refusal["code"]) for refusal in case["refused"]]
    if refused != expected_refusals:
        wrong.append(f"refused {refused}, expected {expected_refusals}")
    for ask in case["ask"]:
        found = answerer.records(ask["scope"], ask["as_of"], ask["window_days"])
        wrong += [
            f"{ask['scope']} {ask['window_days']} d to {ask['as_of']}: {text}" for text in differences(ask, found)
        ]
    assert not wrong, f"{case['name']} ({case['why']}):\n" + "\n".join(wrong)


def differences(ask, found):
    """What the found records of one ask lack, in words."""
    expected = ask["expect"]
    chosen = [record for record in found if expected.get("currency") in {None, record["currency"]}]
    if not found:
        zeros = {name: value for name, value in expected.items() if value not in {0, None} and name != "currency"}
        return [f"no record, expected {zeros}"] if zeros else []
    if len(chosen) != 1:
        return [f"{len(chosen)} records of {[record['currency'] for record in found]}, expected one"]
    return [
        f"{name} is {chosen[0][name]!r}, expected {value!r}"
        for name, value in expected.items()
        if (chosen[0][name], type(chosen[0][name])) != (value, type(value))
    ]
