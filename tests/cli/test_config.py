"""`smart config` and `smart metrics` list everything, and keep secrets."""

import json
import os

import pytest
from typer.testing import CliRunner

from schemas.metrics import METRICS
from schemas.settings import PREFIX, Settings
from stream.cli.main import app


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SMART_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    return monkeypatch


def smart(*args):
    return CliRunner().invoke(app, args)


def test_config_lists_every_setting():
    result = smart("config")
    assert result.exit_code == 0
    assert all(f"SMART_{name.upper()} " in result.stdout for name in Settings.model_fields)


def test_config_tells_where_a_value_comes_from(environment):
    environment.setenv("SMART_PARTITIONS", "4")
    told = {row["variable"]: row for row in map(json.loads, smart("config", "--json").stdout.splitlines())}
    assert told["SMART_PARTITIONS"]["value"] == "4"
    assert told["SMART_PARTITIONS"]["default"] == "8"
    assert told["SMART_PARTITIONS"]["source"] == "environment"
    assert told["SMART_CLOCK"]["source"] == "default"


def test_config_shows_no_secret(environment):
    environment.setenv("SMART_REDIS_URL", "redis://:hunter2@store:6379/0")
    assert "hunter2" not in smart("config").output
    assert "hunter2" not in smart("config", "--json").output


def test_a_wrong_setting_is_wrong_use(environment):
    environment.setenv("SMART_PARTITIONS", "many")
    result = smart("config")
    assert result.exit_code == 2
    assert result.stderr == (
        "smart: SMART_PARTITIONS is 'many': should be a valid integer, unable to parse string as an integer\n"
    )


def test_a_misspelt_setting_is_told(environment):
    environment.setenv("SMART_PARTITON", "4")
    assert "SMART_PARTITON is no setting; did you mean SMART_PARTITIONS?" in smart("config").stderr


def test_metrics_lists_every_metric():
    result = smart("metrics")
    assert all(metric.name in result.stdout for metric in METRICS)


def test_metrics_as_json_lines():
    told = [json.loads(line) for line in smart("metrics", "--json").stdout.splitlines()]
    assert [each["name"] for each in told] == [metric.name for metric in METRICS]
