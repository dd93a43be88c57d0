"""The tools around the stream say what they did, and what to do where they could not."""

import json
import os
import subprocess
import sys

import pytest


def smart(*words, **settings):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SMART_")}
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *map(str, words)],
        env=environment | {"SMART_DATA_DIR": "nowhere", "COLUMNS": "200"} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    file = tmp_path_factory.mktemp("simulated") / "events.jsonl"
    words = ("--duration", 2, "--speed", 3600, "--rate", 500, "--start", "2026-11-10T12:00")  # at night few come
    assert smart("simulate", "--output", file, *words).returncode == 0
    return file


def test_simulated_events_are_written_as_lines(events):
    lines = events.read_bytes().splitlines()
    assert len(lines) > 500
    assert {json.loads(line)["shop_id"] for line in lines} > {"s000", "s001"}


def test_the_same_options_write_the_same_file(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for file in (one, other):
        words = ("--duration", 1, "--rate", 300, "--seed", 5, "--start", "2026-11-10", "--promotion", "2026-11-11")
        assert smart("simulate", "--output", file, *words).returncode == 0
    assert one.read_bytes() == other.read_bytes()


def test_a_file_has_to_end(tmp_path):
    told = smart("simulate", "--output", tmp_path / "endless")
    assert told.returncode == 2
    assert "--output needs --duration" in told.stderr


@pytest.mark.parametrize("words", [("topics", "show"), ("simulate", "--duration", "1"), ("dlq", "show"), ("replay",)])
def test_no_broker_is_told_in_one_line_with_what_to_do(words, events):
    if words == ("replay",):
        words = ("replay", events)
    told = smart(*words, SMART_BROKERS="127.0.0.1:1")
    assert told.returncode == 1
    assert told.stderr.splitlines()[-1] == (
        "smart: no Kafka broker answers at 127.0.0.1:1; start one with 'smart demo', or set SMART_BROKERS"
    )
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay", "missing.jsonl"), "cannot read missing.jsonl"),
        (("replay", "missing.jsonl", "--format", "excel"), "'excel' is none of native, taobao"),
        (("replay", "missing.jsonl", "--speed", "fast"), "'fast' is neither 'max' nor a number above 0"),
        (("simulate", "--start", "yesterday"), "'yesterday' is neither a date"),
        (("simulate", "--rate", "0"), "0"),
    ],
)
def test_wrong_use_is_told(words, said):
    told = smart(*words)
    assert told.returncode in (1, 2)
    assert said in told.stderr
    assert "Traceback" not in told.stderr
