"""What the tests of commands that read the serving store share."""

import os

import pytest


@pytest.fixture
def reads_the_store(valkey, monkeypatch, tmp_path):
    """Commands run in this process read the module's store, with periods of 1 and 7 days, and no other setting."""
    for name in [name for name in os.environ if name.startswith("SMART_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SMART_REDIS_URL", valkey.url)
    monkeypatch.setenv("SMART_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SMART_WINDOWS", "1,7")
    monkeypatch.setenv("COLUMNS", "140")
