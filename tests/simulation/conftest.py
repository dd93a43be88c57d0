"""Beside other tests, histories take only the time that those leave."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _after_the_others():
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.nice(10)
