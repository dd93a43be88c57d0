"""Every worked case, asked of whatever can answer: the brute force and the core."""

import datetime as dt

import pytest

from processors.backtest import Backtest, Question
from schemas.scopes import parse
from tests.examples import CASES, WHY_ABSENT, Answerer, check_factors
from tests.oracle import Oracle

pytestmark = pytest.mark.skipif(not CASES, reason=WHY_ABSENT)


class OracleAnswers:
    """The brute force. It decides no refusals: it is given the accepted events, and repeats what the case says."""

    def __init__(self, case):
        self._refused = [(refusal["event"], refusal["code"]) for refusal in case["refused"]]

    def feed(self, values):
        bad = {index for index, _ in self._refused}
        self._oracle = Oracle(value for index, value in enumerate(values) if index not in bad)
        return self._refused

    def records(self, scope, as_of, window_days):
        return self._oracle.records(scope, window_days, dt.date.fromisoformat(as_of))


class CoreAnswers:
    """The core as `smart backtest` uses it."""

    def __init__(self, case):
        asks = case["ask"]
        self._backtest = Backtest(
            Question(
                as_of=tuple(dt.date.fromisoformat(ask["as_of"]) for ask in asks),
                windows=tuple(sorted({ask["window_days"] for ask in asks})),
                scopes=tuple({parse(ask["scope"]) for ask in asks}),
            )
        )

    def feed(self, values):
        return [(index, str(code)) for index, code, _ in self._backtest.feed(values)]

    def records(self, scope, as_of, window_days):
        return [
            dict(record_fields(record))
            for record in self._backtest.records()
            if (record.scope, record.as_of, record.window_days) == (scope, as_of, window_days)
        ]


def record_fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


@pytest.fixture(params=[OracleAnswers, CoreAnswers], ids=["oracle", "core"])
def answerer(request, case) -> Answerer:
    return request.param(case)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES if case["ask"]])
def test_a_worked_case_gives_its_figures(case, answerer):
    check_factors(case, answerer)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES if case["members"]])
def test_a_worked_case_gives_its_members(case):
    pytest.skip("audiences are not computed yet")
