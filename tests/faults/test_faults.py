"""Whatever breaks while events come in, afterwards every figure is exact and every record is accounted for."""

import gzip
import itertools
import random
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from stream.local.stack import BROKER, STORE
from stream.produce import ProduceError
from tests.running import DATA, WARM_S, System, assert_shows_the_backtest, question_for, values_of
from tests.streams import ZONES, seeded_profiles, seeded_stream

DEFAULT_HORIZON_DAYS = 731
SESSION_S = 6.0
"""The shortest that a broker allows."""


class Traffic:
    """Events that come in steadily while the test does something else; what is left comes at once at the end."""

    def __init__(self, system, values, rate):
        self._system, self._values, self._rate = system, values, rate
        self._sent = 0
        self._hurry = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._hurry.set()
        self._thread.join()
        if kind is None:
            assert self._error is None, self._error
            assert self._sent == len(self._values)

    def _run(self):
        try:
            while self._sent < len(self._values):
                n = len(self._values) if self._hurry.is_set() else int(self._rate)
                some = self._values[self._sent : self._sent + n]
                try:
                    self._system.produce(some, batch=25, rate=None if self._hurry.is_set() else self._rate)
                except ProduceError as error:
                    if "no Kafka broker answers" not in str(error):  # then nothing has been sent
                        raise
                    time.sleep(0.5)
                else:
                    self._sent += len(some)
        except Exception as error:  # noqa: BLE001 - told when the test joins
            self._error = error

    @property
    def goes_on(self):
        return self._sent < len(self._values)


def as_it_comes(values, seed):
    """In order of time for the most part; some late by up to all of it, some twice."""
    rng = random.Random(seed)
    places = [(n if rng.random() > 0.05 else rng.uniform(n, len(values)), value) for n, value in enumerate(values)]
    places += [(rng.uniform(n, len(values)), values[n]) for n in rng.sample(range(len(values)), len(values) // 10)]
    return [value for _, value in sorted(places, key=lambda place: place[0])]


def lives_on(system, name, *, after_pid=None):
    """Waits until a program is up, again if need be, and serves its metrics."""
    deadline = time.monotonic() + WARM_S
    while time.monotonic() < deadline:
        state = system.stack.state(name)
        if state.is_alive and state.pid not in {None, after_pid}:
            return
        time.sleep(0.1)
    pytest.fail(f"{name} did not come back: {system.stack.log_since_start(name)[-2000:]}")


def lose_the_store(system):
    """The store goes down, its data are gone, it comes back empty."""
    stack = system.stack
    stack.stop_child(STORE)
    for left in stack.folder.store.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    stack.start_child(STORE)
    stack.wait_ready(STORE)


class Case(NamedTuple):
    """Events, some of them late and twice, and what is asked of them afterwards."""

    values: list[bytes]
    sent: list[bytes]
    rate: int
    settings: dict[str, object]
    zones: dict[str, str]
    words: tuple[str, ...]
    horizon_days: int = DEFAULT_HORIZON_DAYS
    profiles: Sequence[bytes] = ()


def made_up(_folder):
    """Shops in several zones, refunds, new versions of lines, and something that is no event."""
    values = seeded_stream(8, 12_000, users=400, shops=5)
    profiles = seeded_profiles(8, 3_000, users=400)
    words = ("shop", "market", "channel", "group", "gender")
    settings = {"scopes": ",".join(words), "horizon_days": 60, "profiles_per_second": 200}
    sent, among = as_it_comes(values, 8), len(values) // len(profiles)
    for n, profile in enumerate(profiles):
        sent.insert(n * (among + 1), profile)
    return Case(values, [*sent, b"not an event"], 180, settings, ZONES, words, 60, profiles)


def real(file_name, format_name):
    """The first rows of a data set that lies beside this repository."""

    def case(folder):
        if not (DATA / file_name).exists():
            pytest.skip(f"the real data set {file_name} is not beside this repository")
        file = folder / "rows.csv.gz"
        with gzip.open(DATA / file_name, "rb") as whole, gzip.open(file, "wb", compresslevel=1) as some:
            some.writelines(itertools.islice(whole, 40_000))
        values = values_of(file, format_name)
        return Case(values, as_it_comes(values, 8), len(values) // 60, {}, {}, ("shop", "market"))

    return case


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(made_up, id="made-up"),
        pytest.param(real("taobao_ub_full_users_merged_timesorted.csv.gz", "taobao"), id="taobao"),
        pytest.param(real("online_retail_ii_2009_2010.csv.gz", "online-retail"), id="online-retail"),
    ],
)
def test_kills_pauses_and_restarts_leave_no_trace_in_the_figures(case, tmp_path):
    values, sent, rate, settings, zones, words, horizon_days, profiles = case(tmp_path)
    with System(tmp_path / "stack", session_timeout_ms=int(SESSION_S * 1000), **settings) as system:
        stack = system.stack
        system.tell_shops(zones)
        first, second = system.add_workers(2)
        with Traffic(system, sent, rate=rate) as traffic:
            time.sleep(2)
            stack.kill(first)  # in the middle of whatever it was doing
            time.sleep(2)
            lose_the_store(system)
            lives_on(system, first)
            (third,) = system.add_workers(1)
            time.sleep(2)
            stack.kill(second, signal.SIGTERM)
            time.sleep(3)
            stack.pause(third)  # the others take over, and it does not know
            time.sleep(SESSION_S + 4)
            stack.resume(third)
            time.sleep(2)
            stack.restart(BROKER)
            time.sleep(2)
            assert traffic.goes_on
        for name in (first, second, third):
            lives_on(system, name)
        summary = system.verify("--wait", 90)
        assert summary["accepted"] + summary["refused"] == system.produced() == len(sent) - len(profiles)
        assert summary["refused"] == sum(value == b"not an event" for value in sent)
        compared = assert_shows_the_backtest(system.live(), values, question_for(words, zones), horizon_days, profiles)
        assert compared >= 40
