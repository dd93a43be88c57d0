"""The broker's jars: exactly those of the lock file, each checked by its SHA-256, kept in a cache folder of the user.

The lock (kafka.lock.toml, in jgo's format) names coordinates and checksums, no host: jgo knows where Maven artifacts
come from. The cache folder is smart-stream/ under XDG_CACHE_HOME, or under ~/.cache.
"""

import fcntl
import hashlib
import os
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stream.local.errors import InstallError

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

KAFKA_VERSION = "4.1.2"
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
LOCK_PATH = Path(__file__).with_name("kafka.lock.toml")
_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked artifact; `path` is relative to a Maven repository."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where a Maven repository keeps it."""
        name = f"{self.artifact}-{self.version}.jar"
        return Path(*self.group.split("."), self.artifact, self.version, name)


@cache
def locked_jars() -> tuple[Jar, ...]:
    """Return what the lock file names, in its order (the order of the class path)."""
    lock = tomllib.loads(LOCK_PATH.read_text(encoding="utf-8"))
    return tuple(Jar(d["groupId"], d["artifactId"], d["version"], d["sha256"]) for d in lock["dependencies"])


def cache_folder() -> Path:
    """Return the folder that holds the jars of this lock; another lock has another folder."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(",".join(jar.sha256 for jar in locked_jars()).encode()).hexdigest()
    return base / "smart-stream" / f"kafka-{KAFKA_VERSION}-{digest[:12]}"


def installed_class_path() -> str | None:
    """Return the class path if every locked jar is there and whole (0.05 s), else None."""
    folder = cache_folder()
    if not all(_is_whole(jar, folder) for jar in locked_jars()):
        return None
    return os.pathsep.join(str(folder / jar.path) for jar in locked_jars())


def install(progress: Callable[[int, int], None] = lambda _done, _all: None) -> str:
    """Bring every locked jar that is missing or damaged, several at once; return the class path.

    Safe to repeat and to run in two processes at once; touches the network only for what is missing.
    `progress` is told (jars done, jars in all). Raises InstallError.
    """
    class_path = installed_class_path()
    if class_path is not None:
        return class_path
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_one(folder / "install.lock"), ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            jars = locked_jars()
            for done, _ in enumerate(pool.map(lambda jar: _bring(jar, folder), jars), start=1):
                progress(done, len(jars))
    except OSError as error:
        raise InstallError(
            f"The broker's jars cannot be kept in {folder}: {error}. "
            "Make room or make it writable, or name another cache folder in XDG_CACHE_HOME.",
        ) from error
    return os.pathsep.join(str(folder / jar.path) for jar in jars)


def write_lock() -> int:
    """Resolve COORDINATES anew, download all of it and rewrite the lock file; return the number of jars."""
    import jgo  # noqa: PLC0415  # slow to import, and not needed by a stack that is installed
    from jgo.env import LockedDependency, LockFile  # noqa: PLC0415

    def lock(artifact: "Artifact") -> LockedDependency:
        digest = _sha256(artifact.resolve())
        return LockedDependency(artifact.groupId, artifact.artifactId, artifact.version, sha256=digest)

    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        locked = list(pool.map(lock, jgo.resolve(COORDINATES)))
    locked.sort(key=lambda d: (d.groupId, d.artifactId))
    LockFile(locked, environment_name="kafka", min_java_version=17, jgo_version=jgo.__version__).save(LOCK_PATH)
    locked_jars.cache_clear()
    return len(locked)


def _is_whole(jar: Jar, folder: Path) -> bool:
    try:
        return _sha256(folder / jar.path) == jar.sha256
    except OSError:
        return False


def _bring(jar: Jar, folder: Path) -> None:
    """Have `jar` in the folder, whole and as locked. A damaged file is removed and brought once more."""
    if _is_whole(jar, folder):
        return
    _download(jar, folder)
    path = folder / jar.path
    found = _sha256(path)
    if found != jar.sha256:
        path.unlink()
        raise InstallError(
            f"{path.name} arrived with SHA-256 {found}, but {LOCK_PATH.name} says {jar.sha256}. It was removed. "
            "Something on the way changes files: try another network.",
        )


def _download(jar: Jar, folder: Path) -> None:
    import requests  # noqa: PLC0415  # jgo's own HTTP library
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential  # noqa: PLC0415

    artifact = _maven(folder).project(jar.group, jar.artifact).at_version(jar.version).artifact()
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_exponential(multiplier=0.2),
        retry=retry_if_exception_type(requests.RequestException),
        reraise=True,
    )
    path = folder / jar.path
    try:
        for attempt in attempts:
            with attempt:
                path.unlink(missing_ok=True)  # what a broken attempt left
                artifact.resolve()
    except (requests.RequestException, RuntimeError) as error:
        path.unlink(missing_ok=True)
        raise InstallError(
            f"The broker's jars are not on this machine yet, and {jar.path.name} could not be had "
            f"({type(error).__name__}: {_first_line(error)}). Connect to the network once and run "
            f"`python -m stream.local.install`, or copy {folder} from a machine that has it.",
        ) from error


def _maven(folder: Path) -> "MavenContext":
    from jgo.maven import MavenContext  # noqa: PLC0415  # slow to import, and not needed once installed

    return MavenContext(repo_cache=folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200]


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock: a second installer waits, and then finds everything there."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
