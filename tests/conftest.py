"""What holds for all tests: warnings are errors, but for one that a library gives while it is imported.

On two processes (`make test`), what starts real programs, and waits for them most of the time, runs in one row beside
the simulated histories and all the rest.
"""

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # kafka-python 3.0 reads its schemas by a deprecated call while it is imported, and only then.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    import kafka.admin
    import kafka.errors  # noqa: F401

HERE = Path(__file__).parent
WITH_PROGRAMS = ("stack", "faults")


def pytest_collection_modifyitems(items):
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        group = "programs" if folder in WITH_PROGRAMS else "simulation" if folder == "simulation" else "the rest"
        item.add_marker(pytest.mark.xdist_group(group))
