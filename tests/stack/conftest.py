"""One real broker and one real store for all tests of a session, in a folder that goes with it.

Tests that share it use topics and application names of their own, and leave every program running that they found.
"""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # kafka-python 3.0 reads its schemas by a deprecated call while it is imported, and only then.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    import kafka  # noqa: F401

from stream.local.stack import LocalStack

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    with LocalStack(tmp_path_factory.mktemp("stack")) as running:
        yield running


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.stack)
