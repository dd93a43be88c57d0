"""What holds for all tests: warnings are errors, but for one that a library gives while it is imported."""

import warnings

with warnings.catch_warnings():
    # kafka-python 3.0 reads its schemas by a deprecated call while it is imported, and only then.
    warnings.filterwarnings("ignore", "(read|open)_text is deprecated", DeprecationWarning)
    import kafka.admin
    import kafka.errors  # noqa: F401
