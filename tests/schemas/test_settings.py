"""Settings are typed, and what is wrong with one is told in words."""

import pytest

from schemas.settings import PREFIX, SCOPE_WORDS, Settings, SettingsError, load, rows, unknown_variables


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_every_default_is_valid():
    settings = load()
    assert settings.windows == (1, 7, 30, 365)
    assert settings.scopes == ("shop", "market")


def test_the_core_can_keep_what_settings_allow_and_both_have_the_same_defaults():
    from dataclasses import asdict

    from processors.partition import KINDS, CoreConfig

    assert set(SCOPE_WORDS) == set(KINDS)
    settings = load()
    of_core = asdict(CoreConfig())
    renamed = {
        "default_zone": settings.default_timezone,
        "activity_days": settings.retention_activity_days,
        "purchase_days": settings.retention_purchase_days,
        "scopes": frozenset(settings.scopes),
    }
    of_settings = {name: renamed.get(name, getattr(settings, name, of_core[name])) for name in of_core}
    assert of_settings == of_core


def test_every_setting_tells_what_it_means():
    for row in rows(load(), {}):
        assert row.description.endswith((".", "…")), row.variable
        assert row.default, row.variable


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("SMART_PARTITIONS", "eight", "SMART_PARTITIONS is 'eight': should be a valid integer"),
        ("SMART_PARTITIONS", "0", "SMART_PARTITIONS is '0': should be greater than or equal to 1"),
        ("SMART_PARTITIONER", "md5", "SMART_PARTITIONER is 'md5': should be 'murmur2' or 'crc32'"),
        ("SMART_BROKERS", "kafka", "SMART_BROKERS is 'kafka': should be host:port"),
        (
            "SMART_DEFAULT_TIMEZONE",
            "Mars/Base",
            "SMART_DEFAULT_TIMEZONE is 'Mars/Base': should be the name of a time zone",
        ),
        ("SMART_WINDOWS", "7,1", "should be different numbers of days from 1 to 365"),
        ("SMART_SCOPES", "shop,moon", "moon cannot be kept; what can is shop, item"),
        ("SMART_APPLICATION_ID", "a b", "SMART_APPLICATION_ID is 'a b': "),
        ("SMART_HORIZON_DAYS", "900", "SMART_RETENTION_ACTIVITY_DAYS is 1096: figures 900 days back"),
    ],
)
def test_a_wrong_setting_is_told_with_its_variable_and_what_was_expected(bare_environment, variable, value, complaint):
    bare_environment.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert complaint in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_wrong_settings_are_told_at_once(bare_environment):
    bare_environment.setenv("SMART_PARTITIONS", "x")
    bare_environment.setenv("SMART_CLOCK", "sundial")
    with pytest.raises(SettingsError) as caught:
        load()
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["SMART_PARTITIONS", "SMART_CLOCK"]


def test_a_secret_is_never_shown(bare_environment):
    bare_environment.setenv("SMART_REDIS_URL", "redis://:hunter2@store:6379/0")
    settings = load()
    assert "hunter2" not in repr(settings)
    assert all("hunter2" not in "".join(row) for row in rows(settings, {}))
    assert settings.redis_url.get_secret_value() == "redis://:hunter2@store:6379/0"


def test_the_environment_comes_before_a_local_stack(bare_environment):
    bare_environment.setenv("SMART_BROKERS", "kafka:9092")
    environment = {"SMART_BROKERS": "kafka:9092"}
    settings = load(brokers="127.0.0.1:5001", redis_url="redis://127.0.0.1:5002/0")
    sources = {row.variable: row.source for row in rows(settings, environment)}
    assert settings.brokers == "kafka:9092"
    assert settings.redis_url.get_secret_value() == "redis://127.0.0.1:5002/0"
    assert sources["SMART_BROKERS"] == "environment"
    assert sources["SMART_REDIS_URL"] == "local stack"
    assert sources["SMART_PARTITIONS"] == "default"


def test_a_misspelt_variable_is_told_with_the_one_that_was_meant():
    environment = {"SMART_PARTITON": "4", "SMART_SERVICE_HOST": "10.0.0.1", "SMART_CLOCK": "wall", "PATH": ""}
    assert unknown_variables(environment) == {"SMART_PARTITON": "SMART_PARTITIONS", "SMART_SERVICE_HOST": None}


def test_settings_do_not_change_while_a_process_runs():
    with pytest.raises(ValueError, match="frozen"):
        Settings().partitions = 9
