"""What holds for all tests: warnings are errors, but for one that a library gives while it is imported.

On several processes (`make test`) the simulated histories run beside all the rest, which waits for real programs most
of the time; the rest runs in one row, since it shares a broker.
"""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # kafka-python 3.0 reads its schemas by a deprecated call while it is imported, and only then.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    import kafka.admin
    import kafka.errors  # noqa: F401

SIMULATION = Path(__file__).parent / "simulation"


def pytest_collection_modifyitems(items):
    for item in items:
        group = "simulation" if item.path.is_relative_to(SIMULATION) else "the rest"
        item.add_marker(pytest.mark.xdist_group(group))
